"""COCO's average precision and recall; a library counts them, they are never re-implemented here.

Shape letters: I images, K foreground classes, G objects, D detections, T IoU thresholds, R recalls.
"""

import math
import typing

import numpy as np

from lhrcnn.choices import resolve
from lhrcnn.errors import ConfigError, DataError
from lhrcnn.evaluation.detections import to_sides
from lhrcnn.evaluation.metrics import BACKENDS

STATISTICS = tuple("AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl".split())


class Objects(typing.NamedTuple):
    """What is to be found. Images and classes are row numbers, from 0."""

    images: np.ndarray  # [G] int64
    classes: np.ndarray  # [G] int64
    boxes: np.ndarray  # [G, 4] float64 (x, y, width, height), px
    areas: np.ndarray  # [G] float64, px^2
    crowd: np.ndarray  # [G] bool


class Found(typing.NamedTuple):
    """What was found."""

    images: np.ndarray  # [D] int64
    classes: np.ndarray  # [D] int64
    boxes: np.ndarray  # [D, 4] float64 (x, y, width, height), px
    scores: np.ndarray  # [D] float64


def coco_metrics(dataset, detections, options):
    """{"AP": ..., a number for each of STATISTICS, "per_class": {class name: AP}}, all in 0...1.

    An entry of `METRICS`. IoU 0.50:0.05:0.95, at most 1, 10 and 100 detections per image. NaN
    stands where COCO prints -1: there is nothing to find. options.backend says which of `BACKENDS`
    counts; all give the same numbers. Raises DataError for a detection of an unknown image."""
    if options.backend not in BACKENDS:
        raise ConfigError(
            f"'eval.backend': found {options.backend!r}, allowed: {', '.join(BACKENDS)}"
        )
    rows = image_rows(dataset)
    sizes = len(dataset.records), dataset.num_classes
    statistics, precision = resolve(BACKENDS[options.backend])(
        *sizes, objects_of(dataset, rows), found_of(detections, rows)
    )
    statistics = [float(value) if value > -1 else math.nan for value in statistics]
    return {
        **dict(zip(STATISTICS, statistics)),
        "per_class": dict(zip(names_of(dataset), map(_mean, np.moveaxis(precision, 2, 0)))),
    }


def image_rows(dataset):
    """int64 [I], the ids of all images in rising order: an image's row is where its id stands.

    Libraries get rows for ids: some drop negative ids, take 0 for none, or merge large ones. The
    order is that of the ids because equal scores of different images rank by it."""
    return np.sort(np.asarray([record.image_id for record in dataset.records], np.int64))


def objects_of(dataset, rows):
    """The `Objects` of a `Dataset`, crowds where a box is to be ignored; `rows` of `image_rows`."""
    counts = [len(record.classes) for record in dataset.records]
    ids = np.asarray([record.image_id for record in dataset.records], np.int64)
    boxes = column_of(dataset, "boxes", np.zeros([0, 4], np.float32))
    # Gives back the decimals of a file: an IoU may lie exactly on a threshold.
    decimals = 3 if boxes.dtype == np.float32 else 9
    return Objects(
        np.repeat(np.searchsorted(rows, ids), counts),
        column_of(dataset, "classes", np.zeros([0], np.int64)),
        to_sides(boxes).round(decimals),
        column_of(dataset, "areas", np.zeros([0], np.float64)),
        column_of(dataset, "ignore", np.zeros([0], bool)),
    )


def rows_of(image_ids, rows):
    """Where the ids of detections' images stand in `rows`. Raises DataError for one that the data
    set does not have."""
    places = np.minimum(np.searchsorted(rows, image_ids), max(len(rows) - 1, 0))
    known = rows[places] == image_ids if len(rows) else np.zeros(len(places), bool)
    if not known.all():
        raise DataError(
            f"a detection is of image {image_ids[~known][0]}, which the data set does not have"
        )
    return places


def found_of(detections, rows):
    """The `Found` of `Detections`; `rows` of `image_rows`."""
    return Found(
        rows_of(detections.image_ids, rows),
        np.asarray(detections.classes, np.int64),
        detections.sides(),
        np.asarray(detections.scores, np.float64),
    )


def column_of(dataset, name, start):
    """An attribute of all records of a `Dataset`, one after the other, after the empty `start`."""
    return np.concatenate([start, *(getattr(record, name) for record in dataset.records)])


def _mean(precision):
    """AP of precisions [T, R] of one class, NaN where there is nothing to find."""
    known = precision[precision > -1]
    return float(known.mean()) if len(known) else math.nan


def names_of(dataset):
    """Names of the classes; one that two classes share gets its category id added."""
    names = dataset.class_names
    return [
        name if names.count(name) == 1 else f"{name} ({category_id})"
        for name, category_id in zip(names, dataset.category_ids)
    ]
