#!/bin/sh
# One would guess: AP does not depend on the names of the images, nor on the order in which detections stand.
# It does where scores are equal: pycocotools 2.0.11, faster-coco-eval 1.7.2 and hotcoco 1.3.0 take detections
#   of equal score in the order of their images' ids, whatever the order of the file. supervision 0.31.2 and
#   tidecv 1.0.1 take them in the order of the images as given. A right detection and a false one, each
#   with score .5, have AP 1 where the right one's image comes first, and .5 where it comes last.
# It matters: detectors in 8 bits have few different scores, saturated sigmoids have many of 1, and background
#   images often come last, so that false detections in them cost nothing. The same images under other
#   ids, or in another order, score differently.
#   lhrcnn: the same, by hotcoco (docs/evaluation.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    pycocotools==2.0.11 faster-coco-eval==1.7.2 hotcoco==1.3.0 supervision==0.31.2 tidecv==1.0.1
venv/bin/python - > log 2>&1 <<'EOP' || { cat log; exit 1; }
import json
import numpy as np

import hotcoco
import pycocotools.coco, pycocotools.cocoeval
import faster_coco_eval
import supervision
import tidecv

BOX = [10, 10, 40, 40]


def coco(kind, judge):
    truth = kind("truth.json")
    one = judge(truth, (getattr(truth, "loadRes", None) or truth.load_res)("found.json"), "bbox")
    one.evaluate(), one.accumulate(), one.summarize()
    return round(float(one.stats[1]), 3)


def by_supervision(order, right):
    found = supervision.Detections(np.array([[10, 10, 50, 50.0]]), class_id=np.array([0]), confidence=np.array([0.5]))
    truth = [found if image == right else supervision.Detections.empty() for image in order]
    metric = supervision.metrics.MeanAveragePrecision()
    return round(float(metric.update([found] * len(order), truth).compute().map50), 3)


def by_tide(order, right):
    truth, found = tidecv.Data("truth"), tidecv.Data("found")
    for image in order:
        truth.add_image(image, f"{image}.png")
    truth.add_ground_truth(right, 1, BOX)
    for image in order:
        found.add_detection(image, 1, 0.5, BOX)
    run = tidecv.TIDE().evaluate(truth, found, mode=tidecv.TIDE.BOX)
    return round(run.ap / 100, 3)


out = {}
for right in (1, 2):
    for order in ([1, 2], [2, 1]):
        common = {"category_id": 1, "bbox": BOX, "area": 1600}
        images = [{"id": k, "width": 100, "height": 100, "file_name": f"{k}.png"} for k in order]
        objects = [{"id": 1, "image_id": right, "iscrowd": 0, "segmentation": [], **common}]
        truth = {"images": images, "categories": [{"id": 1, "name": "ant"}], "annotations": objects}
        json.dump(truth, open("truth.json", "w"))
        json.dump([{"image_id": k, "score": 0.5, **common} for k in order], open("found.json", "w"))
        out[f"right one in image {right}, images and detections in the order {order}"] = {
            "pycocotools": coco(pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
            "faster-coco-eval": coco(faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
            "hotcoco": coco(hotcoco.COCO, hotcoco.COCOeval),
            "supervision": by_supervision(order, right),
            "tidecv": by_tide(order, right),
        }
json.dump(out, open("out.json", "w"))
EOP
venv/bin/python - <<'EOP'
import importlib.metadata, json, sys

out = json.load(open("out.json"))
names = list(next(iter(out.values())))
print("two images with a detection of score .5 each, one of them right; AP at IoU .5")
print(*(f"{name} {importlib.metadata.version(name)}" for name in names), sep=", ")
for case, row in out.items():
    print(f"  {case}:", *row.values())
rows = [list(row.values()) for row in out.values()]
expected = [[1, 1, 1, 1, 1], [1, 1, 1, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 1, 1]]
sys.exit(0 if rows == expected else f"changed: expected {expected}")
EOP
