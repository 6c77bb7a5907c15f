"""Reader of the VGG Image Annotator (VIA 2): its projects, its exports as JSON and as CSV.

A rectangle's x and y are 0-based px of its corner; VIA stores no image sizes. Circles, ellipses and
polygons give their enclosing boxes. The class is the region attribute called class, label, name,
type and the like, or the only one there is; where there is none, every object is an `object`.
"""

import itertools
import math

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import corners, faults_to, fields, named, numbers, turned_ellipse
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

# Region attributes that hold the class, by preference; else it is the only attribute there is.
_CLASS_KEYS = ("class", "label", "name", "type", "category", "object", "class_name", "label_id")
_CLASSLESS = "object"


def _is_via(file):
    head = lookup.head(file)
    if file.suffix.lower() == ".csv":
        return "region_shape_attributes" in head.split("\n", 1)[0]
    return '"shape_attributes"' in head or '"_via_' in head or '"file_attributes"' in head


KIND = Kind(_is_via, (".json", ".csv"))


def _parse(file, problems):
    is_csv = file.suffix.lower() == ".csv"
    images = _from_csv(file, problems) if is_csv else _from_json(file, problems)
    key = _class_key([attributes for regions in images.values() for _, attributes in regions], file)
    for name, regions in images.items():
        where = f"{file}: {name}"
        boxes = [_box(shape, attributes, key, where, problems) for shape, attributes in regions]
        yield LabelledImage((name,), file, where, boxes=[box for box in boxes if box])


def _from_json(file, problems):
    """File name -> list of (shape, attributes)."""
    content, images = lookup.read_json(file), {}
    if not isinstance(content, dict):
        raise DataError(f"{file}: not a file of VIA 2: an object of images is expected")
    for key, entry in content.get("_via_img_metadata", content).items():
        with faults_to(problems, f"{file}: {key}", "bad image entry"):
            regions = entry.get("regions") or []
            regions = regions.values() if isinstance(regions, dict) else regions
            found = [
                _region(region["shape_attributes"], region.get("region_attributes") or {})
                for region in regions
            ]
            images.setdefault(str(entry["filename"]), []).extend(found)
    return images


def _from_csv(file, problems):
    """File name -> list of (shape, attributes)."""
    images = {}
    rows = filter(None, lookup.read_csv(file))
    names = [name.strip("# ") for name in next(rows, [])]
    for number, row in enumerate(rows, start=2):
        with faults_to(problems, f"{file}: line {number}", "bad line"):
            row = dict(itertools.zip_longest(names, row))
            regions = images.setdefault(row["filename"], [])
            shape = lookup.from_json(row["region_shape_attributes"] or "{}")
            if shape:
                regions.append(_region(shape, lookup.from_json(row["region_attributes"] or "{}")))
    return images


def _region(shape, attributes):
    """Both of them. Raises ValueError where one is no dict."""
    if not (isinstance(shape, dict) and isinstance(attributes, dict)):
        raise ValueError(f"a region of the shape {shape!r} and the attributes {attributes!r}")
    return shape, attributes


def _class_key(attributes, file):
    """The name of the attribute that holds the class; empty: there is none. Raises DataError."""
    keys = list(dict.fromkeys(key for entry in attributes for key in entry))
    for wanted in _CLASS_KEYS:
        for key in keys:
            if key.strip().lower() == wanted:
                return key
    keys = [key for key in keys if key.strip().lower() not in parsing.IGNORED]
    if len(keys) > 1:
        raise DataError(
            f"{file}: which of the region attributes {', '.join(keys)} is the class? Rename it in "
            f"VIA to one of {', '.join(_CLASS_KEYS)}"
        )
    return keys[0] if keys else ""


def _box(shape, attributes, key, where, problems):
    """The `LabelledBox` of a region; None, with a problem, where it has none."""
    name = _class_name(attributes.get(key)) if key else _CLASSLESS
    kind = shape.get("name")
    points = shape.get("all_points_x")
    if kind == "polyline" and isinstance(points, list) and len(points) > 2:
        kind = "polygon"  # outlines are often drawn as such
        text = f"{where}: a polyline of '{name}'; its enclosing box is taken"
        problems.append(Problem.note("polyline", text))
    box = parsing.shape_box(shape, kind, _BOXES, name, where, problems)
    if box is None:
        return None
    if not name:
        text = f"{where}: a {kind} without a value of the attribute '{key}'; left out"
        problems.append(Problem.warning("object without a class", text))
        return None
    return named(name, box, parsing.is_ignored(attributes))


def _class_name(value):
    """A dropdown's, radio button's or text's value; of check boxes {"ant": true} the first set."""
    if isinstance(value, dict):
        return next((str(name) for name, set_ in value.items() if set_), "")
    return str(value or "").strip()


def _rectangle(shape):
    x, y, width, height = fields(shape, "x", "y", "width", "height")
    return y, x, y + height, x + width


def _circle(shape):
    x, y, radius = fields(shape, "cx", "cy", "r")
    return y - radius, x - radius, y + radius, x + radius


def _ellipse(shape):
    x, y, radius_x, radius_y = fields(shape, "cx", "cy", "rx", "ry")
    return turned_ellipse((y, x), radius_y, radius_x, math.degrees(float(shape.get("theta") or 0)))


def _polygon(shape):
    return corners(list(zip(numbers(shape["all_points_x"]), numbers(shape["all_points_y"]))))


_BOXES = {"rect": _rectangle, "circle": _circle, "ellipse": _ellipse, "polygon": _polygon}


read = gathering.reader(KIND, _parse)
