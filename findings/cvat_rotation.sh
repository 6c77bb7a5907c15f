#!/bin/sh
# One would guess: a converter that reads CVAT's XML takes the `rotation` of a box into account, or says so.
# It is so: globox 2.9.0, labelformat 0.1.17, brambox 5.0.0 and datumaro 1.13.12 take the corners as they
#   stand, in silence; datumaro keeps the rotation as an attribute, and writes the unturned box to COCO.
#   A box of 40 x 10 px turned by 90 degrees comes out 40 x 10 px, where it is 10 x 40 px.
# It matters: boxes of turned objects are wrong by up to their own length.
#   lhrcnn/data/readers/cvat.py takes the box around the turned one and counts it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
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
    python3 -m venv "$name.venv"
    "$name.venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    "$name.venv/bin/python" - > "$name.log" 2>&1 || { cat "$name.log"; exit 1; }
}

run globox globox==2.9.0 <<'EOF'
import globox
globox.AnnotationSet.from_cvat("annotations.xml").save_coco("globox.json", auto_ids=True)
EOF

run labelformat labelformat==0.1.17 <<'EOF'
import subprocess
words = "labelformat.venv/bin/labelformat convert --task object-detection --input-format cvat"
words += " --input-file annotations.xml --output-format coco --output-file labelformat.json"
subprocess.run(words.split(), check=True)
EOF

run brambox brambox==5.0.0 <<'EOF'
import brambox, json
(row,) = brambox.io.load("anno_cvat_image", "annotations.xml").itertuples()
box = [row.x_top_left, row.y_top_left, row.width, row.height]
json.dump({"annotations": [{"bbox": [float(value) for value in box]}]}, open("brambox.json", "w"))
EOF

run datumaro datumaro==1.13.12 <<'EOF'
import cv2, datumaro, numpy, pathlib, shutil
cv2.imwrite("images/a.png", numpy.zeros([80, 100, 3], numpy.uint8))
datumaro.Dataset.import_from(".", "cvat").export("datumaro", "coco_instances")
shutil.copy(next(pathlib.Path("datumaro/annotations").glob("*.json")), "datumaro.json")
EOF

python3 - <<'EOF'
import json, sys

names = ("globox", "labelformat", "brambox", "datumaro")
found = {name: json.load(open(f"{name}.json"))["annotations"][0]["bbox"] for name in names}
for name, box in found.items():
    print(f"{name:12} x, y, width, height: {box}; true: [45, 20, 10, 40]")
sys.exit(0 if all(box == [30, 35, 40, 10] for box in found.values()) else "changed")
EOF
