#!/bin/sh
# One would guess: the COCO box that Label Studio exports for a turned rectangle is the box around it.
# It is so (label-studio-sdk 2.1.2): corners are turned in percent of width and height, not in px, so the
#   box is right for square images alone; VOC and YOLO exports leave the rotation out in silence; only
#   YOLO_OBB is right. A rectangle of 30 x 20 px at (50, 20) of 100 x 80 px, turned by 90 degrees about its
#   top left corner, covers x 30...50, y 20...50; COCO has x 25...50, y 20...44, VOC x 50...80, y 20...40.
# It matters: read the JSON export (lhrcnn/data/readers/label_studio.py turns in px) or YOLO_OBB.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile label-studio-sdk==2.1.2
venv/bin/python - 2> log <<'EOF' || { cat log; exit 1; }
import importlib.metadata, json, os, re, sys
from label_studio_sdk.converter import Converter
from PIL import Image

Image.new("RGB", (100, 80)).save("a.png")
value = {"x": 50, "y": 25, "width": 30, "height": 25, "rotation": 90, "rectanglelabels": ["ant"]}
result = {"id": "r", "type": "rectanglelabels", "from_name": "label", "to_name": "image", "value": value,
          "original_width": 100, "original_height": 80, "image_rotation": 0}
task = {"id": 1, "data": {"image": os.path.abspath("a.png")}, "annotations": [{"id": 1, "result": [result]}]}
json.dump([task], open("tasks.json", "w"))
converter = Converter(
    '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">'
    '<Label value="ant"/></RectangleLabels></View>', ".")
for format_ in ("COCO", "VOC", "YOLO", "YOLO_OBB"):
    converter.convert("tasks.json", format_, format_, is_dir=False)
(x, y, width, height) = json.load(open("COCO/result.json"))["annotations"][0]["bbox"]
found = {"COCO": [x, y, x + width, y + height]}
text = open("VOC/Annotations/a.xml").read()
found["VOC"] = [float(re.search(f"<{key}>(.*?)<", text)[1]) for key in ("xmin", "ymin", "xmax", "ymax")]
x, y, width, height = (float(word) for word in open("YOLO/labels/a.txt").read().split()[1:])
found["YOLO"] = [100 * (x - width / 2), 80 * (y - height / 2), 100 * (x + width / 2), 80 * (y + height / 2)]
points = [float(word) for word in open("YOLO_OBB/labels/a.txt").read().split()[1:]]
x, y = [100 * value for value in points[::2]], [80 * value for value in points[1::2]]
found["YOLO_OBB"] = [min(x), min(y), max(x), max(y)]
found = {name: [round(value, 6) for value in box] for name, box in found.items()}
print("label-studio-sdk", importlib.metadata.version("label-studio-sdk"), "- true box [30, 20, 50, 50]")
for name, box in found.items():
    print(f"  {name:9} {box}")
unturned = [50, 20, 80, 40]
expected = {"COCO": [25, 20, 50, 44], "VOC": unturned, "YOLO": unturned, "YOLO_OBB": [30, 20, 50, 50]}
sys.exit(0 if found == expected else "changed")
EOF
