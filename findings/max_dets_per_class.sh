#!/bin/sh
# One would guess: COCO's limits of 1, 10 and 100 "detections per image" are limits per image.
# It is not so (pycocotools 2.0.11, faster-coco-eval 1.7.2, hotcoco 1.3.0, supervision 0.31.2): the best 1, 10 or
#   100 of each class count. An image with one object of each of 10 classes, all found, has AR@1 1, not .1;
#   200 objects of 4 classes in one image, all found, have AP 1, not .5. TIDE (tidecv 1.0.1), which is used
#   beside them, keeps the best 100 of the image whatever their class: its AP is .505.
# It matters: a detector that keeps 100 boxes per image gives away what the evaluator would count where classes
#   are many; and TIDE's AP and errors are of fewer detections than COCO's AP of the same file.
#   lhrcnn: model.postprocess.max_detections is per image (docs/evaluation.md).
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


def case(classes, each):
    """One image of 1,000 px, `each` objects of every class, all found exactly."""
    boxes = [[50 * (k % 20), 40 * (k // 20), 40, 30] for k in range(classes * each)]
    common = [{"image_id": 1, "category_id": k % classes + 1, "bbox": box, "area": 1200} for k, box in enumerate(boxes)]
    truth = {"images": [{"id": 1, "width": 1000, "height": 1000, "file_name": "a.png"}],
             "categories": [{"id": k + 1, "name": f"c{k}"} for k in range(classes)],
             "annotations": [{"id": k, "iscrowd": 0, "segmentation": [], **a} for k, a in enumerate(common, 1)]}
    found = [{**a, "score": 0.999 - 0.001 * k} for k, a in enumerate(common)]
    for name, content in (("truth", truth), ("found", found)):
        json.dump(content, open(f"{name}.json", "w"))
    return truth, found


def coco(kind, judge):
    truth = kind("truth.json")
    one = judge(truth, (getattr(truth, "loadRes", None) or truth.load_res)("found.json"), "bbox")
    one.evaluate(), one.accumulate(), one.summarize()
    return [round(float(one.stats[k]), 3) for k in (0, 6)]


def by_supervision(truth, found):
    def part(rows):
        xyxy = np.array([row["bbox"] for row in rows], float)
        xyxy[:, 2:] += xyxy[:, :2]
        score = np.array([row.get("score", 1) for row in rows])
        labels = np.array([row["category_id"] for row in rows])
        return supervision.Detections(xyxy, class_id=labels, confidence=score)

    metric = supervision.metrics.MeanAveragePrecision()
    return [round(float(metric.update(part(found), part(truth["annotations"])).compute().map50_95), 3), None]


def by_tide():
    truth, found = tidecv.Data("truth"), tidecv.Data("found")
    for a in json.load(open("truth.json"))["annotations"]:
        truth.add_ground_truth(1, a["category_id"], a["bbox"])
    for a in json.load(open("found.json")):
        found.add_detection(1, a["category_id"], a["score"], a["bbox"])
    run = tidecv.TIDE().evaluate(truth, found, mode=tidecv.TIDE.BOX)
    return [round(run.ap / 100, 3), None]


out = {}
for name, numbers in (("10 classes, 1 object each", (10, 1)), ("4 classes, 50 objects each", (4, 50))):
    truth, found = case(*numbers)
    out[name] = {
        "pycocotools": coco(pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
        "faster-coco-eval": coco(faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
        "hotcoco": coco(hotcoco.COCO, hotcoco.COCOeval),
        "supervision": by_supervision(truth, found),
        "tidecv": by_tide(),
    }
json.dump(out, open("out.json", "w"))
EOP
venv/bin/python - <<'EOP'
import importlib.metadata, json, sys

out = json.load(open("out.json"))
for case, rows in out.items():
    print(f"{case}, all found in one image: AP, AR@1")
    for name, row in rows.items():
        print(f"  {name:16} {importlib.metadata.version(name):7}", *("-" if x is None else x for x in row))
few, many = (list(rows.values()) for rows in out.values())
expected = [[1, 1]] * 3 + [[1, None]] * 2, [[1, 0.02]] * 3 + [[1, None], [0.505, None]]
sys.exit(0 if (few, many) == expected else f"changed: expected {expected}")
EOP
