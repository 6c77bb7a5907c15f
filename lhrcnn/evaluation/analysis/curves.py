"""Precision, recall, F1 and calibration of each class, and AP of weighted images.

AP as it is reported comes from a library (`metrics.coco`). Here it is counted again for images with
weights, which no library does: a resampled data set is one in which images count several times.
With all weights 1 both are the same, which the tests check.
"""

import typing

import numpy as np

RECALLS = np.linspace(0, 1, 101)
NUM_BINS = 10  # of scores, for their calibration


class ClassColumns(typing.NamedTuple):
    """What AP of one class needs: n detections by falling score, g objects that count.

    `true` and `ignored` are places among the n, rising, a row for each IoU; `before` [len(true
    row)] is how many ignored ones come before each true one."""

    images: np.ndarray  # [n]
    scores: np.ndarray  # [n]
    true: list
    ignored: list
    before: list
    objects: np.ndarray  # [g] the images of the objects

    def ap(self, weights=None, true_weight=1.0):
        """float64 [T] AP at each IoU, of images of `weights` [I] or 1 each; NaN without objects.

        true_weight: what a true detection counts in the precision, for a false one's 1."""
        of_detection = np.ones(len(self.images)) if weights is None else weights[self.images]
        number = len(self.objects) if weights is None else weights[self.objects].sum()
        total, values = np.cumsum(of_detection), np.full(len(self.true), np.nan)
        for row, places in enumerate(self.true if number else ()):
            here = of_detection[places]
            found = np.cumsum(here)
            ignored = np.append(0, np.cumsum(of_detection[self.ignored[row]]))
            false = total[places] - ignored[self.before[row]] - found
            some = here > 0
            found, false = found[some], false[some]
            gained = true_weight * found
            values[row] = interpolated(found / number, gained / (gained + false))
        return values


def interpolated(recall, precision):
    """COCO's AP: the mean of the best precision from each of 101 recalls up.

    recall and precision [n] after each true detection, by falling score."""
    return float(precision_at(recall, precision, RECALLS).mean())


def precision_at(recall, precision, recalls):
    """The best precision from each of `recalls` up; recall and precision [n] by falling score."""
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return best[np.searchsorted(recall, recalls, side="left")]


def columns_of(matches):
    """The `ClassColumns` of each class."""
    parts, real, is_true = [], ~matches.objects.crowd, matches.true
    for k in range(len(matches.names)):
        mine = np.flatnonzero(matches.found.classes == k)
        true = [np.flatnonzero(row[mine]) for row in is_true]
        ignored = [np.flatnonzero(row[mine]) for row in matches.ignored]
        before = [np.searchsorted(*rows) for rows in zip(ignored, true)]
        objects = matches.objects.images[real & (matches.objects.classes == k)]
        images, scores = matches.found.images[mine], matches.found.scores[mine]
        parts.append(ClassColumns(images, scores, true, ignored, before, objects))
    return parts


def curve(columns, row=0):
    """{"scores", "precision", "recall", "f1"} [n] of one class at the row-th IoU.

    One point for each score, the lowest last: all detections of at least that score."""
    true = np.zeros(len(columns.scores), bool)
    true[columns.true[row]] = True
    counted = np.ones(len(true), bool)
    counted[columns.ignored[row]] = False
    true, scores = true[counted], columns.scores[counted]
    last = np.r_[scores[1:] != scores[:-1], True][: len(scores)]
    found = np.cumsum(true)[last]
    number = np.flatnonzero(last) + 1
    objects = len(columns.objects)
    return {
        "scores": scores[last],
        "precision": found / number,
        "recall": found / max(objects, 1),
        "f1": 2 * found / np.maximum(number + objects, 1),
    }


def best_threshold(points):
    """{"score", "f1", "precision", "recall"} where F1 of a `curve` is best; None without any."""
    if not len(points["f1"]) or not points["f1"].max():
        return None
    at = int(points["f1"].argmax())
    of_points = {"score": "scores", "f1": "f1", "precision": "precision", "recall": "recall"}
    return {name: float(points[column][at]) for name, column in of_points.items()}


def calibration(scores, true):
    """How well scores [n] tell the share of true ones [n] (bool): Guo et al. 2017, section 2.

    {"ece": the mean gap, weighted by detections, "bins": [{"score", "precision", "count"}]} over
    equal bins of the score; a bin without detections is left out."""
    places = np.minimum((scores * NUM_BINS).astype(int), NUM_BINS - 1)
    count = np.bincount(places, minlength=NUM_BINS)
    some = np.flatnonzero(count)
    score, precision = (
        np.bincount(places, column, NUM_BINS)[some] / count[some] for column in (scores, true)
    )
    gap = float((np.abs(score - precision) * count[some]).sum() / max(len(scores), 1))
    rows = zip(score.tolist(), precision.tolist(), count[some].tolist())
    return {"ece": gap, "bins": [dict(zip(("score", "precision", "count"), row)) for row in rows]}


def by_threshold(columns, num_thresholds=101):
    """float64 [6, num_thresholds] of one class at IoU 0.5: true and false detections, zeros, missed
    objects, precision and recall, for least scores from 0 to 1, as TensorBoard's PR curves have
    it."""
    points = curve(columns)
    least = np.linspace(0, 1, num_thresholds)
    kept = np.searchsorted(-points["scores"], -least, side="right")
    precision, recall = (np.append(0.0, points[name])[kept] for name in ("precision", "recall"))
    objects = len(columns.objects)
    true = recall * objects
    false = np.divide(true, precision, out=np.zeros_like(true), where=precision > 0) - true
    return np.stack([true, false, np.zeros_like(true), objects - true, precision, recall])
