"""Average precision of ImageNet DET, counted as the ILSVRC development kit does.

By falling score each detection takes, of the objects of its class and image that no better one
took, the one it overlaps most among those it overlaps enough: IoU >= min(0.5, w h / ((w + 10) (h
+ 10))) for an object of w x h px, which forgives 5 px on each side of small ones. What finds
none is false, duplicates too. Pairs of an image and a class on the blacklist do not count in any
way. The kit knows no difficult objects; here one that is met by a detection without another
object makes it count neither way.
"""

import numpy as np

from lhrcnn.evaluation.columns import mean_of_known, names_of
from lhrcnn.evaluation.metrics.voc import Truth, average_precision

MAX_IOU, TOLERANCE_PX = 0.5, 10.0
_CHUNK = 1 << 17  # detections compared at once, which bounds memory


def ilsvrc_metrics(dataset, detections, options=None):
    """{"mAP": ..., "per_class": {class name: AP}}, an entry of `METRICS`.

    AP is the area under the curve; `unlabelled` of the records is the blacklist. A class without an
    object that counts has AP NaN and stays out of the mean."""
    del options
    truth = Truth(dataset)
    order = np.argsort(-detections.scores, kind="stable")
    image_ids, classes = detections.image_ids[order], detections.classes[order]
    boxes = np.asarray(detections.boxes, np.float64)[order]
    pairs = [(record.image_id, k) for record in dataset.records for k in record.unlabelled]
    blacklist = truth.keys_of(*np.array(pairs, np.int64).reshape(-1, 2).T)
    neutral = np.isin(truth.keys_of(image_ids, classes), blacklist)
    counted = ~truth.difficult[:-1] & ~np.isin(truth.keys, blacklist)
    detection, found = _close_pairs(truth, image_ids, classes, boxes)
    true = _greedy(detection[counted[found]], found[counted[found]], truth.keys, len(order))
    neutral[detection[~counted[found]]] = True
    neutral &= ~true
    needed = truth.counts(counted)
    values = [
        average_precision(true[(classes == k) & ~neutral], needed[k], eleven_point=False)
        for k in range(dataset.num_classes)
    ]
    return {
        "mAP": float(mean_of_known(np.array(values))),
        "per_class": dict(zip(names_of(dataset), values)),
    }


def _close_pairs(truth, image_ids, classes, boxes):
    """(detection [P], object [P]) of the pairs that overlap enough, by detection and then by
    falling IoU."""
    sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
    thresholds = np.minimum(MAX_IOU, (sides / (sides + TOLERANCE_PX)).prod(axis=1))
    parts = [np.zeros([2, 0], np.int64)]
    for start in range(0, len(boxes), _CHUNK):
        part = slice(start, start + _CHUNK)
        detection, found, iou = truth.pairs(image_ids[part], classes[part], boxes[part])
        close = np.flatnonzero((iou >= thresholds[found]) & (iou > 0))
        close = close[np.lexsort((found[close], -iou[close], detection[close]))]
        parts.append(np.stack([detection[close] + start, found[close]]))
    return np.concatenate(parts, axis=1)


def _greedy(detection, found, group, number):
    """bool [number], True for the detections that take an object; pairs as `_close_pairs` sorts
    them, `group` [T] of each object.

    In each round the best detection left in every group takes its closest object, so there are
    as many rounds as a group has objects."""
    true, taken = np.zeros(number, bool), np.zeros(len(group), bool)
    while len(detection):
        _, first = np.unique(group[found], return_index=True)
        true[detection[first]] = True
        taken[found[first]] = True
        left = ~(true[detection] | taken[found])
        detection, found = detection[left], found[left]
    return true
