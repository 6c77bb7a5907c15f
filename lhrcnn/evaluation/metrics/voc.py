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
from lhrcnn.evaluation.metrics.coco import column_of, image_rows, names_of, rows_of

IOUS = np.arange(50, 100, 5) / 100
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
    best_iou, best_truth = truth.best_match(
        detections.image_ids[order], classes, np.asarray(detections.boxes, np.float64)[order]
    )
    num_objects = [truth.num_objects(k) for k in range(dataset.num_classes)]
    table = np.full([len(IOUS), dataset.num_classes], np.nan)
    for row, threshold in enumerate(IOUS):
        matched = best_iou >= threshold
        neutral = matched & truth.difficult[best_truth]
        true = np.zeros(len(order), bool)
        candidates = np.flatnonzero(matched & ~neutral)
        true[candidates[np.unique(best_truth[candidates], return_index=True)[1]]] = True
        for k, number in enumerate(num_objects):
            table[row, k] = average_precision(true[(classes == k) & ~neutral], number, eleven_point)
    known = table[:, np.array(num_objects, int) > 0]
    means = known.mean(axis=1) if known.size else np.full(len(IOUS), np.nan)
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
    """All objects, sorted by image and class so that a detection's rivals are one slice."""

    def __init__(self, dataset):
        self.num_classes, self.image_ids = max(dataset.num_classes, 1), image_rows(dataset)
        ids = np.asarray([record.image_id for record in dataset.records], np.int64)
        image_ids = np.repeat(ids, [len(record.classes) for record in dataset.records])
        classes = column_of(dataset, "classes", np.zeros([0], np.int32))
        keys = self.keys_of(image_ids, classes)
        order = np.argsort(keys, kind="stable")
        self.keys, self.classes = keys[order], classes[order]
        self.boxes = column_of(dataset, "boxes", np.zeros([0, 4]))[order]
        # One entry more, for the index of detections that meet no object at all.
        difficult = column_of(dataset, "ignore", np.zeros([0], bool))
        self.difficult = np.append(difficult[order], False)

    def keys_of(self, image_ids, classes):
        """A number for each pair of an image and a class.

        Raises DataError for an image that the data set does not have."""
        return rows_of(image_ids, self.image_ids) * self.num_classes + classes

    def num_objects(self, k):
        return int(np.sum((self.classes == k) & ~self.difficult[:-1]))

    def best_match(self, image_ids, classes, boxes):
        """(IoU [D], index [D]) of the closest object of each detection's image and class.

        Without any they are 0 and one past the last."""
        best_iou, best_truth = np.zeros(len(boxes)), np.full(len(boxes), len(self.keys))
        detection, rivals, overlaps = self.pairs(image_ids, classes, boxes)
        if len(detection):
            some, first_pair = np.unique(detection, return_index=True)
            best_iou[some] = np.maximum.reduceat(overlaps, first_pair)
            is_best = overlaps == best_iou[detection]
            places = np.where(is_best, np.arange(len(rivals)), len(rivals))
            best_truth[some] = rivals[np.minimum.reduceat(places, first_pair)]
        return best_iou, best_truth

    def pairs(self, image_ids, classes, boxes):
        """(detection [P], object [P], IoU [P]) of every detection with every object of its class.

        Both are of one image; pairs come detection by detection."""
        keys = self.keys_of(image_ids, classes)
        start = np.searchsorted(self.keys, keys, side="left")
        counts = np.searchsorted(self.keys, keys, side="right") - start
        detection = np.repeat(np.arange(len(keys)), counts)
        rivals = np.repeat(start - (np.cumsum(counts) - counts), counts) + np.arange(len(detection))
        return detection, rivals, iou(boxes[detection], self.boxes[rivals])
