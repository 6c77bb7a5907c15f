"""Objects and detections of a data set as columns, which metrics and analyses count.

Shape letters: I images, K foreground classes, G objects, D detections, P pairs.
"""

import typing

import numpy as np

from lhrcnn.errors import DataError
from lhrcnn.evaluation.detections import to_sides

IOUS = np.arange(50, 100, 5) / 100


class Objects(typing.NamedTuple):
    """What is to be found. Images and classes are row numbers, from 0."""

    images: np.ndarray  # [G] int64
    classes: np.ndarray  # [G] int64
    boxes: np.ndarray  # [G, 4] float64 (x, y, width, height), px
    areas: np.ndarray  # [G] float64, px^2
    crowd: np.ndarray  # [G] bool: to be ignored


class Found(typing.NamedTuple):
    """What was found."""

    images: np.ndarray  # [D] int64
    classes: np.ndarray  # [D] int64
    boxes: np.ndarray  # [D, 4] float64 (x, y, width, height), px
    scores: np.ndarray  # [D] float64


def image_rows(dataset):
    """int64 [I], the ids of all images in rising order: an image's row is where its id stands.

    Libraries get rows for ids: some drop negative ids, take 0 for none, or merge large ones. The
    order is that of the ids because equal scores of different images rank by it."""
    return np.sort(np.asarray([record.image_id for record in dataset.records], np.int64))


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


def objects_of(dataset, rows):
    """The `Objects` of a `Dataset`, crowds where a box is to be ignored; `rows` of `image_rows`."""
    counts = [len(record.classes) for record in dataset.records]
    ids = np.asarray([record.image_id for record in dataset.records], np.int64)
    boxes = boxes_of(dataset)
    # Gives back the decimals of a file: an IoU may lie exactly on a threshold.
    decimals = 3 if boxes.dtype == np.float32 else 9
    return Objects(
        np.repeat(np.searchsorted(rows, ids), counts),
        _column(dataset, "classes", np.zeros([0], np.int64)),
        to_sides(boxes).round(decimals),
        _column(dataset, "areas", np.zeros([0], np.float64)),
        _column(dataset, "ignore", np.zeros([0], bool)),
    )


def boxes_of(dataset):
    """[G, 4] (ymin, xmin, ymax, xmax) px of all objects of a `Dataset`, as it has them."""
    return _column(dataset, "boxes", np.zeros([0, 4], np.float32))


def found_of(detections, rows):
    """The `Found` of `Detections`; `rows` of `image_rows`."""
    return Found(
        rows_of(detections.image_ids, rows),
        np.asarray(detections.classes, np.int64),
        detections.sides(),
        np.asarray(detections.scores, np.float64),
    )


def names_of(dataset):
    """Names of the classes; one that two classes share gets its category id added."""
    names = dataset.class_names
    return [
        name if names.count(name) == 1 else f"{name} ({category_id})"
        for name, category_id in zip(names, dataset.category_ids)
    ]


def pairs_of(keys, others):
    """(place among keys [P], place among others [P]) of every pair of the same number, key by
    key."""
    order = np.argsort(others, kind="stable")
    ordered = others[order]
    start = np.searchsorted(ordered, keys, side="left")
    counts = np.searchsorted(ordered, keys, side="right") - start
    first = np.repeat(np.arange(len(keys)), counts)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, order[np.repeat(start, counts) + offset]


def closest(first, second, overlap, number):
    """(overlap [number], place [number]) of what each of so many boxes overlaps most, of pairs as
    `pairs_of` gives them, the first one of equals; 0 and -1 for a box without a pair."""
    most, place = np.zeros(number), np.full(number, -1)
    order = np.lexsort((-second, overlap))  # what is written last stays
    most[first[order]], place[first[order]] = overlap[order], second[order]
    return most, place


def mean_of_known(values, axes=None):
    """The mean over axes of what is no NaN: `np.nanmean`, but without its warning where there is
    nothing, as for a class without an object."""
    known = ~np.isnan(values)
    number, sums = known.sum(axes), np.where(known, values, 0).sum(axes)
    return np.divide(sums, number, out=np.full(number.shape, np.nan), where=number > 0)


def _column(dataset, name, start):
    """An attribute of all records of a `Dataset`, one after the other, after the empty `start`."""
    return np.concatenate([start, *(getattr(record, name) for record in dataset.records)])
