"""PASCAL VOC average precision, counted as the VOC development kit does, and at higher IoUs than
its 0.5 too.

A detection belongs to the ground truth of its class and image that it overlaps most. From that
IoU up: the first such detection by score is true, later ones are false, and one whose ground
truth is difficult counts neither way. Difficult objects need not be found. The kit's inclusive
corners with +1 sides are our half-open boxes, so plain IoU gives its overlaps.
"""

import math

import numpy as np

from lhrcnn.data.overlaps import iou
from lhrcnn.evaluation.columns import (
    IOUS,
    boxes_of,
    closest,
    image_rows,
    mean_of_known,
    names_of,
    objects_of,
    pairs_of,
    rows_of,
)

# The kit's 0:0.1:1 in MATLAB counts from both ends: its fourth value lies a rounding above 0.3.
RECALL_POINTS = np.concatenate([np.arange(6) * 0.1, 1 - np.arange(4, -1, -1) * 0.1])


def voc07_metrics(dataset, detections, options=None):
    """VOC 2007's numbers, each class's AP being the mean of 11 precisions; see `voc_metrics`."""
    return voc_metrics(dataset, detections, options, eleven_point=True)


def voc_metrics(dataset, detections, options=None, eleven_point=False):
    """{"mAP", "mAP70", "mAP50_95", "per_class": {class name: AP}}, an entry of `METRICS`.

    `ignore` of the `Dataset` marks difficult objects. mAP and the classes' AP are at IoU 0.5, mAP70
    at 0.7, mAP50_95 is the mean over 0.5, 0.55 ... 0.95. AP is the area under the curve, as from
    VOC 2010 on, without `eleven_point`. A class without an object that is not difficult has AP NaN
    and stays out of the means."""
    del options
    truth = Truth(dataset)
    order = np.argsort(-detections.scores, kind="stable")
    classes = detections.classes[order]
    boxes = np.asarray(detections.boxes, np.float64)[order]
    pairs = truth.pairs(detections.image_ids[order], classes, boxes)
    best_iou, best_truth = closest(*pairs, len(order))
    num_objects = truth.counts(~truth.difficult[:-1])
    ends = np.cumsum(np.bincount(classes, minlength=dataset.num_classes))
    of_class = np.split(np.argsort(classes, kind="stable"), ends[:-1])
    table = np.full([len(IOUS), dataset.num_classes], np.nan)
    for row, threshold in enumerate(IOUS):
        matched = best_iou >= threshold
        neutral = matched & truth.difficult[best_truth]
        true = np.zeros(len(order), bool)
        candidates = np.flatnonzero(matched & ~neutral)
        true[candidates[np.unique(best_truth[candidates], return_index=True)[1]]] = True
        for k, (own, number) in enumerate(zip(of_class, num_objects)):
            table[row, k] = average_precision(true[own[~neutral[own]]], number, eleven_point)
    means = mean_of_known(table, 1)
    return {
        "mAP": float(means[0]),
        "mAP70": float(means[4]),
        "mAP50_95": float(means.mean()),
        "per_class": dict(zip(names_of(dataset), table[0].tolist())),
    }


def average_precision(true, num_objects, eleven_point):
    """AP in 0...1 of detections sorted by falling score; `true` [D] bool, `num_objects` to be
    found; NaN when that is 0."""
    if num_objects == 0:
        return math.nan
    found = np.cumsum(true)
    recall, precision = found / num_objects, found / np.arange(1, len(true) + 1)
    # Best precision at this recall or a higher one.
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    if eleven_point:
        return float(np.mean(envelope[np.searchsorted(recall, RECALL_POINTS, side="left")]))
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope[:-1]))


class Truth:
    """All objects, and which of them are rivals of a detection: those of its image and class."""

    def __init__(self, dataset):
        self._num_classes, self._rows = dataset.num_classes, image_rows(dataset)
        objects = objects_of(dataset, self._rows)
        self.boxes, self.classes = boxes_of(dataset).astype(np.float64), objects.classes
        self.keys = objects.images * self._num_classes + objects.classes
        # One entry more, for place -1 of detections that meet no object at all.
        self.difficult = np.append(objects.crowd, False)

    def keys_of(self, image_ids, classes):
        """A number for each pair of an image and a class.

        Raises DataError for an image that the data set does not have."""
        return rows_of(image_ids, self._rows) * self._num_classes + classes

    def counts(self, chosen):
        """int [K], the objects of a mask, of each class."""
        return np.bincount(self.classes[chosen], minlength=self._num_classes)

    def pairs(self, image_ids, classes, boxes):
        """(detection [P], object [P], IoU [P]) of every detection with each of its rivals,
        detection by detection."""
        detection, rivals = pairs_of(self.keys_of(image_ids, classes), self.keys)
        return detection, rivals, iou(boxes[detection], self.boxes[rivals])
