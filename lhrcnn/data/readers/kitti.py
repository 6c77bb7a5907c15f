"""Reader of KITTI's object labels: a text file per image, also as NVIDIA's TAO takes them.

A line is a class, 14 numbers (truncation, occlusion, angle, left, top, right, bottom, ...) and, in
results, a score. Corners are 0-based px, decimals; the development kit takes right - left as width.
`DontCare` areas become `ignore` of the first class. Labels lie in label_2/, labels/ or beside the
images.
"""

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import named
from lhrcnn.data.readers.records import LabelledImage

IGNORED = "dontcare"
_FIELDS = 14  # numbers that follow the class, which may be of several words


def _is_kitti(file):
    try:
        return bool(_split(lookup.head(file, 4096).split("\n", 1)[0]))
    except ValueError:
        return False


KIND = Kind(_is_kitti, (".txt",), many=False)


def _split(line):
    """(class name, numbers) of a line. Raises ValueError."""
    words = line.split()
    count = _FIELDS + (len(words) > _FIELDS + 1 and parsing.is_number(words[-_FIELDS - 1]))
    if len(words) <= count or parsing.is_number(words[0]):
        raise ValueError(f"found '{line[:80]}', expected a class and 14 or 15 numbers")
    return " ".join(words[:-count]), parsing.numbers(words[-count:])


def _parse(file, problems):
    boxes = []
    for number, line in lookup.lines(file):
        with parsing.faults_to(problems, f"{file}: line {number}", "bad line"):
            name, values = _split(line)
            left, top, right, bottom = values[3:7]
            ignore = name.replace(" ", "").lower() == IGNORED
            boxes.append(named(IGNORED if ignore else name, (top, left, bottom, right), ignore))
    yield LabelledImage((file.stem,), file, f"{file}", boxes=boxes)


read = gathering.reader(KIND, _parse, ignored=IGNORED)
