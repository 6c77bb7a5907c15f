#!/bin/sh
# One would guess: who converts a COCO file to YOLO's gets class numbers that fit the names beside them.
# It is so (pylabel 0.1.55): ExportToYoloV5 keeps the category ids of the COCO file as class numbers, and
#   lists the names from 0 on. Of categories 1 ant and 2 zebra, ants become class 1, which dataset.yaml
#   calls zebra, and zebras class 2, which it does not have. `cat_id_index=0` renumbers them.
#   (labelformat 0.1.17 keeps the ids as well, but numbers the names alike: `names: {1: ant, 2: zebra}`.)
# It matters: nearly every COCO file counts categories from 1, so every class is taken for the next one;
#   nothing is refused except objects of the last class.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile pylabel==0.1.55 'pandas<2.2' 'numpy<2' labelformat==0.1.17
venv/bin/python - 2> log <<'EOF' || { cat log; exit 1; }
import importlib.metadata, json, subprocess, sys, yaml
from pylabel import importer

boxes = [{"id": k, "image_id": 1, "category_id": k, "bbox": [10 * k, 20, 30, 40], "area": 1200, "iscrowd": 0}
         for k in (1, 2)]
content = {"images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
           "categories": [{"id": 1, "name": "ant"}, {"id": 2, "name": "zebra"}], "annotations": boxes}
json.dump(content, open("in.json", "w"))
found = {}
for name, options in (("default", {}), ("cat_id_index=0", {"cat_id_index": 0})):
    data = importer.ImportCoco("in.json", path_to_images=".")
    data.export.ExportToYoloV5(output_path=f"{name}/labels", **options)
    numbers = [int(line.split()[0]) for line in open(f"{name}/labels/a.txt") if line.strip()]
    found[name] = (numbers, yaml.safe_load(open(f"{name}/dataset.yaml"))["names"])
words = "venv/bin/labelformat convert --task object-detection --input-format coco --input-file in.json"
words += " --output-format yolov8 --output-file lf/data.yaml --output-split train"
subprocess.run(words.split(), check=True, stdout=subprocess.DEVNULL)
numbers = [int(line.split()[0]) for line in open("lf/labels/a.txt")]
found["labelformat"] = (numbers, yaml.safe_load(open("lf/data.yaml"))["names"])
print("pylabel", importlib.metadata.version("pylabel"), "- an ant and a zebra, categories 1 and 2:")
for name, (numbers, names) in found.items():
    print(f"  {name:15} class numbers {numbers}, names {names}")
expected = {"default": ([1, 2], ["ant", "zebra"]), "cat_id_index=0": ([0, 1], ["ant", "zebra"]),
            "labelformat": ([1, 2], {1: "ant", 2: "zebra"})}
sys.exit(0 if found == expected else "changed")
EOF
