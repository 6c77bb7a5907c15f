#!/bin/sh
# One would guess: what a COCO evaluator leaves out of AP it leaves out of its confusion matrix too.
# It is not so (hotcoco 1.3.0): detections inside a crowd count neither way in AP, TIDE and calibration, but
#   confusion_matrix() has each of them as a false positive, in the row of background.
# It matters: on data with crowds the last row, and any precision taken from it, blames the model for what
#   COCO forgives: here AP is 1 and one detection of three is right by the matrix.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile hotcoco==1.3.0 numpy
venv/bin/python - > log <<'EOF' || { cat log; exit 1; }
import sys
import hotcoco
import numpy as np

boxes = np.array([[0, 0, 50, 50], [100, 100, 100, 100]], float)
truth = hotcoco.COCO.from_arrays([{"id": 1, "name": "a"}], [{"id": 1, "name": "ant"}], np.array([1, 1]),
                                 np.array([1, 1]), boxes, area=np.array([2500.0, 10000.0]),
                                 iscrowd=np.array([False, True]))
found = truth.load_res(np.array([[1, 0, 0, 50, 50, 0.9, 1], [1, 110, 110, 20, 20, 0.8, 1],
                                 [1, 150, 150, 20, 20, 0.7, 1]]))
evaluation = hotcoco.COCOeval(truth, found, "bbox")
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
ap, matrix = round(evaluation.stats[0], 6), evaluation.confusion_matrix()["matrix"].tolist()
errors = sum(evaluation.tide_errors()["counts"].values())
print(f"hotcoco {hotcoco.__version__} - one object found, two detections in a crowd:", file=sys.stderr)
print(f"  AP {ap}, TIDE's errors {errors}, confusion matrix (last: background) {matrix}", file=sys.stderr)
sys.exit(0 if (ap, errors, matrix) == (1.0, 0, [[1, 0], [2, 0]]) else "changed")
EOF
