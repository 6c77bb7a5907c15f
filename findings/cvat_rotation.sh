#!/bin/sh
# One would guess: a converter that reads CVAT's XML takes the `rotation` of a box into account, or says so.
# It is so: globox 2.9.0 and labelformat 0.1.17 take the corners as they stand, so that a box of 40 x 10 px
#   turned by 90 degrees comes out 40 x 10 px, where it is 10 x 40 px. datumaro 1.13.12 reads it as a
#   RotatedBbox, and writes nothing of it to COCO, VOC and YOLO. None of the three says so.
# It matters: boxes of turned objects are wrong by up to their own length, or background.
#   lhrcnn/data/readers/cvat.py takes the box around the turned one and counts it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
mkdir images
cat > annotations.xml <<'EOF'
<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><size>1</size><mode>annotation</mode>
<labels><label><name>ant</name><attributes></attributes></label></labels></task></meta>
<image id="0" name="a.png" width="100" height="80">
<box label="ant" occluded="0" xtl="30.00" ytl="35.00" xbr="70.00" ybr="45.00" rotation="90.00" z_order="0"></box>
</image></annotations>
EOF

run() {
    name=$1
    shift
    venv/bin/pip install --quiet --disable-pip-version-check --no-compile --target "$name.site" "$@"
    PYTHONPATH=$name.site venv/bin/python - > "$name.log" 2>&1 || { cat "$name.log"; exit 1; }
}

run globox globox==2.9.0 <<'EOF'
import globox
globox.AnnotationSet.from_cvat("annotations.xml").save_coco("globox.json", auto_ids=True)
EOF

run labelformat labelformat==0.1.17 <<'EOF'
import subprocess
words = "labelformat.site/bin/labelformat convert --task object-detection --input-format cvat"
words += " --input-file annotations.xml --output-format coco --output-file labelformat.json"
subprocess.run(words.split(), check=True)
EOF

run datumaro datumaro==1.13.12 <<'EOF'
import datumaro, pathlib, shutil
from PIL import Image
Image.new("RGB", (100, 80)).save("images/a.png")
data = datumaro.Dataset.import_from(".", "cvat")
data.export("coco", "coco_instances")
data.export("yolo", "yolo", save_media=True)
shutil.copy(next(pathlib.Path("coco/annotations").glob("*.json")), "datumaro.json")
shutil.copy(next(pathlib.Path("yolo").rglob("a.txt")), "datumaro.txt")
EOF

python3 - <<'EOF'
import json, sys

found = {name: [a["bbox"] for a in json.load(open(f"{name}.json"))["annotations"]]
         for name in ("globox", "labelformat", "datumaro")}
for name, boxes in found.items():
    print(f"{name:12} x, y, width, height: {boxes}; true: [[45, 20, 10, 40]]")
print("datumaro's YOLO file:", repr(open("datumaro.txt").read()))
stored = [[30, 35, 40, 10]]
good = found == {"globox": stored, "labelformat": stored, "datumaro": []} and not open("datumaro.txt").read()
sys.exit(0 if good else "changed")
EOF
