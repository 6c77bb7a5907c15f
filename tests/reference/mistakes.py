"""TIDE's kinds of error and LRP, detection by detection."""

import numpy as np


def iou(first, second):
    """IoU of two boxes (x, y, width, height)."""
    sides = [
        max(0, min(a + w, b + v) - max(a, b))
        for a, w, b, v in zip(first[:2], first[2:], second[:2], second[2:])
    ]
    common = sides[0] * sides[1]
    whole = first[2] * first[3] + second[2] * second[3] - common
    return common / whole if common else 0.0


def kind_of(box, label, objects):
    """The name of the kind of a false detection; objects: (box, class) of its image, no crowds."""
    own = max([iou(box, other) for other, k in objects if k == label], default=0)
    others = max([iou(box, other) for other, k in objects if k != label], default=0)
    if 0.1 <= own < 0.5:
        return "Loc"
    if others >= 0.5:
        return "Cls"
    if own >= 0.5:
        return "Dupe"
    return "Both" if others >= 0.1 else "Bkg"


def optimal_lrp(scores, true, iou, num_objects):
    """The least LRP over all thresholds, with its parts, by trying each."""
    best = {"olrp": 1.0, "fn": 1.0}
    for threshold in sorted(set(scores), reverse=True):
        kept = [k for k, score in enumerate(scores) if score >= threshold]
        hits = [k for k in kept if true[k]]
        false, missed = len(kept) - len(hits), num_objects - len(hits)
        error = sum((1 - iou[k]) / 0.5 for k in hits)
        lrp = (error + false + missed) / (len(hits) + false + missed)
        if hits and (lrp < best["olrp"] or "score" not in best):
            best = {
                "olrp": lrp,
                "localisation": np.mean([1 - iou[k] for k in hits]),
                "fp": false / len(kept),
                "fn": missed / num_objects,
                "score": threshold,
            }
    return best
