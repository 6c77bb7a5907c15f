"""COCO annotation and result files made elsewhere, for scoring alone: images need not exist.

Boxes keep the file's precision, float64, so that what is counted is what the file says.
"""

import contextlib
import dataclasses
import json
import math
import numbers
import pathlib

import numpy as np
from absl import logging

from lhrcnn.data.readers.coco_objects import plain_id
from lhrcnn.data.readers.parsing import is_true
from lhrcnn.data.readers.records import own_image_ids
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.errors import DataError
from lhrcnn.evaluation.detections import Detections


def read_annotations(path):
    """The `Dataset` of an annotation file, its classes in the file's order.

    Crowds are to be ignored; a missing `area` is the box's, a missing `iscrowd` 0. Raises
    FileNotFoundError, or DataError naming file, entry and what is allowed."""
    content = _read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(
                f"{path}: no list '{key}' at the top; expected COCO annotations with images, "
                "annotations and categories"
            )
    image_ids = _ids(content["images"], f"{path}: images")
    category_ids = _ids(content["categories"], f"{path}: categories")
    objects, seen = {image_id: [] for image_id in image_ids}, set()
    for index, annotation in enumerate(content["annotations"]):
        _check_entry(annotation, f"{path}: annotations[{index}]", image_ids, category_ids)
        if annotation.get("id") is not None and annotation["id"] in seen:
            text = "%s: annotations[%d]: id %r stands twice; the second is left out"
            logging.warning(text, path, index, annotation["id"])
            continue
        seen.add(annotation.get("id"))
        objects[plain_id(annotation["image_id"])].append(annotation)
    class_of = {category_id: k for k, category_id in enumerate(category_ids)}
    ids = own_image_ids([image["id"] for image in content["images"]])
    records = [
        dataclasses.replace(_record(image, found, class_of), image_id=own, source_id=source)
        for image, found, (own, source) in zip(content["images"], objects.values(), ids)
    ]
    names = [category["name"] for category in content["categories"]]
    return Dataset(pathlib.Path(path).stem, records, names, list(category_ids))


def read_results(path, dataset):
    """The `Detections` of a result file on the images and categories of a `Dataset`.

    Raises FileNotFoundError, or DataError naming file, entry, what was found and what to do."""
    results = _read_json(path)
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
    return Detections(
        np.asarray([image_ids[plain_id(result["image_id"])] for result in results], np.int64),
        _corners([result["bbox"] for result in results]),
        np.asarray([result["score"] for result in results], np.float64),
        np.asarray([class_of[plain_id(result["category_id"])] for result in results], np.int32),
    )


def _record(image, objects, class_of):
    boxes = [entry["bbox"] for entry in objects]
    areas = [_area(entry) for entry in objects]
    return Record(
        image["id"],
        str(image.get("file_name", "")),
        int(image.get("height") or 0),
        int(image.get("width") or 0),
        boxes=_corners(boxes),
        classes=np.asarray([class_of[plain_id(e["category_id"])] for e in objects], np.int32),
        ignore=np.asarray([is_true(entry.get("iscrowd")) for entry in objects], bool),
        areas=np.asarray(areas, np.float64),
    )


def _area(entry):
    """The area of an annotation, px^2; its box's where it has none that can be meant."""
    _, _, width, height = entry["bbox"]
    with contextlib.suppress(TypeError, ValueError):
        area = float(entry.get("area"))
        if 0 <= area < math.inf:
            return area
    return width * height


def _corners(boxes):
    """float64 [n, 4] (ymin, xmin, ymax, xmax) of boxes (x, y, width, height)."""
    x, y, width, height = np.asarray(boxes, np.float64).reshape(-1, 4).T
    return np.stack([y, x, y + height, x + width], axis=1)


def _read_json(path):
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from None


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
