"""Reader of CrowdHuman's .odgt files (`annotation_train.odgt`): a line of JSON per image.

Of a person's three boxes (x, y, width, height px) the full body's is taken, `fbox`, which goes
beyond the image where the body does. Objects of the tag `mask` and those with
`extra: {"ignore": 1}` become `ignore`; other tags than `person` are classes of their own.
"""

from lhrcnn.data.readers import gathering, lookup
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import faults_to, is_ignored, named, numbers
from lhrcnn.data.readers.records import LabelledImage

CLASS_NAME = "person"
KIND = Kind(lambda file: True, (".odgt",))


def _parse(file, problems):
    for number, line in lookup.lines(file):
        where, boxes = f"{file}: line {number}", []
        with faults_to(problems, where, "bad line"):
            entry = lookup.from_json(line)
            name = str(entry["ID"])
            for item in entry.get("gtboxes") or []:
                with faults_to(problems, f"{where} ({name})"):
                    boxes.append(_box(item))
            yield LabelledImage((name,), file, f"{where} ({name})", boxes=boxes, source_id=name)


def _box(item):
    tag, (x, y, width, height) = item["tag"], numbers(item["fbox"])
    ignore = tag == "mask" or is_ignored(item.get("extra") or {})
    return named(CLASS_NAME if tag == "mask" else tag, (y, x, y + height, x + width), ignore)


read = gathering.reader(KIND, _parse)
