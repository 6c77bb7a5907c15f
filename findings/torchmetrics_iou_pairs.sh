#!/bin/sh
# One would guess: torchmetrics' IntersectionOverUnion says how well boxes fit, and is 1 where all boxes are right.
# It is not so (torchmetrics 1.9.0): nothing is matched. It is the mean over all pairs of a detection and an object of
#   the same class in an image: n objects that do not touch, all found to the pixel, have 1 / n, and their
#   generalised, distance and complete IoU are negative from some n on. With iou_threshold=.5 pairs below it
#   are left out, and so are missed objects and false detections: of 10 objects one found has 1.
# It matters: the number falls with the objects per image and says nothing of the boxes: the same detector has .5 on
#   pairs and .1 on rows of ten; with a threshold one that finds less looks as good.
#   lhrcnn: `lhrcnn localisation` matches each box to an object (docs/locnet.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    torchmetrics==1.9.0 torch==2.14.1 torchvision==0.29.1
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import sys
import torch
import torchmetrics
from torchmetrics.detection import CompleteIntersectionOverUnion, DistanceIntersectionOverUnion
from torchmetrics.detection import GeneralizedIntersectionOverUnion, IntersectionOverUnion

KINDS = IntersectionOverUnion, GeneralizedIntersectionOverUnion
KINDS += DistanceIntersectionOverUnion, CompleteIntersectionOverUnion


def score(kind, objects, found, **options):
    """`objects` squares of one class in a row, the first `found` of which were detected as they are."""
    left = torch.arange(objects) * 30.0
    boxes = torch.stack([left, left * 0, left + 20, left * 0 + 20], dim=1)
    labels = torch.zeros(objects, dtype=torch.long)
    metric = kind(**options)
    metric.update(
        [{"boxes": boxes[:found], "labels": labels[:found], "scores": torch.ones(found)}],
        [{"boxes": boxes, "labels": labels}],
    )
    (value,) = metric.compute().values()
    return round(value.item(), 2)


print("torchmetrics", torchmetrics.__version__, "- objects of one class, all found to the pixel: IoU, GIoU, DIoU, CIoU")
rows = {n: [score(kind, n, n) for kind in KINDS] for n in (1, 2, 5, 10)}
for n, row in rows.items():
    print(f"  {n} objects:", *row)
threshold = {k: score(IntersectionOverUnion, 10, k, iou_threshold=0.5) for k in (10, 1)}
print("  with iou_threshold=.5, of 10 objects 10 found:", threshold[10], "- 1 found:", threshold[1])
right = [row[0] for row in rows.values()] == [1, 0.5, 0.2, 0.1] and max(rows[10][1:]) < 0 and rows[1] == [1, 1, 1, 1]
sys.exit(0 if right and threshold == {10: 1, 1: 1} else "changed")
EOP
