#!/bin/sh
# One would guess: a crowd in a COCO file is a crowd in the COCO file that datumaro writes of it.
# It is so (datumaro 1.13.12): only where it has a mask. A crowd with a bbox and an empty segmentation, as
#   detection tools write it, comes out with iscrowd 0, without a warning, and is left out of YOLO files.
# It matters: regions that were to be ignored become objects that nobody can find, one each.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile datumaro==1.13.12
venv/bin/python - 2> log <<'EOF' || { cat log; exit 1; }
import importlib.metadata, json, pathlib, sys
import datumaro
from PIL import Image

pathlib.Path("in/images/train").mkdir(parents=True)
pathlib.Path("in/annotations").mkdir()
Image.new("RGB", (100, 80)).save("in/images/train/a.jpg")
# 30 x 40 px at (10, 20), by columns: what is before it, then 40 in it and 40 beyond, 30 times
counts = [10 * 80 + 20, *([40, 40] * 29), 40, 100 * 80 - (39 * 80 + 60)]
mask = {"size": [80, 100], "counts": counts}
found = {}
for name, segmentation in (("mask", mask), ("no mask", [])):
    crowd = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200, "iscrowd": 1,
             "segmentation": segmentation}
    content = {"images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
               "categories": [{"id": 1, "name": "ant"}], "annotations": [crowd]}
    json.dump(content, open("in/annotations/instances_train.json", "w"))
    datumaro.Dataset.import_from("in", "coco_instances").export(f"{name} out", "coco_instances")
    (written,) = json.load(open(f"{name} out/annotations/instances_train.json"))["annotations"]
    found[name] = (written["bbox"], written["iscrowd"])
datumaro.Dataset.import_from("in", "coco_instances").export("yolo", "yolo", save_media=True)
labels = next(pathlib.Path("yolo").rglob("a.txt")).read_text()
print("datumaro", importlib.metadata.version("datumaro"), "- a crowd at [10, 20, 30, 40], COCO to COCO:")
for name, (bbox, iscrowd) in found.items():
    print(f"  with {name:8} bbox {bbox} iscrowd {iscrowd}")
print("  to YOLO:", repr(labels))
box = [10.0, 20.0, 30.0, 40.0]
sys.exit(0 if found == {"mask": (box, 1), "no mask": (box, 0)} and labels == "" else "changed")
EOF
