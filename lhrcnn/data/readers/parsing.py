"""Numbers, flags and shapes as annotation files have them, and the boxes around these."""

import contextlib
import math
import re

from lhrcnn.data.readers.records import LabelledBox
from lhrcnn.data.schema import Problem

# Attributes of objects that are to be neither learnt nor counted.
IGNORED = ("ignore", "ignored", "difficult", "iscrowd", "is_crowd", "crowd")
# What content of another shape than expected raises, or a number beyond those of its type.
MALFORMED = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
_TRUE = {"true", "yes", "y", "t", "on"}


def numbers(values):
    """The values as floats. Raises ValueError naming the first that is no finite number."""
    for value in values:
        try:
            if math.isfinite(float(value)):
                continue
        except MALFORMED:
            pass
        raise ValueError(f"{value!r} is no number")
    return [float(value) for value in values]


def fields(entry, *keys):
    """The values of these keys of an entry (a dict, or an element's attributes) as floats. Raises
    ValueError naming the first that is no finite number."""
    try:
        return numbers([entry.get(key) for key in keys])
    except ValueError as error:
        raise ValueError(f"{', '.join(keys)}: {error}") from None


def size_of(height, width):
    """(height, width) px as a file has them; empty where they cannot be meant."""
    try:
        height, width = numbers([height, width])
    except ValueError:
        return ()
    return (int(height), int(width)) if min(height, width) >= 1 else ()


@contextlib.contextmanager
def faults_to(problems, where, kind="bad object"):
    """What content of another shape than expected raises ends the block, and is an error in
    problems."""
    try:
        yield
    except MALFORMED as error:
        found = f"no {error}" if isinstance(error, KeyError) else error
        problems.append(Problem.error(kind, f"{where}: {found}; left out"))


def is_number(text):
    """Whether a text is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_true(value):
    """Whether a flag of an annotation is set: True, 1, "1.0", "yes"."""
    text = str(value).strip().lower()
    return text in _TRUE or bool(re.fullmatch(r"\+?0*1(\.0*)?", text))


def is_ignored(attributes, use_difficult=False):
    """Whether one of an object's attributes, {name: value}, says that it does not count;
    use_difficult: those that are only difficult count."""
    marks = set(IGNORED) - ({"difficult"} if use_difficult else set())
    return any(
        is_true(value) for name, value in attributes.items() if str(name).strip().lower() in marks
    )


def corners(points):
    """The half-open box (ymin, xmin, ymax, xmax) around points (x, y)."""
    x, y = [float(point[0]) for point in points], [float(point[1]) for point in points]
    return min(y), min(x), max(y), max(x)


def turned(center, height, width, degrees):
    """The half-open box around a rectangle turned about its center (y, x)."""
    angle = math.radians(degrees)
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    half_height = (width * sine + height * cosine) / 2
    half_width = (width * cosine + height * sine) / 2
    y, x = center
    return y - half_height, x - half_width, y + half_height, x + half_width


def turned_box(box, degrees):
    """The half-open box around a box turned about its center; itself where it lies as before."""
    ymin, xmin, ymax, xmax = box
    center = (ymin + ymax) / 2, (xmin + xmax) / 2
    return turned(center, ymax - ymin, xmax - xmin, degrees) if degrees % 180 else box


def turned_ellipse(center, radius_y, radius_x, degrees):
    """The half-open box around an ellipse turned about its center (y, x)."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    half_height = math.hypot(radius_x * sine, radius_y * cosine)
    half_width = math.hypot(radius_x * cosine, radius_y * sine)
    y, x = center
    return y - half_height, x - half_width, y + half_height, x + half_width


def named(name, box, ignore=False):
    """A `LabelledBox` of a class name as a file has it, without blanks around it."""
    return LabelledBox(str(name).strip(), box, ignore)


def shape_box(shape, kind, boxes, name, where, problems):
    """The box of a shape of this kind, by {kind: function of a shape}; None, with a problem that
    `where` leads, where it has none."""
    if kind not in boxes:
        text = f"{where}: a {kind} of '{name}' has no box; left out"
        problems.append(Problem.warning("shape without an area", text))
        return None
    with faults_to(problems, f"{where}: {kind} of '{name}'"):
        return boxes[kind](shape)
    return None
