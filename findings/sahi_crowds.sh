#!/bin/sh
# One would guess: SAHI's slice_coco, which cuts a COCO data set into tiles, leaves crowds (iscrowd 1) crowds.
# It is not so (sahi 0.12.8): whoever reads the file with SAHI gets objects of them, with a mask or without, and
#   iscrowd is written as 0 in any case. Cut into tiles, a crowd is an object in each of them. A warning
#   says that masks of crowds are skipped, as if the crowds were; nothing is said of those without.
#   get_coco_with_clipped_bboxes, which is to clip boxes at the border, also cuts the decimals off
#   those inside: 450.5 10.25 99.75 50.5 becomes 450 10 99 50.
# It matters: a tiled data set teaches crowds as large objects, and an evaluation wants each tile's part found.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile sahi==0.12.8
venv/bin/python - > log 2>&1 <<'EOP' || { cat log; exit 1; }
import json
from PIL import Image
from sahi.slicing import slice_coco
from sahi.utils.coco import Coco

Image.new("RGB", (1000, 500)).save("a.png")
# Each row of 1,000 px: 100 px before the crowd, 800 of it, 100 after it; by columns, as COCO counts
counts = [100 * 500 + 200, *([100, 400] * 799), 100, 100 * 500 + 200]
common = {"image_id": 1, "category_id": 1}
crowd = {"bbox": [100, 200, 800, 100], "area": 80000, "iscrowd": 1, **common}
content = {
    "images": [{"id": 1, "file_name": "a.png", "width": 1000, "height": 500}],
    "categories": [{"id": 1, "name": "ant"}],
    "annotations": [
        {"id": 1, "bbox": [450.5, 10.25, 99.75, 50.5], "area": 5037.375, "iscrowd": 0, "segmentation": [], **common},
        {"id": 2, "segmentation": [], **crowd},
        {"id": 3, "segmentation": {"size": [500, 1000], "counts": counts}, **crowd},
    ],
}
json.dump(content, open("truth.json", "w"))
tiled, _ = slice_coco(
    "truth.json", ".", "tiles", slice_height=500, slice_width=500, overlap_height_ratio=0, overlap_width_ratio=0
)
clipped = Coco.from_coco_dict_or_path("truth.json").get_coco_with_clipped_bboxes().json
json.dump({"tiled": tiled["annotations"], "clipped": clipped["annotations"]}, open("found.json", "w"))
EOP
venv/bin/python - <<'EOP'
import importlib.metadata, json, sys

found = json.load(open("found.json"))
rows = {name: [[a["image_id"], a["bbox"], a["iscrowd"]] for a in part] for name, part in found.items()}
print("sahi", importlib.metadata.version("sahi"), "- an object and two crowds, without and with a mask:")
for name, part in rows.items():
    for image, bbox, crowd in part:
        print(f"  {name:8} image {image} bbox {bbox} iscrowd {crowd}")
objects = [[1, [450.5, 10.25, 49.5, 50.5], 0], [2, [0.0, 10.25, 50.25, 50.5], 0]]
tiles = [[1, [100.0, 200.0, 400.0, 100.0], 0], [2, [0.0, 200.0, 400.0, 100.0], 0]]
expected = {
    "tiled": [objects[0], tiles[0], tiles[0], objects[1], tiles[1], tiles[1]],
    "clipped": [[1, [450.0, 10.0, 99.0, 50.0], 0], *[[1, [100.0, 200.0, 800.0, 100.0], 0]] * 2],
}
sys.exit(0 if rows == expected else f"changed: expected {expected}")
EOP
