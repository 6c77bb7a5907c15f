"""Reader of WIDER FACE's lists: a text file of image names, each with a count and a line per face.

A face is `x y width height` px and six attributes, of which the fourth, `invalid`, says to ignore
it; datumaro writes the name of a class after the box, else it is `face`. Empty boxes (0 0 0 0
stands for "no face") say nothing.
"""

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import named
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem

CLASS_NAME = "face"
_INVALID = 3  # of a line's six attributes


def _is_wider_face(file):
    """Whether a file begins like such a list: an image's name, a count, a face."""
    lines = [line.strip() for line in lookup.head(file, 4096).splitlines()[:3]]
    return (
        len(lines) == 3
        and _is_name(lines[0])
        and lines[1].isdecimal()
        and (_is_name(lines[2]) or len(lines[2].split()) >= 4)
    )


KIND = Kind(_is_wider_face, (".txt",))


def _is_name(line):
    return line.lower().endswith(IMAGE_SUFFIXES)


def _parse(file, problems):
    """An image ends where the next name begins: the count is compared, not relied on, since tools
    leave it out of images without faces."""
    images = []
    for number, line in lookup.lines(file):
        if _is_name(line):
            images.append((line, number, []))
        elif images:
            images[-1][2].append((number, line.split()))
    for name, start, lines in images:
        where = f"{file}: line {start} ({name})"
        count, faces = (lines[0][1], lines[1:]) if lines else (["0"], [])
        wanted = max(1, int(count[0])) if len(count) == 1 and count[0].isdecimal() else -1
        if len(faces) != wanted and lines and not (wanted == 1 and not faces):
            text = f"{where}: {len(faces)} faces where {' '.join(count)} are announced"
            problems.append(Problem.warning("number of faces", text))
        boxes = [_box(number, words, file, problems) for number, words in faces]
        yield LabelledImage((name,), file, where, boxes=[box for box in boxes if box])


def _box(number, words, file, problems):
    """The `LabelledBox` of a face; None for a line that stands for no face, or is none."""
    found = f"found '{' '.join(words)[:80]}', expected x y width height ..."
    with parsing.faults_to(problems, f"{file}: line {number}: {found}", "bad line"):
        x, y, width, height = parsing.numbers(words[:4])
        attributes = [float(word) for word in words[4:] if parsing.is_number(word)]
        name = " ".join(word for word in words[4:] if not parsing.is_number(word)) or CLASS_NAME
        if any((x, y, width, height)):
            invalid = len(attributes) > _INVALID and attributes[_INVALID] != 0
            return named(name, (y, x, y + height, x + width), invalid)
    return None


read = gathering.reader(KIND, _parse)
