"""Reader of VOC's XML files in any folders, without ImageSets/, as labelImg leaves them.

Corners are 1-based and inclusive as VOC's are, or 0-based and half-open as many tools write them; a
corner 0 in any file, or CVAT's and datumaro's `<attributes>` of an object, says which
(docs/formats.md has who writes what).
"""

import math
import re
import xml.etree.ElementTree as ElementTree

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Found, Kind
from lhrcnn.data.readers.parsing import named, numbers, turned
from lhrcnn.data.schema import Problem

_ZERO_BASED = re.compile(r"<[xy]min>\s*0+(\.0*)?\s*</|<attributes>")


def read(data_config, split, training=False):
    """The `Dataset` of a split: a folder or a list of that name, or `*` for all XML files.

    `difficult` objects become `ignore`, unless `training` and data.use_difficult; turned boxes
    (`robndbox`, an attribute `rotation`) give their enclosing boxes. Raises DataError."""
    keep_difficult = training and data_config.use_difficult
    corners = data_config.voc_corners
    files = KIND.files(lookup.data_folder(data_config.dir))
    if corners == "auto":
        zero = any(_ZERO_BASED.search(lookup.read_text(file)) for file in files)
        corners = "zero_based" if zero else "one_based"
    first = 0 if corners == "zero_based" else 1

    def parse(file, problems):
        return _parse(file, problems, first, keep_difficult)

    return gathering.gather(data_config, split, KIND, parse, files=files)


def _is_voc_xml(file):
    """Whether a file is of one image, as VOC has it; the files of MIT's old LabelMe are others."""
    text = lookup.head(file, 4096)
    return re.search(r"<annotation[\s>]", text) is not None and "<imagesize>" not in text


KIND = Kind(_is_voc_xml, (".xml",), many=False)


def _parse(file, problems, first, keep_difficult):
    try:
        root = lookup.read_xml(file)
        if root.tag != "annotation":
            raise ElementTree.ParseError(f"<{root.tag}> instead of <annotation>")
    except ElementTree.ParseError as error:
        text = f"{file}: not readable as VOC's XML: {error}; left out"
        problems.append(Problem.error("unreadable annotation file", text))
        return
    boxes = []
    for number, element in enumerate(root.iterfind("object"), start=1):
        name = (element.findtext("name") or "").strip()
        where = f"{file}: object {number} '{name}'"
        try:
            box = _box(element, first, where, problems)
            if not name:
                raise ValueError("it has no name")
        except ValueError as error:
            problems.append(Problem.error("bad object", f"{where}: {error}; left out"))
            continue
        ignore = parsing.is_ignored({child.tag: child.text for child in element})
        boxes.append(named(name, box, ignore and not keep_difficult))
    # The file's own name comes first: the name in it is often that of before a renaming.
    stated = (root.findtext("filename") or "").strip()
    yield Found((file.stem, stated), file, str(file), _size(root), boxes)


def _size(root):
    try:
        height, width = numbers([root.findtext("size/height"), root.findtext("size/width")])
    except ValueError:
        return ()
    return (int(height), int(width)) if height >= 1 and width >= 1 else ()


def _box(element, first, where, problems):
    """Half-open (ymin, xmin, ymax, xmax) px of an object element. Raises ValueError."""
    keys = ("cx", "cy", "w", "h", "angle")
    around = [element.findtext(f"robndbox/{key}") for key in keys]
    if all(around):
        x, y, width, height, angle = numbers(around)
        problems.append(Problem.note("turned box", f"{where}: its enclosing box is taken"))
        return turned((y, x), height, width, math.degrees(angle))
    keys = ("ymin", "xmin", "ymax", "xmax")
    ymin, xmin, ymax, xmax = numbers([element.findtext(f"bndbox/{key}") for key in keys])
    if first and (ymin, xmin) != (ymax, xmax):  # a slip of the hand, not an object of one pixel
        ymin, xmin = ymin - 1, xmin - 1
    for attribute in element.iterfind("attributes/attribute"):
        degrees = attribute.findtext("value") or ""
        turns = attribute.findtext("name") == "rotation" and parsing.is_number(degrees)
        if turns and float(degrees) % 180:
            problems.append(Problem.note("turned box", f"{where}: its enclosing box is taken"))
            center = ((ymin + ymax) / 2, (xmin + xmax) / 2)
            return turned(center, ymax - ymin, xmax - xmin, float(degrees))
    return ymin, xmin, ymax, xmax
