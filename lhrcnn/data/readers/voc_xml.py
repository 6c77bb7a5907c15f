"""VOC's XML files, one per image, which three readers share.

Format: the VOC2012 development kit, section 'Ground truth annotation'. Corners there are 1-based
and inclusive, so a box in half-open px is (ymin - 1, xmin - 1, ymax, xmax); decimals are kept. Some
tools write 0-based half-open corners (docs/formats.md). An object whose corners coincide would be
one pixel by VOC's rule; as it is a slip of the annotator's hand wherever it occurs, it counts as
empty.
"""

import math
import re
import xml.etree.ElementTree as ElementTree

from lhrcnn.data.readers import lookup
from lhrcnn.data.readers.parsing import (
    faults_to,
    is_ignored,
    is_number,
    named,
    numbers,
    size_of,
    turned,
    turned_box,
)
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem

# What is added to the (minima, maxima) of a file for half-open px.
CORNERS = {"one_based": (-1, 0), "zero_based": (0, 0), "zero_based_inclusive": (0, 1)}


def survey(files, voc_corners, where, problems):
    """(sorted names of the classes in these files, what their corners are of `CORNERS`).

    voc_corners: that, or `auto`: a corner 0 in any file, or CVAT's and datumaro's `<attributes>` of
    an object, are signs of 0-based ones, with a note in problems. Files that cannot be read are
    passed over: they are reported with their images."""
    names, zero_based = set(), False
    for file in files:
        try:
            objects = lookup.read_xml(file).findall("object")
        except (ElementTree.ParseError, OSError):
            continue
        names.update(_text(element, "name") for element in objects)
        zero_based = zero_based or any(map(_is_zero_based, objects))
    if voc_corners == "auto" and zero_based:
        text = (
            f"{where}: a corner is 0, or objects have CVAT's <attributes>, so corners are taken as "
            "0-based (data.voc_corners)"
        )
        problems.append(Problem.note("0-based corners", text))
    if voc_corners == "auto":
        voc_corners = "zero_based" if zero_based else "one_based"
    return sorted(names - {""}), voc_corners


def _is_zero_based(element):
    corners = (_text(element, f"bndbox/{key}") for key in ("xmin", "ymin"))
    is_zero = any(re.fullmatch(r"0+(\.0*)?", text) for text in corners)
    return is_zero or element.find("attributes") is not None


def parse(file, where, corners, use_difficult, problems):
    """The `LabelledImage` in an annotation file, its corners as of `CORNERS`; None, with a problem
    that `where` leads, where it cannot be read.

    Turned boxes (`robndbox`, an attribute `rotation`) give their enclosing boxes; a flag or
    attribute `difficult` (unless use_difficult), `ignore` or `crowd` gives `ignore`."""
    try:
        root = lookup.read_xml(file)
        if root.tag != "annotation":
            raise ElementTree.ParseError(f"<{root.tag}> instead of <annotation>")
    except FileNotFoundError:
        text = f"{where}: no such annotation file; left out"
        problems.append(Problem.warning("missing annotation file", text))
        return None
    except (OSError, ValueError, ElementTree.ParseError) as error:
        found = getattr(error, "strerror", "") or f"not readable as VOC's XML: {error}"
        problems.append(Problem.error("unreadable annotation file", f"{where}: {found}; left out"))
        return None
    boxes = []
    for number, element in enumerate(root.iterfind("object"), start=1):
        name = _text(element, "name")
        place = f"{where}: object {number} '{name}'"
        with faults_to(problems, place):
            if not name:
                raise ValueError("it has no name")
            attributes = {
                _text(item, "name"): _text(item, "value")
                for item in element.iterfind("attributes/attribute")
            }
            marks = {**attributes, **{child.tag: child.text for child in element}}
            box = _box(element, attributes, CORNERS[corners], place, problems)
            boxes.append(named(name, box, is_ignored(marks, use_difficult)))
    # The file's own name comes first: the name in it is often that of before a renaming.
    names = file.stem, _text(root, "filename")
    size = size_of(root.findtext("size/height"), root.findtext("size/width"))
    return LabelledImage(names, file, where, size, boxes)


def _box(element, attributes, corners, where, problems):
    """Half-open (ymin, xmin, ymax, xmax) px of an object element. Raises ValueError."""
    turn = f"{where}: turned; its enclosing box is taken"
    keys = ("cx", "cy", "w", "h", "angle")
    around = [element.findtext(f"robndbox/{key}") for key in keys]
    if all(around):
        x, y, width, height, angle = numbers(around)
        problems.append(Problem.note("turned box", turn))
        return turned((y, x), height, width, math.degrees(angle))
    ymin, xmin, ymax, xmax = (
        _number(element, f"bndbox/{key}") for key in ("ymin", "xmin", "ymax", "xmax")
    )
    if (ymin, xmin) == (ymax, xmax):
        return ymin, xmin, ymin, xmin
    low, high = corners
    box = ymin + low, xmin + low, ymax + high, xmax + high
    degrees = attributes.get("rotation", "")
    if is_number(degrees) and float(degrees) % 180:
        problems.append(Problem.note("turned box", turn))
        return turned_box(box, float(degrees))
    return box


def _text(element, tag):
    return (element.findtext(tag) or "").strip()


def _number(element, tag):
    text = _text(element, tag)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{tag} is '{text}', expected a number") from None
