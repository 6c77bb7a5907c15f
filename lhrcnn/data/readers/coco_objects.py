"""Categories and annotations of a COCO file, as classes and columns of objects."""

import collections
import re

import numpy as np

from lhrcnn.data.readers import parsing
from lhrcnn.data.readers.segmentation import segmentation_box
from lhrcnn.data.schema import Problem
from lhrcnn.errors import DataError

# Outside these shares of its box's, an area cannot be that of the object.
_AREA_SHARES = (0.001, 2.0)


def plain_id(value):
    """An id by which entries are matched: 7 of 7, 7.0 and "7"; None for what is no id."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,999}\s*", value):
        return int(value)
    return value if isinstance(value, str) else None


class Categories:
    """The classes of a file in the order of their ids: `names`, `ids`, and `class_of` an id."""

    def __init__(self, entries, file, problems):
        """Raises DataError where entries contradict each other."""
        self.file, by_id = file, {}
        for entry in entries:
            key, name = plain_id(entry.get("id")), entry.get("name")
            if key is None or name is None:
                text = f"each of 'categories' needs an 'id' and a 'name'; found {entry!r}"
                raise DataError(f"{file}: {text}")
            if str(by_id.setdefault(key, entry)["name"]) != str(name):
                text = f"category id {key!r} stands more than once in 'categories', for "
                raise DataError(f"{file}: {text}'{by_id[key]['name']}' and '{name}'")
        if len(by_id) < len(entries):
            text = f"{file}: {len(entries) - len(by_id)} of 'categories' stand twice; merged"
            problems.append(Problem.note("repeated category", text))
        keys = sorted(by_id, key=lambda key: (isinstance(key, str), key))
        self.names = [str(by_id[key]["name"]) for key in keys]
        self.above = [str(by_id[key].get("supercategory")) for key in keys]
        self.class_of = {key: k for k, key in enumerate(keys)}
        self.ids = keys if all(type(key) is int for key in keys) else list(range(1, len(keys) + 1))

    def settle(self, objects, problems):
        """Takes out a class without objects that is the supercategory of all others, as Roboflow
        writes it. Raises DataError where two of the rest have one name."""
        counts = np.bincount(objects["classes"], minlength=len(self.names))
        for k, name in enumerate(self.names):
            others = self.above[:k] + self.above[k + 1 :]
            if counts[k] == 0 and others and all(above == name for above in others):
                text = f"{self.file}: category '{name}' only holds the others; it is no class"
                problems.append(Problem.note("root category", text))
                del self.names[k], self.ids[k], self.above[k]
                objects["classes"] -= objects["classes"] > k
                break
        for name, count in collections.Counter(self.names).items():
            if count > 1:
                text = f"category name '{name}' stands more than once in 'categories'"
                raise DataError(f"{self.file}: {text}, with different ids; give each its own")


def read_objects(parts, image_ids, class_of, use_difficult, file, problems):
    """Columns of the objects in lists of annotations, in their order, for `records.make_records`.

    class_of: {category id: class}. {"rows" [n] of their images, "boxes" [n, 4] px, "classes" [n],
    "ignore" [n], "areas" [n], NaN where there is none}."""
    reader = _Reader({key: row for row, key in enumerate(image_ids)}, class_of, use_difficult)
    columns = [reader.columns(part) for part in parts if part] or [reader.columns([])]
    rows, boxes, classes, ignore, areas, ids = (np.concatenate(each) for each in zip(*columns))
    problems.extend(Problem(s, kind, f"{file}: {text}") for s, kind, text in reader.problems)
    keep = _first_of_each(ids, [image_ids[row] for row in rows.tolist()], file, problems)
    rows, boxes, classes, ignore, areas, ids = (
        values[keep] for values in (rows, boxes, classes, ignore, areas, ids)
    )
    own = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    low, high = _AREA_SHARES
    with np.errstate(invalid="ignore"):
        odd = (own > 0) & ((areas < low * own) | (areas > high * own) | np.isinf(areas))
    if odd.any():
        first = np.flatnonzero(odd)[0]
        reader.say("area that cannot be meant", ids[first], odd.sum(), "the box's is taken")
        areas[odd] = np.nan
    for kind, (count, first, done) in reader.notes.items():
        text = f"{file}: {count} objects, the first is annotation id {first}: {done}"
        problems.append(Problem.note(kind, text))
    return {"rows": rows, "boxes": boxes, "classes": classes, "ignore": ignore, "areas": areas}


def _first_of_each(ids, image_ids, file, problems):
    """Which annotations are the first of their id; an error for each other one."""
    keep = np.ones(len(ids), bool)
    try:
        if len(np.unique(ids.astype(np.int64))) == len(ids):
            return keep
    except parsing.MALFORMED:
        pass  # without ids, or with text
    seen = set()
    for i, annotation_id in enumerate(ids.tolist()):
        known = isinstance(annotation_id, (int, float, str))
        if not known or annotation_id not in seen:
            seen.update([annotation_id] if known else ())
            continue
        keep[i] = False
        where = f"{file}: annotation id {annotation_id} (image id {image_ids[i]})"
        text = f"{where}: this annotation id stands twice; the second is left out"
        problems.append(Problem.error("repeated annotation id", text))
    return keep


class _Reader:
    """Turns annotations into columns: fast where all are as COCO's own, else one by one."""

    def __init__(self, row_of, class_of, use_difficult):
        self.row_of, self.class_of, self.use_difficult = row_of, class_of, use_difficult
        self.problems, self.notes = [], {}

    def say(self, kind, annotation_id, count, done):
        """Counts what is noted once."""
        before, first, _ = self.notes.get(kind, (0, annotation_id, done))
        self.notes[kind] = (before + int(count), first, done)

    def columns(self, annotations):
        """(rows, boxes, classes, ignore, areas, ids) of a list of annotations, arrays."""
        try:
            return self._usual(annotations)
        except parsing.MALFORMED:
            found = [self._object(annotation) for annotation in annotations]
        rows, boxes, classes, ignore, areas, ids = (
            zip(*filter(None, found)) if any(found) else [()] * 6
        )
        return self._arrays(rows, boxes, classes, ignore, areas, ids)

    def _usual(self, annotations):
        """As `columns`. Raises an error where one annotation is not as COCO's own."""
        if {"ignore", "difficult", "attributes", "rotation"} & set().union(*annotations):
            raise ValueError("marks of other tools")
        rows = [self.row_of[annotation["image_id"]] for annotation in annotations]
        classes = [self.class_of[annotation["category_id"]] for annotation in annotations]
        crowd = [annotation.get("iscrowd", 0) for annotation in annotations]
        areas = [annotation.get("area") for annotation in annotations]
        ids = [annotation.get("id") for annotation in annotations]
        if not {*map(type, crowd), *map(type, ids)} <= {int, type(None)} or not {*crowd} <= {0, 1}:
            raise ValueError("flags or ids of other tools")
        if not {*map(type, areas)} <= {int, float, type(None)}:
            raise ValueError("areas of other tools")
        boxes = np.array([annotation["bbox"] for annotation in annotations], np.float64)
        boxes = boxes.reshape(len(annotations), 4)[:, [1, 0, 3, 2]]
        boxes[:, 2:] += boxes[:, :2]
        return self._arrays(rows, boxes, classes, crowd, areas, ids)

    def _arrays(self, rows, boxes, classes, ignore, areas, ids):
        own_ids = np.empty(len(ids), object)
        own_ids[:] = ids
        if ids and {*map(type, ids)} == {int} and max(ids) < 2**63 and min(ids) >= -(2**63):
            own_ids = np.array(ids, np.int64)
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        numbers = np.array(rows, np.int64), boxes, np.array(classes, np.int32)
        return *numbers, np.array(ignore, bool), np.array(areas, np.float64), own_ids

    def _object(self, annotation):
        """A row of the columns, or None with an error."""
        image_id, category_id = annotation.get("image_id"), annotation.get("category_id")
        annotation_id, row = annotation.get("id"), self.row_of.get(plain_id(image_id))
        where = f"annotation id {annotation_id} (image id {image_id})"
        k, box = self.class_of.get(plain_id(category_id)), self._box(annotation)
        if row is None:
            self._refuse("unknown image id", f"{where}: no such image id among 'images'")
        elif k is None:
            known = ", ".join(map(str, list(self.class_of)[:20]))
            text = f"{where}: unknown category id {category_id!r}; 'categories' have {known}"
            self._refuse("unknown category id", text)
        elif box is None:
            found = f"bbox is {annotation.get('bbox')!r} and there is no polygon or RLE"
            text = f"{where}: {found}; expected [x, y, width, height] in px"
            self._refuse("annotation without a box", text)
        else:
            return row, box, k, self._ignored(annotation), self._area(annotation), annotation_id
        return None

    def _refuse(self, kind, text):
        self.problems.append(("error", kind, text))

    def _box(self, annotation):
        """(ymin, xmin, ymax, xmax) of an annotation; None where it has none."""
        annotation_id = annotation.get("id")
        try:
            x, y, width, height = map(float, annotation["bbox"])
        except parsing.MALFORMED:
            try:
                box = segmentation_box(annotation.get("segmentation"))
            except parsing.MALFORMED:
                return None
            if box:
                self.say(
                    "box of a segmentation", annotation_id, 1, "its polygon or RLE has the box"
                )
            return box
        attributes = annotation.get("attributes")
        turn = attributes.get("rotation", 0) if isinstance(attributes, dict) else 0
        turn = turn or annotation.get("rotation") or 0
        box = y, x, y + height, x + width
        if parsing.is_number(str(turn)) and float(turn) % 180:
            self.say("turned box", annotation_id, 1, "the box around the turned one is taken")
            return parsing.turned_box(box, float(turn))
        return box

    def _ignored(self, annotation):
        if parsing.is_true(annotation.get("iscrowd")):
            return True
        attributes = annotation.get("attributes")
        marks = [{key: annotation.get(key) for key in ("ignore", "difficult")}]
        marks += [attributes] if isinstance(attributes, dict) else []
        if not any(parsing.is_ignored(mark, self.use_difficult) for mark in marks):
            return False
        done = "marked as to be ignored; neither learnt nor counted"
        self.say("ignored objects", annotation.get("id"), 1, done)
        return True

    def _area(self, annotation):
        area = annotation.get("area")
        if area is None or isinstance(area, (int, float)):
            return area
        if isinstance(area, str) and parsing.is_number(area):
            return float(area)
        self.say("area that cannot be meant", annotation.get("id"), 1, "the box's is taken")
        return None
