"""COCO annotation and result files made elsewhere, for scoring alone: images need not exist.

Boxes keep the file's precision, float64, so that what is counted is what the file says.
"""

import math
import numbers
import pathlib

import numpy as np
from absl import logging

from lhrcnn.data.datasets import refuse_relative, summary
from lhrcnn.data.readers import coco_file
from lhrcnn.data.readers.coco_objects import plain_id, read_objects
from lhrcnn.data.readers.lookup import read_json
from lhrcnn.data.readers.records import own_image_ids
from lhrcnn.data.schema import Dataset, Problem, Record
from lhrcnn.errors import DataError
from lhrcnn.evaluation.detections import Detections


def read_annotations(path):
    """The `Dataset` of an annotation file, its classes in the file's order.

    Ids, flags, areas and boxes are read as the COCO reader reads them, but boxes are not clipped;
    empty ones are dropped. Raises FileNotFoundError, or DataError naming file, annotation and what
    is allowed."""
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    content, parts = coco_file.load(pathlib.Path(path))
    image_ids = _ids(content["images"], f"{path}: images")
    entries = content["categories"]
    categories = [entry for i, entry in enumerate(entries) if entry not in entries[:i]]  # no copies
    category_ids = _ids(categories, f"{path}: categories")
    class_of, problems = {key: k for k, key in enumerate(category_ids)}, []
    objects = read_objects(parts, list(image_ids), class_of, False, path, problems)
    _check_boxes(objects, path, problems)
    errors = [p for p in problems if p.severity == "error" and p.kind != "repeated annotation id"]
    if errors:
        raise DataError(f"{errors[0]}; {len(errors)} annotations cannot be meant")
    if not len(objects["rows"]):
        raise DataError(f"{path}: no annotations, so there is nothing to score against")
    refuse_relative(objects["boxes"], path)
    for line in summary(problems):
        logging.warning("%s", line)
    names = [category["name"] for category in categories]
    records = _records(content["images"], objects)
    return Dataset(pathlib.Path(path).stem, records, names, list(category_ids))


def read_results(path, dataset):
    """The `Detections` of a result file on the images and categories of a `Dataset`.

    Raises FileNotFoundError, or DataError naming file, entry, what was found and what to do."""
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    results = read_json(path)
    if not isinstance(results, list):
        hint = (
            "; this looks like annotations, give them as --annotations"
            if isinstance(results, dict) and "images" in results
            else ""
        )
        raise DataError(
            f"{path}: expected a list of detections at the top, found a "
            f"{type(results).__name__}{hint}"
        )
    class_of = {category_id: k for k, category_id in enumerate(dataset.category_ids)}
    image_ids = {plain_id(record.shown_id): record.image_id for record in dataset.records}
    for index, result in enumerate(results):
        _check_entry(result, f"{path}: entry {index}", image_ids, class_of)
        if not _is_number(result.get("score")):
            raise DataError(
                f"{path}: entry {index}: 'score' is {result.get('score')!r}; expected a finite "
                "number"
            )
    boxes = _corners([result["bbox"] for result in results])
    refuse_relative(boxes, path)
    return Detections(
        np.asarray([image_ids[plain_id(result["image_id"])] for result in results], np.int64),
        boxes,
        np.asarray([result["score"] for result in results], np.float64),
        np.asarray([class_of[plain_id(result["category_id"])] for result in results], np.int32),
    )


def _check_boxes(objects, path, problems):
    """Drops empty boxes of the columns; a warning for them, an error where one cannot be meant."""
    boxes = objects["boxes"]
    sides = boxes[:, 2:] - boxes[:, :2]
    wrong = ~np.isfinite(boxes).all(1) | (sides < 0).any(1)
    empty = ~wrong & (sides == 0).any(1)
    for row in boxes[wrong][:1]:
        text = f"{path}: a box (ymin, xmin, ymax, xmax) is ({', '.join(map(str, row))}); expected "
        problems.append(Problem.error("wrong box", text + "finite numbers, sides not negative"))
    if empty.any():
        text = f"{path}: {empty.sum()} boxes have no height or no width; dropped"
        problems.append(Problem.warning("empty box", text))
    for name, values in objects.items():
        objects[name] = values[~empty]


def _records(images, objects):
    """A `Record` of each image entry, with its objects among the columns."""
    boxes, areas = objects["boxes"], objects["areas"]
    own = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    areas = np.where(np.isfinite(areas) & (areas >= 0), areas, own)
    order = np.argsort(objects["rows"], kind="stable")
    ends = np.cumsum(np.bincount(objects["rows"], minlength=len(images)))
    columns = boxes, objects["classes"], objects["ignore"], areas
    parts = zip(*(np.split(column[order], ends[:-1]) for column in columns))
    ids = own_image_ids([image["id"] for image in images])
    records = []
    for image, part, (own_id, source_id) in zip(images, parts, ids):
        name, size = image.get("file_name", ""), (image.get("height"), image.get("width"))
        height, width = (int(side or 0) for side in size)
        records.append(Record(own_id, str(name), height, width, *part, source_id=source_id))
    return records


def _corners(boxes):
    """float64 [n, 4] (ymin, xmin, ymax, xmax) of boxes (x, y, width, height)."""
    x, y, width, height = np.asarray(boxes, np.float64).reshape(-1, 4).T
    return np.stack([y, x, y + height, x + width], axis=1)


def _ids(entries, where):
    """The `id`s of images or categories, as keys in the file's order."""
    found = {}
    for index, entry in enumerate(entries):
        identity = plain_id(entry.get("id")) if isinstance(entry, dict) else None
        if identity is None or identity in found:
            raise DataError(
                f"{where}[{index}]: 'id' is {identity!r}; expected a whole number or text that no "
                "other entry has"
            )
        if where.endswith("categories") and not isinstance(entry.get("name"), str):
            raise DataError(
                f"{where}[{index}]: 'name' is {entry.get('name')!r}; expected the class's name"
            )
        found[identity] = None
    if not found:
        raise DataError(f"{where}: the list is empty; there is nothing to score against")
    return found


def _check_entry(entry, where, image_ids, category_ids):
    if not isinstance(entry, dict):
        raise DataError(
            f"{where}: found {entry!r}; expected an object with image_id, category_id and bbox"
        )
    for key, known, of_what in (
        ("image_id", image_ids, "images"),
        ("category_id", category_ids, "categories"),
    ):
        if plain_id(entry.get(key)) not in known:
            raise DataError(
                f"{where}: '{key}' is {entry.get(key)!r}, not among the {len(known)} {of_what} of "
                f"the annotations ({_few(known)}); detections and annotations must be of the same "
                "data set and split"
            )
    box = entry.get("bbox")
    if not (
        isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)) and min(box[2:]) >= 0
    ):
        raise DataError(
            f"{where}: 'bbox' is {box!r}; expected [x, y, width, height] in px, finite, sides not "
            "negative"
        )


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _few(values):
    listed = ", ".join(map(str, sorted(values, key=str)[:4]))
    return listed + (", ..." if len(values) > 4 else "")
