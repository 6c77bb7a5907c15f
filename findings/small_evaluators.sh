#!/bin/sh
# One would guess: an evaluator of mAP that takes boxes, classes and scores gives VOC's or COCO's number.
# It is not so: 1. mean-average-precision 2024.1.5.0 and mapcalc 0.2.2 add a pixel to each side, by the rule of
#   VOC's devkit, whatever the boxes: of those in shares of the image (0...1) two that do not even touch have
#   an IoU of .59, and mAP 1 at .5. Half-open boxes of 4 px, shifted by 1 px, have IoU .67, not .6.
#   2. mapcalc takes detections in the order of the list; "scores" are never looked at.
#   3. mean-average-precision counts a class without objects as AP 0: of one of two classes found, mAP is .5.
# It matters: boxes in shares score well wherever they are near, a list that is not sorted scores too
#   low, and a split without objects of a class too.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    mean-average-precision==2024.1.5.0 mapcalc==0.2.2 pycocotools==2.0.11
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import contextlib, importlib.metadata, io, sys
import numpy as np
from mapcalc import calculate_map
from mean_average_precision import MetricBuilder
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def by_metric(objects, found, iou, classes):
    metric = MetricBuilder.build_evaluation_metric("map_2d", async_mode=False, num_classes=classes)
    truth = [[*box, label, 0, 0] for box, label in objects]
    metric.add(np.array([[*box, label, score] for box, label, score in found]), np.array(truth))
    return metric.value(iou_thresholds=iou)["mAP"]


def by_mapcalc(objects, found, iou, classes):
    truth = {"boxes": [box for box, _ in objects], "labels": [label for _, label in objects]}
    results = {name: [row[k] for row in found] for k, name in enumerate(("boxes", "labels", "scores"))}
    return calculate_map(truth, results, iou)


def by_coco(objects, found, iou, classes):
    def entry(number, box, label):
        width, height = box[2] - box[0], box[3] - box[1]
        return {"id": number, "image_id": 1, "category_id": label + 1, "iscrowd": 0,
                "bbox": [box[0], box[1], width, height], "area": width * height}

    coco = COCO()
    coco.dataset = {"images": [{"id": 1}], "categories": [{"id": k + 1} for k in range(classes)],
                    "annotations": [entry(k, *row) for k, row in enumerate(objects, 1)]}
    coco.createIndex()
    results = [{**entry(k, box, label), "score": score} for k, (box, label, score) in enumerate(found, 1)]
    judge = COCOeval(coco, coco.loadRes(results), "bbox")
    judge.params.iouThrs = np.array([iou])
    judge.evaluate(), judge.accumulate()
    precision = judge.eval["precision"][0, :, :, 0, -1]
    return precision[precision > -1].mean()


pixel = 10, 10, 60, 60
right, wrong = (pixel, 0, 0.9), ((100, 100, 150, 150), 0, 0.1)
CASES = {  # objects, found, IoU, number of classes
    "shares, beside the object": ([((0.3, 0.3, 0.4, 0.4), 0)], [((0.45, 0.45, 0.55, 0.55), 0, 0.9)], 0.5, 1),
    "4 x 4 px, 1 px too far right, IoU .65": ([((10, 10, 14, 14), 0)], [((11, 10, 15, 14), 0, 0.9)], 0.65, 1),
    "the better detection first": ([(pixel, 0)], [right, wrong], 0.5, 1),
    "the better detection last": ([(pixel, 0)], [wrong, right], 0.5, 1),
    "no object of the second class": ([(pixel, 0)], [right], 0.5, 2),
}
TOOLS = {"pycocotools": by_coco, "mean-average-precision": by_metric, "mapcalc": by_mapcalc}
with contextlib.redirect_stdout(io.StringIO()):
    found = {name: [round(float(tool(*case)), 3) for tool in TOOLS.values()] for name, case in CASES.items()}
print("AP by", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in TOOLS))
for name, row in found.items():
    print(f"  {name:38}", *row)
expected = [[0, 1, 1], [0, 1, 1], [1, 1, 1], [1, 1, 0.5], [1, 0.5, 1]]
sys.exit(0 if [*found.values()] == expected else f"changed: expected {expected}")
EOP
