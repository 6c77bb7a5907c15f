"""COCO annotation and result files made elsewhere, for scoring alone: images need not exist.

Boxes keep the file's precision, float64, so that what is counted is what the file says.
"""

import pathlib
import sys

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
    content, parts = coco_file.load(pathlib.Path(path))
    rows = _places(content["images"], f"{path}: images")
    entries = content["categories"]
    categories = [entry for i, entry in enumerate(entries) if entry not in entries[:i]]  # no copies
    class_of, problems = _places(categories, f"{path}: categories"), []
    names = [category.get("name") for category in categories]
    for k, name in enumerate(names):
        if not isinstance(name, str):
            raise DataError(
                f"{path}: categories[{k}]: 'name' is {name!r}; expected the class's name"
            )
    objects = read_objects(parts, list(rows), class_of, False, path, problems)
    _check_boxes(objects, path, problems)
    errors = [p for p in problems if p.severity == "error" and p.kind != "repeated annotation id"]
    if errors:
        raise DataError(f"{errors[0]}; {len(errors)} annotations cannot be meant")
    if not len(objects["rows"]):
        raise DataError(f"{path}: no annotations, so there is nothing to score against")
    refuse_relative(objects["boxes"], path)
    for line in summary(problems):
        logging.warning("%s", line)
    records = _records(content["images"], objects)
    return Dataset(pathlib.Path(path).stem, records, names, list(class_of))


def read_results(path, dataset):
    """The `Detections` of a result file on the images and categories of a `Dataset`.

    Raises FileNotFoundError, or DataError naming file, entry, what was found and what to do."""
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
        sides = image.get("height"), image.get("width")
        height, width = (int(side) if _is_number(side) else 0 for side in sides)
        name = str(image.get("file_name", ""))
        records.append(Record(own_id, name, height, width, *part, source_id=source_id))
    return records


def _corners(boxes):
    """float64 [n, 4] (ymin, xmin, ymax, xmax) of boxes (x, y, width, height)."""
    x, y, width, height = np.asarray(boxes, np.float64).reshape(-1, 4).T
    return np.stack([y, x, y + height, x + width], axis=1)


def _places(entries, where):
    """{`id`: its place} of images or categories."""
    found = {}
    for index, entry in enumerate(entries):
        key = plain_id(entry.get("id"))
        if key is None or key in found:
            raise DataError(
                f"{where}[{index}]: 'id' is {entry.get('id')!r}; expected a whole number or text "
                "that no other entry has"
            )
        found[key] = index
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
    box, score = entry.get("bbox"), entry.get("score")
    if not (
        isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)) and min(box[2:]) >= 0
    ):
        raise DataError(
            f"{where}: 'bbox' is {box!r}; expected [x, y, width, height] in px, finite, sides not "
            "negative"
        )
    if not _is_number(score):
        raise DataError(f"{where}: 'score' is {score!r}; expected a finite number")


def _is_number(value):
    """Whether a value of JSON is a number, and one that a float holds."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _few(values):
    listed = ", ".join(map(str, sorted(values, key=str)[:4]))
    return listed + (", ..." if len(values) > 4 else "")
