#!/bin/sh
# One would guess: ids of annotations in a COCO file are mere names, and 0 is as good as any.
# It is so (pycocotools 2.0.11, faster-coco-eval 1.7.2): the object with id 0 cannot be found. A detection
#   that fits it counts as false, since matches are marked by the id, and 0 is "no match"; hotcoco 1.3.0
#   counts it. globox 2.9.0 (`auto_ids`), pylabel 0.1.55 and label-studio-sdk 2.1.2 number annotations
#   from 0 when they write COCO.
# It matters: one object of each such file is lost; of a set with one object, AP is 0 instead of 1.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    pycocotools==2.0.11 faster-coco-eval==1.7.2 hotcoco==1.3.0 globox==2.9.0
venv/bin/python - 2> log <<'EOF' || { cat log; exit 1; }
import contextlib, importlib.metadata, io, json, sys
import faster_coco_eval, globox, hotcoco, pycocotools.coco, pycocotools.cocoeval

box = globox.BoundingBox(label="ant", xmin=10, ymin=20, xmax=40, ymax=60)
globox.AnnotationSet([globox.Annotation("a.png", (100, 80), [box])]).save_coco("globox.json", auto_ids=True)
content = json.load(open("globox.json"))
first = content["annotations"][0]
detection = {key: first[key] for key in ("image_id", "category_id", "bbox")}
json.dump([{**detection, "score": 0.9}], open("detections.json", "w"))
evaluators = {
    "pycocotools": (pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
}
print("globox", importlib.metadata.version("globox"), "numbers annotations from", first["id"])
print("AP of one object that is found exactly, by the id of its annotation:")
found = {}
for name, (coco, evaluation) in evaluators.items():
    for id_ in (first["id"], 1):
        json.dump({**content, "annotations": [{**first, "id": id_}]}, open("truth.json", "w"))
        with contextlib.redirect_stdout(io.StringIO()):
            truth = coco("truth.json")
            load = truth.load_res if hasattr(truth, "load_res") else truth.loadRes
            run = evaluation(truth, load("detections.json"), "bbox")
            run.evaluate(), run.accumulate(), run.summarize()
        found[name, id_] = round(float(run.stats[0]), 6)
    print(f"  {name:17} {importlib.metadata.version(name):7}", {id_: found[name, id_] for id_ in (0, 1)})
lost = {"pycocotools", "faster-coco-eval"}
expected = {(name, id_): float(id_ == 1 or name not in lost) for name in evaluators for id_ in (0, 1)}
sys.exit(0 if found == expected else "changed")
EOF
