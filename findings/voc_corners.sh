#!/bin/sh
# One would guess: a VOC file's corners are 1-based and inclusive, as in the VOC devkit, whoever wrote it.
# It is so: of seven libraries only supervision writes them so, from 0.31.2 on. For the box that covers
#   x 10...40 and y 20...60 (half-open, from 0) it writes 11 21 40 60 (0.30.0: 11 21 41 61, a pixel more);
#   globox, labelformat, pylabel, brambox, datumaro and label-studio-sdk write 10 20 40 60.
# It matters: read by the devkit's rule, boxes of the others are a pixel too large at the left and top.
#   lhrcnn: data.voc_corners; a corner 0 in any file of a set decides (lhrcnn/data/readers/voc_folder.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv

cat > coco.json <<'EOF'
{"images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
 "categories": [{"id": 1, "name": "ant"}],
 "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200,
                  "iscrowd": 0, "segmentation": []}]}
EOF

# run NAME PACKAGES... < PYTHON: with these packages alone
run() {
    name=$1
    shift
    venv/bin/pip install --quiet --disable-pip-version-check --no-compile --target "$name.site" "$@"
    PYTHONPATH=$name.site venv/bin/python - > "$name.log" 2>&1 || { cat "$name.log"; exit 1; }
}

for version in 0.30.0 0.31.2; do
    run "supervision_$version" "supervision==$version" <<EOF
import numpy, supervision
from PIL import Image
Image.new("RGB", (100, 80)).save("a.png")
box = supervision.Detections(numpy.array([[10.0, 20, 40, 60]]), class_id=numpy.array([0]))
data = supervision.DetectionDataset(["ant"], ["a.png"], {"a.png": box})
data.as_pascal_voc(annotations_directory_path="supervision_$version.voc")
EOF
done

run globox globox==2.9.0 <<'EOF'
import globox
globox.AnnotationSet.from_coco("coco.json").save_pascal_voc("globox.voc")
EOF

run labelformat labelformat==0.1.17 <<'EOF'
import subprocess
words = "labelformat.site/bin/labelformat convert --task object-detection --input-format coco"
words += " --input-file coco.json --output-format pascalvoc --output-folder labelformat.voc"
subprocess.run(words.split(), check=True)
EOF

run pylabel pylabel==0.1.55 'pandas<2.2' 'numpy<2' <<'EOF'
from pylabel import importer
importer.ImportCoco("coco.json", path_to_images=".").export.ExportToVoc(output_path="pylabel.voc")
EOF

run brambox brambox==5.0.0 <<'EOF'
import brambox, os
os.mkdir("brambox.voc")
brambox.io.save(brambox.io.load("anno_coco", "coco.json"), "anno_pascalvoc", "brambox.voc")
EOF

run datumaro datumaro==1.13.12 <<'EOF'
import datumaro, numpy
image = datumaro.components.media.Image.from_numpy(numpy.zeros([80, 100, 3], numpy.uint8))
item = datumaro.DatasetItem("a", media=image, annotations=[datumaro.Bbox(10, 20, 30, 40, label=0)])
datumaro.Dataset.from_iterable([item], categories=["ant"]).export("datumaro.voc", "voc_detection")
EOF

run label_studio label-studio-sdk==2.1.2 <<'EOF'
import json, os
from label_studio_sdk.converter import Converter
value = {"x": 10, "y": 25, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["ant"]}
result = {"id": "r", "type": "rectanglelabels", "from_name": "l", "to_name": "i", "value": value,
          "original_width": 100, "original_height": 80, "image_rotation": 0}
task = {"id": 1, "data": {"image": os.path.abspath("a.png")}, "annotations": [{"id": 1, "result": [result]}]}
json.dump([task], open("tasks.json", "w"))
Converter('<View><Image name="i" value="$image"/><RectangleLabels name="l" toName="i">'
          '<Label value="ant"/></RectangleLabels></View>', ".").convert(
              "tasks.json", "label_studio.voc", "VOC", is_dir=False)
EOF

python3 - <<'EOF'
import pathlib, sys
import xml.etree.ElementTree as ElementTree

found = {}
for folder in sorted(pathlib.Path().glob("*.voc")):
    (file,) = folder.rglob("a.xml")
    box = ElementTree.parse(file).find("object/bndbox")
    found[folder.stem] = [float(box.findtext(key)) for key in ("xmin", "ymin", "xmax", "ymax")]
    print(f"{folder.stem:20}", *found[folder.stem])
half_open = [10, 20, 40, 60]
expected = dict.fromkeys(
    ["globox", "labelformat", "pylabel", "brambox", "datumaro", "label_studio"], half_open)
expected |= {"supervision_0.30.0": [11, 21, 41, 61], "supervision_0.31.2": [11, 21, 40, 60]}
sys.exit(0 if found == expected else f"changed: expected {expected}")
EOF
