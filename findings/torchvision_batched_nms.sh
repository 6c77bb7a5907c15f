#!/bin/sh
# One would guess: NMS class by class, batched_nms of torchvision and NMSBoxesBatched of OpenCV, never drops a box for
#   one of another class, and what it does with three boxes does not depend on how many others there are.
# It is not so (torchvision 0.29.1, OpenCV 5.0.0): both move the boxes of class k by k times the largest coordinate
#   plus 1 and take them together. 1. Boxes with negative corners are not moved far enough: one of 50 x 50 px
#   that begins 60 px up and left of the origin comes to lie on its neighbour of the class before, which it
#   touches with a corner only, and is dropped. torchvision keeps it where there are more than 1,000 boxes (on
#   GPUs 25,000), for which it takes class by class. 2. torchvision's sums are
#   float32: with 581929 for the class (image ids of COCO, where NMS is per image) a box shifted by
#   1 of 10 px is kept, which class 0 drops.
# It matters: boxes that are not yet clipped, coordinates about the middle of a scene, as of radars and lidars, and
#   shares from -1 to 1 lose objects; in tests with few boxes, not in those with many. torchvision's docs ask
#   for 0 <= x1, OpenCV's for nothing. Neither says a word.
#   lhrcnn: moves by the span from the lowest corner to the highest, plus 1 (lhrcnn/models/nms.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    torch==2.14.1 torchvision==0.29.1 opencv-python-headless==5.0.0.93
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import sys
import cv2
import numpy as np
import torch
import torchvision

BOXES = np.float32([[-10, -10, 40, 40], [-60, -60, -10, -10], [0, 0, 49, 49]])
SCORES, CLASSES = np.float32([0.9, 0.8, 0.1]), np.array([0, 1, 2])


def by_torchvision(boxes, scores, classes):
    kept = torchvision.ops.batched_nms(*map(torch.from_numpy, (boxes, scores, classes)), 0.5)
    return sorted(kept.tolist())


def by_opencv(boxes, scores, classes):
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return sorted(np.ravel(cv2.dnn.NMSBoxesBatched(sides.tolist(), scores, classes, 0.05, 0.5)).tolist())


others = 1000
many = np.concatenate([BOXES, np.float32([[0, 0, 1, 1]] * others)])
scores, classes = np.concatenate([SCORES, np.full(others, 0.06, np.float32)]), np.arange(3 + others)
pair = np.float32([[1000, 1000, 1010, 1010], [1001, 1000, 1011, 1010]])
found = {
    "torchvision, three boxes": by_torchvision(BOXES, SCORES, CLASSES),
    "torchvision, beside 1,000 others": [k for k in by_torchvision(many, scores, classes) if k < 3],
    "torchvision, 100 px further down and right": by_torchvision(BOXES + 100, SCORES, CLASSES),
    "OpenCV, three boxes": by_opencv(BOXES, SCORES, CLASSES),
    "OpenCV, 100 px further down and right": by_opencv(BOXES + 100, SCORES, CLASSES),
    "torchvision, two of class 0 with IoU .82": by_torchvision(pair, SCORES[:2], np.array([0, 0])),
    "torchvision, two of class 581929 with IoU .82": by_torchvision(pair, SCORES[:2], np.array([581929, 581929])),
}
print(f"torchvision {torchvision.__version__}, OpenCV {cv2.__version__}: kept of boxes of three classes, and of one")
for name, kept in found.items():
    print(f"  {name}: {kept}")
expected = [[0, 2], [0, 1, 2], [0, 1, 2], [0, 2], [0, 1, 2], [0], [0, 1]]
sys.exit(0 if [*found.values()] == expected else f"changed: expected {expected}")
EOP
