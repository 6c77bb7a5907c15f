"""Reader of labelme's files, and of X-AnyLabeling's of the same kind: a JSON file per image.

Points are (x, y) px from the outer corner of the first pixel (measured: docs/formats.md). A circle,
polygon, mask or turned rectangle gives its enclosing box, shapes of one group and class one box; a
flag or attribute `difficult`, `ignore` or `crowd` gives `ignore`.
"""

import math

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Kind
from lhrcnn.data.readers.parsing import corners, faults_to, named
from lhrcnn.data.readers.records import LabelledImage
from lhrcnn.data.schema import Problem

_UNBOXED = ("point", "points", "line", "linestrip")  # shapes without an area
_IGNORED = "__ignore__"  # labelme's own word


def _is_labelme(file):
    head = lookup.head(file)
    return any(key in head for key in ('"shapes"', '"imagePath"', '"imageData"'))


KIND = Kind(_is_labelme, (".json",), many=False)


def _parse(file, problems):
    with faults_to(problems, f"{file}: not a labelme file", "unreadable annotation file"):
        content = lookup.from_json(lookup.read_text(file))
        shapes = list(content.get("shapes") or [])
        if not {"shapes", "imagePath"} & set(content):
            raise ValueError("it has neither shapes nor imagePath")
        names = str(content.get("imagePath") or ""), file.stem
        size = parsing.size_of(content.get("imageHeight"), content.get("imageWidth"))
        groups, boxes = {}, []
        for number, shape in enumerate(shapes, start=1):
            where = f"{file}: shape {number}"
            with faults_to(problems, where):
                box, group = _box(shape, where, problems), shape.get("group_id")
                if box and group is None:
                    boxes.append(box)
                elif box:
                    groups.setdefault((str(group), box.name), []).append(box)
        boxes.extend(_merged(parts) for parts in groups.values())
        yield LabelledImage(tuple(filter(None, names)), file, f"{file}", size, boxes)


def _box(shape, where, problems):
    """The `LabelledBox` of a shape; None, with a problem, where it has none."""
    kind, name, ignore = shape.get("shape_type") or "polygon", shape["label"], _is_ignored(shape)
    points = [parsing.numbers(point) for point in shape["points"]]
    if kind in _UNBOXED or not points:
        text = f"{where}: a {kind} of '{name}' has no box; left out"
        problems.append(Problem.warning("shape without an area", text))
        return None
    if kind == "circle":
        (x, y), edge = points
        radius = math.hypot(edge[0] - x, edge[1] - y)
        return named(name, (y - radius, x - radius, y + radius, x + radius), ignore)
    ymin, xmin, ymax, xmax = corners(points)
    if kind == "mask":  # its second corner is the last pixel
        ymax, xmax = ymax + 1, xmax + 1
    if kind in ("rotation", "oriented_rectangle"):
        text = f"{where}: turned rectangle of '{name}'; its enclosing box is taken"
        problems.append(Problem.note("turned box", text))
    return named(name, (ymin, xmin, ymax, xmax), ignore)


def _is_ignored(shape):
    if str(shape["label"]).strip() == _IGNORED:
        return True
    flags = {**(shape.get("flags") or {}), **(shape.get("attributes") or {})}
    return parsing.is_ignored({**flags, "difficult": shape.get("difficult")})


def _merged(parts):
    """One box around the parts of one object."""
    points = [(x, y) for part in parts for y, x in (part.box[:2], part.box[2:])]
    return parts[0]._replace(box=corners(points), ignore=any(part.ignore for part in parts))


read = gathering.reader(KIND, _parse, ignored=_IGNORED)
