#!/bin/sh
# One would guess: an object with "ignore": 1 in a COCO file, as converters write difficult and unclear ones,
#   is left out of an evaluation: a detection of it is neither right nor wrong.
# It is not so (pycocotools 2.0.11, faster-coco-eval 1.7.2, hotcoco 1.3.0): the field is overwritten by
#   iscrowd, without a word. The object has to be found, and AP falls where it is not.
# It matters: of two objects, one of them to be ignored, a detector that finds the other has AP .505 instead
#   of 1. "iscrowd": 1 is the only way to say it, and takes IoU over the detection's area then.
#   lhrcnn: takes both fields for ignored, says so, and hands such objects to the evaluator as crowds
#   (lhrcnn/data/readers/coco_objects.py), so that its AP of this file is 1.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    pycocotools==2.0.11 faster-coco-eval==1.7.2 hotcoco==1.3.0
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import contextlib, importlib.metadata, io, json, sys
import faster_coco_eval
import hotcoco
import pycocotools.coco, pycocotools.cocoeval

TOOLS = {
    "pycocotools": (pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
}
SURE, UNCLEAR = [10, 10, 100, 100], [200, 10, 100, 100]
FLAGS = {"no flag": {}, "ignore": {"ignore": 1}, "iscrowd": {"iscrowd": 1}}


def ap(tool, flag):
    """AP of one detection, which fits SURE, where UNCLEAR has the flag."""
    common = {"image_id": 1, "category_id": 1, "area": 10000, "iscrowd": 0}
    annotations = [{"id": 1, "bbox": SURE, **common}, {"id": 2, "bbox": UNCLEAR, **common, **flag}]
    images = [{"id": 1, "file_name": "a.jpg", "width": 400, "height": 400}]
    content = {"images": images, "categories": [{"id": 1, "name": "ant"}], "annotations": annotations}
    with open("truth.json", "w") as file:
        json.dump(content, file)
    load, evaluate = TOOLS[tool]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = load("truth.json")
        found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": SURE, "score": 0.9}])
        judged = evaluate(truth, found, "bbox")
        judged.evaluate(), judged.accumulate(), judged.summarize()
    return round(float(judged.stats[0]), 3)


print("AP of a detector that finds the one object without a flag of two:")
scores = {}
for tool in TOOLS:
    scores[tool] = [ap(tool, flag) for flag in FLAGS.values()]
    words = ", ".join(f"{name} {score}" for name, score in zip(FLAGS, scores[tool]))
    print(f"  {tool} {importlib.metadata.version(tool)}: {words}")
expected = [0.505, 0.505, 1.0]
sys.exit(0 if all(row == expected for row in scores.values()) else f"changed: expected {expected}")
EOP
