#!/bin/sh
# One would guess: soft-NMS lowers the scores of boxes that overlap better ones, and these scores come back.
# It is not so (ensemble-boxes 1.0.9): soft_nms computes them, drops boxes whose lowered score is at most
#   `thresh`, and returns the scores that were put in. Of boxes with .9, .8 (IoU .95 with the first) and .3
#   the formula makes .9, .13 and .3; .9, .8, .3 come back. With thresh .001 hardly a box is dropped:
#   what comes out is what went in.
# It matters: as many duplicates stand before right boxes as without any NMS. Ten objects, each found three
#   times: AP50 is .454 before and after soft_nms, and 1 after hard NMS (`nms` of the same library).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ensemble-boxes==1.0.9
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata
import sys
import numpy as np
from ensemble_boxes import nms, soft_nms

boxes, given = [[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.52], [0.6, 0.6, 0.9, 0.9]], [0.9, 0.8, 0.3]
iou = 0.4 * 0.4 / (0.4 * 0.42)
wanted = [0.9, round(0.8 * float(np.exp(-(iou**2) / 0.5)), 3), 0.3]  # gaussian, sigma .5
linear = [0.9, round(0.8 * (1 - iou), 3), 0.3]


def fused(one, boxes=boxes, scores=given, **options):
    return one([np.array(boxes)], [np.array(scores)], [np.zeros(len(boxes))], **options)


def scores(*arguments, **options):
    return sorted((round(float(x), 3) for x in fused(*arguments, **options)[1]), reverse=True)


found = [scores(soft_nms, method=method) for method in (2, 1)]
above = scores(soft_nms, method=2, thresh=0.2)
print("ensemble-boxes", importlib.metadata.version("ensemble-boxes"), "- scores", given, "with IoU", round(iou, 3))
print("  gaussian, by the formula", wanted, "returned", found[0])
print("  linear, by the formula  ", linear, "returned", found[1])
print("  gaussian, thresh .2: the second is dropped, returned", above)

# Ten objects, each found three times: the second and third box of an object half a hundredth off
objects = [[0.1 * k, 0.0, 0.1 * k + 0.08, 0.9] for k in range(10)]
threefold = [(np.array(box) + [0, shift, 0, shift]).tolist() for shift in (0, 0.005, 0.01) for box in objects]
levels = [0.9 - 0.03 * k for k in range(10)]
many = [level - 0.01 * n for n in range(3) for level in levels]


def average_precision(boxes, scores):
    """AP at IoU .5: a box finds the object with its left side, if none before it did."""
    seen, right = set(), []
    for box in np.asarray(boxes)[np.argsort(-np.asarray(scores), kind="stable")]:
        number = round(float(box[0]) * 10)
        right.append(number not in seen)
        seen.add(number)
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return round(float(best[right].sum() / len(objects)), 3)


ap = {"put in": average_precision(threefold, many)}
for name, one in (("soft_nms", soft_nms), ("nms", nms)):
    ap[name] = average_precision(*fused(one, threefold, many)[:2])
print("  ten objects found three times each, AP50:", ap)
same = found == [given, given] and above == [0.9, 0.3]
sys.exit(0 if same and ap == {"put in": 0.454, "soft_nms": 0.454, "nms": 1} else "changed")
EOP
