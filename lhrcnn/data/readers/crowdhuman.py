"""Reader of CrowdHuman's .odgt files: a line of JSON per image.

Of a person's three boxes (x, y, width, height px) the full body's is taken, `fbox`, which goes
beyond the image where the body does.
"""

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Found, Kind
from lhrcnn.data.readers.parsing import MALFORMED, named, numbers
from lhrcnn.data.schema import Problem

CLASS_NAME = "person"
KIND = Kind(lambda file: True, (".odgt",))


def read(data_config, split, training=False):
    """The `Dataset` of a split, such as `train` of `annotation_train.odgt`; one class, `person`.

    Objects of the tag `mask` and those with `extra: {"ignore": 1}` become `ignore`. Other tags are
    classes of their own. Raises DataError."""
    del training
    return gathering.gather(data_config, split, KIND, _parse)


def _parse(file, problems):
    for number, line in lookup.lines(file):
        where = f"{file}: line {number}"
        try:
            entry = lookup.from_json(line)
            name = str(entry["ID"])
            objects = list(entry.get("gtboxes") or [])
        except MALFORMED as error:
            problems.append(Problem.error("bad line", f"{where}: {error!r}; left out"))
            continue
        where = f"{where} ({name})"
        boxes = [_box(item, where, problems) for item in objects]
        yield Found((name,), file, where, boxes=[box for box in boxes if box], source_id=name)


def _box(item, where, problems):
    try:
        tag = item["tag"]
        x, y, width, height = numbers(item["fbox"])
        ignore = tag == "mask" or parsing.is_ignored(item.get("extra") or {})
    except MALFORMED as error:
        text = f"{where}: an object without a tag or a full body's box: {error!r}; left out"
        problems.append(Problem.error("bad object", text))
        return None
    return named(CLASS_NAME if tag == "mask" else tag, (y, x, y + height, x + width), ignore)
