"""Reader of Apple's Create ML files, such as Roboflow's `train/_annotations.createml.json`: a JSON
list of images; x and y are px of a box's center."""

from lhrcnn.data.readers import gathering, lookup
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import faults_to, fields, named
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.errors import DataError


def _is_createml(file):
    head = lookup.head(file).lstrip()
    keys = '"image"' in head or '"imagefilename"' in head
    empty = '"annotations"' in head and '"data"' not in head and '"original_width"' not in head
    return head.startswith("[") and keys and ('"coordinates"' in head or empty)


KIND = Kind(_is_createml, (".json",))


def _parse(file, problems):
    entries = lookup.read_json(file)
    if not isinstance(entries, list):
        raise DataError(f"{file}: not a file of Create ML: a list of images is expected")
    for number, entry in enumerate(entries, start=1):
        where, boxes = f"{file}: image {number}", []
        with faults_to(problems, where, "bad image entry"):
            name = str(entry.get("image") or entry["imagefilename"])
            for item in entry.get("annotations") or entry.get("annotation") or []:
                with faults_to(problems, f"{where} ({name})"):
                    boxes.append(_box(item))
            yield LabelledImage((name,), file, f"{where} ({name})", boxes=boxes)


def _box(item):
    x, y, width, height = fields(item["coordinates"], "x", "y", "width", "height")
    box = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
    return named(item["label"], box)


read = gathering.reader(KIND, _parse)
