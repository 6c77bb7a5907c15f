#!/bin/sh
# One would guess: a COCO file converted to COCO's format again keeps what counts in an evaluation.
# It is so (labelformat 0.1.17): annotations come out without `id`, `area` and `iscrowd`; a crowd is an
#   object like any other then, and there is no area to tell small objects from large ones.
# It matters: readers must take an id and an area that are missing for missing, not for 0; pycocotools
#   reads no file without ids.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile labelformat==0.1.17
venv/bin/python - 2> log <<'EOF' || { cat log; exit 1; }
import importlib.metadata, json, subprocess, sys

crowd = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 700, "iscrowd": 1,
         "segmentation": []}
content = {"images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
           "categories": [{"id": 1, "name": "ant"}], "annotations": [crowd]}
json.dump(content, open("in.json", "w"))
words = "venv/bin/labelformat convert --task object-detection --input-format coco --input-file in.json"
subprocess.run([*words.split(), "--output-format", "coco", "--output-file", "out.json"], check=True,
               stdout=subprocess.DEVNULL)
written = json.load(open("out.json"))["annotations"]
print("labelformat", importlib.metadata.version("labelformat"), "\nin ", crowd, "\nout", *written)
sys.exit(0 if written == [{"image_id": 1, "category_id": 1, "bbox": [10.0, 20.0, 30.0, 40.0]}] else "changed")
EOF
