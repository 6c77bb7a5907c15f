"""Reader of Apple's Create ML files: a JSON list of images; x and y are px of a box's center."""

from lhrcnn.data.readers import gathering, lookup
from lhrcnn.data.readers.gathering import Found, Kind
from lhrcnn.data.readers.parsing import MALFORMED, named, numbers
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError


def read(data_config, split, training=False):
    """The `Dataset` of a split of JSON files such as Roboflow's `train/_annotations.createml.json`.

    Raises DataError."""
    del training
    return gathering.gather(data_config, split, KIND, _parse)


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
        where = f"{file}: image {number}"
        try:
            name = str(entry.get("image") or entry["imagefilename"])
            objects = entry.get("annotations") or entry.get("annotation") or []
            boxes = [_box(item, f"{where} ({name})", problems) for item in objects]
        except MALFORMED as error:
            problems.append(Problem.error("bad image entry", f"{where}: {error!r}; left out"))
            continue
        yield Found((name,), file, f"{where} ({name})", boxes=[box for box in boxes if box])


def _box(item, where, problems):
    try:
        values = item["coordinates"]
        x, y, width, height = numbers([values[key] for key in ("x", "y", "width", "height")])
        name = item["label"]
    except MALFORMED as error:
        text = f"{where}: an object without a label or coordinates: {error!r}; left out"
        problems.append(Problem.error("bad object", text))
        return None
    return named(name, (y - height / 2, x - width / 2, y + height / 2, x + width / 2))
