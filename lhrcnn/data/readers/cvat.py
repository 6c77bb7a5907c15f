"""Reader of `CVAT for images 1.1`: an XML file of a task or project, with the images' names.

Corners are 0-based half-open px; a box's `rotation` is in degrees, clockwise about its center.
"""

import xml.etree.ElementTree as ElementTree

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import corners, fields, named, turned_box
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError


def read(data_config, split, training=False):
    """The `Dataset` of a split: a `subset` of the file, or a folder or file of that name.

    Boxes, polygons, ellipses, masks and cuboids give their enclosing boxes; an attribute `ignore`,
    `difficult` or `iscrowd` gives `ignore`. Classes are the file's labels in their order. Raises
    DataError, for CVAT's video format too."""
    files = KIND.files(lookup.data_folder(data_config.dir))
    labels = list(dict.fromkeys(label for file in files for label in _labels(file)))
    return gathering.gather(data_config, split, KIND, _parse, labels or None, files=files)


KIND = Kind(lambda file: "<annotations>" in lookup.head(file, 4096), (".xml",))


def subsets(file):
    """The subsets that a file's images name."""
    names = (element.get("subset") for _, element in _elements(file) if element.tag == "image")
    return {name for name in names if name}


def _labels(file):
    """Names of the labels in a file's head, in their order; not those of skeletons' points and of
    whole images."""
    names = []
    for _, element in _elements(file):
        if element.tag == "image":
            break
        if element.tag == "label" and element.find("parent") is None:
            if element.findtext("type") != "tag":
                names.append((element.findtext("name") or "").strip())
        elif element.tag == "track":
            raise DataError(
                f"{file}: CVAT's format for videos, whose boxes name frames, not images; export "
                "the task as 'CVAT for images 1.1'"
            )
    return list(filter(None, names))


def _elements(file):
    """(event, element) of a file, element by element. Raises DataError where it is no XML."""
    try:
        yield from ElementTree.iterparse(lookup.xml_stream(file))
    except ElementTree.ParseError as error:
        raise DataError(f"{file}: not readable as XML: {error}") from None


def _parse(file, problems):
    for _, image in _elements(file):
        if image.tag != "image":
            continue
        where = f"{file}: image id {image.get('id')} ({image.get('name')})"
        found = [
            _box(shape, where, problems) for shape in image if shape.tag not in ("tag", "attribute")
        ]
        source_id = image.get("id")
        yield LabelledImage(
            (image.get("name") or "",),
            file,
            where,
            parsing.size_of(image.get("height"), image.get("width")),
            [box for box in found if box],
            source_id=int(source_id) if source_id and source_id.isdecimal() else None,
            split=(image.get("subset") or "").strip(),
        )
        image.clear()


def _box(shape, where, problems):
    """The `LabelledBox` of a shape element; None, with a problem, where it has none."""
    label = (shape.get("label") or "").strip()
    box = parsing.shape_box(shape, shape.tag, _BOXES, label, where, problems)
    if box is None:
        return None
    degrees = shape.get("rotation") or ""
    if parsing.is_number(degrees) and float(degrees) % 180:
        turn = f"{shape.tag} of '{label}' turned by {degrees} degrees"
        text = f"{where}: {turn}; its enclosing box is taken"
        problems.append(Problem.note("turned box", text))
    attributes = {item.get("name"): item.text for item in shape.iterfind("attribute")}
    return named(label, box, parsing.is_ignored(attributes))


def _rectangle(shape):
    xmin, ymin, xmax, ymax = fields(shape, "xtl", "ytl", "xbr", "ybr")
    return turned_box((ymin, xmin, ymax, xmax), float(shape.get("rotation") or 0))


def _polygon(shape):
    return corners([parsing.numbers(point.split(",")) for point in shape.get("points").split(";")])


def _ellipse(shape):
    x, y, radius_x, radius_y = fields(shape, "cx", "cy", "rx", "ry")
    return parsing.turned_ellipse((y, x), radius_y, radius_x, float(shape.get("rotation") or 0))


def _mask(shape):
    left, top, width, height = fields(shape, "left", "top", "width", "height")
    return top, left, top + height, left + width


def _cuboid(shape):
    ends = [f"{end}{face}" for face in "12" for end in ("tl", "bl", "tr", "br")]
    return corners([fields(shape, f"x{end}", f"y{end}") for end in ends if shape.get(f"x{end}")])


_BOXES = {
    "box": _rectangle,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
    "cuboid": _cuboid,
}
