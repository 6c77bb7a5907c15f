#!/bin/sh
# One would guess: globox's COCOEvaluator, offered as a faster equal of pycocotools, gives its numbers.
# It is not so: 1. boxes of crowds (iscrowd 1) are objects like others, so that what is found in a crowd
#   is false; 2. AP of a range of sizes is lower: a detection is first held against the objects of the
#   range, and where one stands anywhere in the image, those outside the range are not looked at any more:
#   the detection of an object just outside the range, itself just inside, is a false one. AP over all
#   sizes, without crowds, is the same.
# It matters: AP of COCO with crowds, and AP of large and medium objects, are compared between tools.
#   lhrcnn: hotcoco or faster-coco-eval compute AP, pycocotools checks them in tests (docs/evaluation.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    globox==2.9.0 pycocotools==2.0.11 'setuptools<81'

venv/bin/python - <<'EOP'
import contextlib
import importlib.metadata
import io
import json
import sys
import globox
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# 8 images: an object of 95 x 96 px, found as 97 x 97, and one of 100 x 100 px, found; perhaps a crowd, in
# which two are found.
OBJECTS, FOUND = [(200, 10, 95, 96), (10, 10, 100, 100)], [(200, 10, 97, 97), (10, 10, 100, 100)]
CROWD, INSIDE = (10, 200, 300, 150), [(20, 210, 100, 100), (150, 210, 100, 100)]


def scores(with_crowds):
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 400, "height": 400} for i in range(1, 9)]
    boxes = [(box, 0) for box in OBJECTS] + [(CROWD, 1)] * with_crowds
    truth = [(image["id"], box, crowd) for image in images for box, crowd in boxes]
    annotations = [
        {"id": k, "image_id": i, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
        for k, (i, box, crowd) in enumerate(truth, 1)
    ]
    categories = [{"id": 1, "name": "thing"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    with open("truth.json", "w") as file:
        json.dump(content, file)
    found = [
        {"image_id": i["id"], "category_id": 1, "bbox": list(box), "score": 0.9 - k / 10 - i["id"] / 100}
        for i in images
        for k, box in enumerate([*INSIDE * with_crowds, *FOUND])
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("truth.json")
        judged = COCOeval(coco, coco.loadRes(found), "bbox")
        judged.evaluate(), judged.accumulate(), judged.summarize()
    predictions = globox.AnnotationSet()
    for image in images:
        predictions.add(globox.Annotation(image["file_name"], (400, 400)))
    for one in found:
        x, y, w, h = one["bbox"]
        predictions[f"{one['image_id']}.jpg"].add(
            globox.BoundingBox(label="thing", xmin=x, ymin=y, xmax=x + w, ymax=y + h, confidence=one["score"])
        )
    other = globox.COCOEvaluator(
        ground_truths=globox.AnnotationSet.from_coco("truth.json"), predictions=predictions
    )
    theirs = [other.ap(), other.ap_large()]
    return [[round(float(value), 3) for value in pair] for pair in (judged.stats[[0, 5]], theirs)]


print("AP over all sizes, of large objects:")
plain, crowds = scores(False), scores(True)
for name, case in (("no crowds", plain), ("crowds", crowds)):
    for tool, values in zip(("pycocotools", "globox"), case):
        print(f"  {name:10} {tool} {importlib.metadata.version(tool)}: {values}")
same_at_all = plain[0][0] == plain[1][0]
sys.exit(0 if same_at_all and plain[1][1] < plain[0][1] and crowds[1][0] < crowds[0][0] else "changed")
EOP
