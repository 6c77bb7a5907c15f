"""LRP, the Localisation Recall Precision error (Oksuz et al., ECCV 2018; arXiv 2011.10772).

One number for a set of boxes: LRP = (sum of (1 - IoU) / (1 - tau) over the true ones + false ones +
missed objects) / (true + false + missed), from 0, perfect, to 1. Its optimum over score thresholds,
oLRP, needs no interpolation and says which threshold to use.
"""

import math

import numpy as np

from lhrcnn.evaluation.columns import IOUS, mean_of_known

TAU = IOUS[0]  # IoU from which a detection is true


def optimal_lrp(scores, true, iou, num_objects):
    """{"olrp", "localisation", "fp", "fn", "score"} of one class.

    scores, true (bool) and iou [n] of the detections that count, by falling score. localisation is
    the mean 1 - IoU of the true detections, fp 1 - precision, fn 1 - recall, at the threshold
    `score`, the lowest that is kept. Where nothing is found oLRP and fn are 1 and the rest NaN; all
    is NaN without objects."""
    if not num_objects:
        return dict.fromkeys(("olrp", "localisation", "fp", "fn", "score"), math.nan)
    found, number = np.cumsum(true), np.arange(1, len(true) + 1)
    error = np.cumsum(np.where(true, 1 - iou, 0))
    missed = num_objects - found
    lrp = (error / (1 - TAU) + (number - found) + missed) / (number + missed)
    last = np.r_[scores[1:] != scores[:-1], True][: len(scores)]
    lrp = np.where(last & (found > 0), lrp, np.inf)
    if not len(lrp) or not np.isfinite(lrp.min()):
        return {**optimal_lrp(scores, true, iou, 0), "olrp": 1.0, "fn": 1.0}
    at = int(lrp.argmin())
    return {
        "olrp": float(lrp[at]),
        "localisation": float(error[at] / found[at]),
        "fp": float(1 - found[at] / number[at]),
        "fn": float(missed[at] / num_objects),
        "score": float(scores[at]),
    }


def lrp_of(matches):
    """([`optimal_lrp` of each class], {name: mean over classes}) of `Matches`."""
    counts, rows = matches.counts(), []
    for k in range(len(matches.names)):
        mine = np.flatnonzero((matches.found.classes == k) & ~matches.ignored[0])
        columns = matches.found.scores[mine], matches.true[0, mine], matches.iou[0, mine]
        rows.append(optimal_lrp(*columns, counts[k]))
    means = {name: float(mean_of_known(np.array([row[name] for row in rows]))) for name in rows[0]}
    return rows, means
