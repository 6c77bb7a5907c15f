#!/bin/sh
# One would guess: recall is at most 1, and what is called "map" is COCO's AP from .5 to .95.
# It is not so (faster-coco-eval 1.7.2): extended_metrics counts detections inside a crowd as found objects,
#   so that recall is 3 where one object is to be found, and its "map" is AP at IoU .5.
# It matters: both are what a summary quotes; the 12 numbers of stats are COCO's and right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile faster-coco-eval==1.7.2
venv/bin/python - > log <<'EOF' || { cat log; exit 1; }
import importlib.metadata, sys
from faster_coco_eval import COCO, COCOeval_faster


def metrics(crowd, shift):
    """AP, then map and recall of the extended metrics: one object, found `shift` px to the right."""
    boxes = [[0, 0, 50, 50], [100, 100, 100, 100]][: 1 + crowd]
    truth = COCO({"images": [{"id": 1, "width": 300, "height": 300}], "categories": [{"id": 1, "name": "ant"}],
                  "annotations": [{"id": 1 + k, "image_id": 1, "category_id": 1, "bbox": box,
                                   "area": box[2] * box[3], "iscrowd": k} for k, box in enumerate(boxes)]})
    boxes = [[shift, 0, 50, 50], [110, 110, 20, 20], [150, 150, 20, 20]][: 1 + 2 * crowd]
    found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9 - k / 10}
                           for k, box in enumerate(boxes)])
    evaluation = COCOeval_faster(truth, found, "bbox", extra_calc=True)
    evaluation.run()
    more = evaluation.extended_metrics
    return tuple(round(float(value), 3) for value in (evaluation.stats[0], more["map"], more["recall"]))


in_crowd, shifted = metrics(1, 0), metrics(0, 10)
version = importlib.metadata.version("faster-coco-eval")
print(f"faster-coco-eval {version} - AP, then extended_metrics' map and recall:", file=sys.stderr)
print(f"  an object found, and two detections in a crowd: {in_crowd}", file=sys.stderr)
print(f"  an object found by a box of IoU .67: {shifted}", file=sys.stderr)
sys.exit(0 if in_crowd == (1.0, 1.0, 3.0) and shifted[:2] == (0.4, 1.0) else "changed")
EOF
