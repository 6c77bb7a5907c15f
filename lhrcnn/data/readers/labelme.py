"""Reader of labelme's files, and of X-AnyLabeling's of the same kind: a JSON file per image.

Points are (x, y) px from the outer corner of the first pixel (measured: docs/formats.md).
"""

import math

from lhrcnn.data.readers import gathering, lookup, parsing
from lhrcnn.data.readers.gathering import Found, Kind
from lhrcnn.data.readers.parsing import MALFORMED, corners, named
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

_UNBOXED = ("point", "points", "line", "linestrip")  # shapes without an area
_IGNORED = "__ignore__"  # labelme's own word


def read(data_config, split, training=False):
    """The `Dataset` of a split: of all JSON files below the data folder that have `shapes`.

    A polygon, circle, mask or turned rectangle gives its enclosing box, shapes of one group and
    class one box; a flag or attribute `difficult`, `ignore` or `crowd` gives `ignore`. Raises
    DataError."""
    del training
    return gathering.gather(data_config, split, KIND, _parse, ignored=_IGNORED)


def _is_labelme(file):
    head = lookup.head(file)
    return any(key in head for key in ('"shapes"', '"imagePath"', '"imageData"'))


KIND = Kind(_is_labelme, (".json",), many=False)


def _parse(file, problems):
    try:
        content = lookup.read_json(file)
        shapes = list(content.get("shapes") or [])
        if not {"shapes", "imagePath"} & set(content):
            raise ValueError("it has neither shapes nor imagePath")
        names = (content.get("imagePath") or "", file.with_suffix("").name)
        size = _size(content)
    except (DataError, *MALFORMED) as error:
        text = f"{file}: not a labelme file: {error}; left out"
        problems.append(Problem.error("unreadable annotation file", text))
        return
    groups, boxes = {}, []
    for number, shape in enumerate(shapes, start=1):
        where = f"{file}: shape {number}"
        box = _box(shape, where, problems)
        if box is None:
            continue
        group = shape.get("group_id")
        if group is None:
            boxes.append(box)
        else:
            groups.setdefault((str(group), box.name), []).append(box)
    boxes.extend(_merged(parts) for parts in groups.values())
    yield Found(tuple(filter(None, names)), file, f"{file}", size, boxes)


def _size(content):
    height, width = content.get("imageHeight"), content.get("imageWidth")
    return (int(height), int(width)) if height and width else ()


def _box(shape, where, problems):
    """The `LabelledBox` of a shape; None, with a problem, where it has none."""
    try:
        kind, points = shape.get("shape_type") or "polygon", shape["points"]
        name, ignore = shape["label"], _is_ignored(shape)
        points = [parsing.numbers(point) for point in points]
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
    except MALFORMED as error:
        text = f"{where}: not a shape of labelme's: {error!r}; left out"
        problems.append(Problem.error("bad object", text))
        return None


def _is_ignored(shape):
    if str(shape["label"]).strip() == _IGNORED:
        return True
    flags = {**(shape.get("flags") or {}), **(shape.get("attributes") or {})}
    return parsing.is_ignored({**flags, "difficult": shape.get("difficult")})


def _merged(parts):
    """One box around the parts of one object."""
    points = [(x, y) for part in parts for y, x in (part.box[:2], part.box[2:])]
    return parts[0]._replace(box=corners(points), ignore=any(part.ignore for part in parts))
