#!/bin/sh
# One would guess: an evaluator that offers LVIS's rules gives the AP of LVIS's own package.
# It is so for up to 300 detections in an image. LVIS keeps the best 300 of an image over all classes (lvis 0.5.3), and so
#   does hotcoco 1.3.0; faster-coco-eval 1.7.2 (lvis_style=True, params.maxDets = [300], as its author
#   shows it) keeps 300 of each class: of 600 objects of 6 classes in an image, all found, AP is .505 by the
#   first two and 1 by the third. COCO's limits are per class in all of them (max_dets_per_class.sh).
# It matters: detectors for 1,203 classes give away more than 300 boxes to find rare ones: one that lists everything
#   gains in the third what the benchmark does not count, and its AP is compared with published ones.
#   Cut detections to 300 an image before.
#   lhrcnn: model.postprocess.max_detections is per image (docs/evaluation.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > data.py <<'EOP'
import json

CLASSES, OBJECTS = 6, 600
annotations = []
for k in range(OBJECTS):
    x, y = k % 30 * 60, k // 30 * 60
    corners = [x, y, x + 40, y, x + 40, y + 40, x, y + 40]
    place = {"bbox": [x, y, 40, 40], "area": 1600, "segmentation": [corners], "iscrowd": 0}
    annotations.append({"id": k + 1, "image_id": 1, "category_id": k % CLASSES + 1, **place})
image = {"id": 1, "width": 1800, "height": 1200, "file_name": "a.jpg", "coco_url": "http://none/a.jpg"}
counts = {"frequency": "f", "image_count": 1, "instance_count": OBJECTS // CLASSES}
truth = {
    "info": {},
    "licenses": [],
    "images": [{**image, "neg_category_ids": [], "not_exhaustive_category_ids": []}],
    "annotations": annotations,
    "categories": [{"id": c + 1, "name": str(c), **counts} for c in range(CLASSES)],
}
found = [{k: one[k] for k in ("image_id", "category_id", "bbox")} for one in annotations]
found = [{**one, "score": 1 - k / 1000} for k, one in enumerate(found)]
for name, detections in {"all": found, "best": found[:300]}.items():
    json.dump(detections, open(f"{name}.json", "w"))
json.dump(truth, open("truth.json", "w"))
EOP
python3 data.py

run() {  # a name, then packages; the code, which defines ap(detections), comes from stdin
    name=$1
    shift
    python3.11 -m venv "$name.venv"
    "$name.venv/bin/pip" install --quiet --disable-pip-version-check --no-compile "$@"
    { cat; echo 'print(*(round(float(ap(f"{k}.json")), 3) for k in ("all", "best")), file=open("out", "w"))'; } > code.py
    "$name.venv/bin/python" code.py > log 2>&1 || { cat log; exit 1; }
    echo "$name: AP of 600 detections, of the best 300: $(cat out)"
    cat out >> table
}

run lvis-0.5.3 lvis==0.5.3 numpy==1.23.5 matplotlib==3.8.4 opencv-python==4.10.0.84 pycocotools==2.0.11 <<'EOP'
from lvis import LVIS, LVISEval, LVISResults

truth = LVIS("truth.json")


def ap(detections):
    judge = LVISEval(truth, LVISResults(truth, detections), "bbox")
    judge.run()
    return judge.get_results()["AP"]


EOP
run hotcoco-1.3.0 hotcoco==1.3.0 <<'EOP'
import hotcoco

truth = hotcoco.COCO("truth.json")


def ap(detections):
    judge = hotcoco.LVISeval(truth, truth.load_res(detections), "bbox")
    judge.run()
    return judge.get_results()["AP"]


EOP
run faster-coco-eval-1.7.2 faster-coco-eval==1.7.2 <<'EOP'
from faster_coco_eval import COCO, COCOeval_faster

truth = COCO("truth.json")


def ap(detections):
    judge = COCOeval_faster(truth, truth.loadRes(detections), "bbox", lvis_style=True)
    judge.params.maxDets = [300]
    judge.run()
    return judge.stats[0]


EOP
[ "$(cat table)" = "$(printf '0.505 0.505\n0.505 0.505\n1.0 0.505')" ] || { echo changed; exit 1; }
