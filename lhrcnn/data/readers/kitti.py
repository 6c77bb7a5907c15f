"""Reader of KITTI's object labels: a text file per image, also as NVIDIA's TAO takes them.

A line is a class, 14 numbers (truncation, occlusion, angle, left, top, right, bottom, ...) and, in
results, a score. Corners are 0-based px, decimals; the development kit takes right - left as width.
"""

import os

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Found
from lhrcnn.data.readers.parsing import named
from lhrcnn.data.schema import Problem

IGNORED = "dontcare"
_FIELDS = 14  # numbers that follow the class, which may be of several words


def read(data_config, split, training=False):
    """The `Dataset` of a split; `DontCare` areas become `ignore` of the first class.

    Labels lie in label_2/, labels/ or beside the images. Raises DataError."""
    del training
    return gathering.gather(data_config, split, sources, _parse, many=False, ignored=IGNORED)


def sources(folder):
    """KITTI's label files below a folder, with empty ones."""
    files = lookup.listed(folder, ".txt")
    labels = [file for file in files if is_kitti(lookup.head(file, 4096))]
    return gathering.with_broken(folder, labels)


def is_kitti(text):
    """Whether a text begins with a line of KITTI's labels."""
    try:
        return bool(_split(text.split("\n", 1)[0]))
    except ValueError:
        return False


def _split(line):
    """(class name, numbers) of a line. Raises ValueError."""
    words = line.split()
    count = _FIELDS + (len(words) > _FIELDS + 1 and parsing.is_number(words[-_FIELDS - 1]))
    if len(words) <= count or parsing.is_number(words[0]):
        raise ValueError(f"found '{line[:80]}', expected a class and 14 or 15 numbers")
    return " ".join(words[:-count]), parsing.numbers(words[-count:])


def _parse(file, problems):
    boxes = []
    for number, line in enumerate(lookup.read_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            name, values = _split(line)
        except ValueError as error:
            problems.append(Problem.error("bad line", f"{file}: line {number}: {error}; left out"))
            continue
        left, top, right, bottom = values[3:7]
        ignore = name.replace(" ", "").lower() == IGNORED
        boxes.append(named(IGNORED if ignore else name, (top, left, bottom, right), ignore))
    name = os.path.splitext(file.name)[0]
    yield Found((name,), file, f"{file}", boxes=boxes)
