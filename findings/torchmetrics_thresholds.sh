#!/bin/sh
# One would guess: torchmetrics' MeanAveragePrecision, which has pycocotools compute it, gives its numbers.
# It is not so (torchmetrics 1.9.0): it makes the thresholds of IoU and recall in float32, and hands them over as
#   Python's floats: .55 is 0.550000012 then, and an IoU of exactly .55 is below it; so are .6, .8 and .85.
#   A box of 11 x 20 px within an object of 20 x 20 px has AP .1 instead of .2. Of 10 objects 6 found
#   have AP .594 instead of .604, 8 found .792 instead of .802, and 7 found .703 instead of .693.
# It matters: sides of whole pixels make such IoUs, and 10, 50 or 100 objects of a class such recalls, as in
#   tests and small validation sets: numbers of two tools differ by a hundredth, without a fault in either model.
#   lhrcnn: AP by COCO's own thresholds (docs/evaluation.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    torchmetrics==1.9.0 pycocotools==2.0.11 torch==2.14.1 torchvision==0.29.1
cat > thresholds.py <<'EOP'
import contextlib
import io
import sys
import pycocotools.coco
import pycocotools.cocoeval
import torch
import torchmetrics
from torchmetrics.detection import MeanAveragePrecision


def by_torchmetrics(objects, found):
    def part(boxes, **more):
        corners = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in boxes], dtype=torch.float32)
        return [{"boxes": corners, "labels": torch.zeros(len(boxes), dtype=torch.int64), **more}]

    metric = MeanAveragePrecision()
    metric.update(part(found, scores=torch.full([len(found)], 0.5)), part(objects))
    return float(metric.compute()["map"])


def by_pycocotools(objects, found):
    def rows(boxes, **more):
        common = {"image_id": 1, "category_id": 1, "iscrowd": 0, **more}
        return [{"id": k, "bbox": box, "area": box[2] * box[3], **common} for k, box in enumerate(boxes, 1)]

    truth = pycocotools.coco.COCO()
    truth.dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": rows(objects)}
    truth.createIndex()
    judge = pycocotools.cocoeval.COCOeval(truth, truth.loadRes(rows(found, score=0.5)), "bbox")
    judge.evaluate(), judge.accumulate(), judge.summarize()
    return float(judge.stats[0])


def both(objects, found):
    with contextlib.redirect_stdout(io.StringIO()):
        return [round(judge(objects, found), 3) for judge in (by_torchmetrics, by_pycocotools)]


ten = [[50 * k, 0, 40, 40] for k in range(10)]
overlap = both([[0, 0, 20, 20]], [[0, 0, 11, 20]])
shares = [both(ten, ten[:k]) for k in range(1, 10)]
print("torchmetrics", torchmetrics.__version__, "and pycocotools: AP")
print("  an IoU of 11/20:", *overlap)
for k, pair in enumerate(shares, 1):
    print(f"  {k} of 10 objects found:", *pair)
lower, higher = ([k for k, (own, coco) in enumerate(shares, 1) if sign * (own - coco) > 0] for sign in (-1, 1))
sys.exit(not (overlap == [0.1, 0.2] and (lower, higher) == ([6, 8], [7])))
EOP
venv/bin/python thresholds.py 2> log || { tail -n 20 log; exit 1; }
