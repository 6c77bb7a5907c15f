#!/bin/sh
# One would guess: an image without objects stays in a data set when a library converts it.
# It is so, of two images, one with a box: datumaro 1.13.12 lists both in VOC's ImageSets and writes an
#   XML file for one, a KITTI label file for one, and in WIDER FACE's list the other's name without the
#   line of its count, which a parser by counts takes for the end; label-studio-sdk 2.1.2 (VOC),
#   brambox 5.0.0 (VOC, darknet) and globox 2.9.0 (Open Images) write nothing of it; pylabel 0.1.55 reads
#   no image from a VOC file without objects.
# It matters: background images are lost, or a reader that wants a file for each listed image refuses.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
cat > coco.json <<'EOF'
{"images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80},
            {"id": 2, "file_name": "b.png", "width": 100, "height": 80}],
 "categories": [{"id": 1, "name": "ant"}],
 "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 1200,
                  "iscrowd": 0, "segmentation": []}]}
EOF

run() {
    name=$1
    shift
    venv/bin/pip install --quiet --disable-pip-version-check --no-compile --target "$name.site" "$@"
    PYTHONPATH=$name.site venv/bin/python - > "$name.log" 2>&1 || { cat "$name.log"; exit 1; }
}

run datumaro datumaro==1.13.12 <<'EOF'
import datumaro, numpy
image = datumaro.components.media.Image.from_numpy(numpy.zeros([80, 100, 3], numpy.uint8))
box = datumaro.Bbox(10, 20, 30, 40, label=0)
items = [datumaro.DatasetItem("a", subset="train", media=image, annotations=[box]),
         datumaro.DatasetItem("b", subset="train", media=image)]
for format_ in ("voc_detection", "kitti_detection", "wider_face"):
    datumaro.Dataset.from_iterable(items, categories=["ant"]).export(f"datumaro/{format_}", format_)
EOF

run label_studio label-studio-sdk==2.1.2 <<'EOF'
import json, os
from label_studio_sdk.converter import Converter
from PIL import Image
value = {"x": 10, "y": 25, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["ant"]}
result = {"id": "r", "type": "rectanglelabels", "from_name": "l", "to_name": "i", "value": value,
          "original_width": 100, "original_height": 80, "image_rotation": 0}
tasks = []
for number, results in enumerate(([result], []), start=1):
    name = os.path.abspath(f"{'.ab'[number]}.png")
    Image.new("RGB", (100, 80)).save(name)
    tasks.append({"id": number, "data": {"image": name}, "annotations": [{"id": number, "result": results}]})
json.dump(tasks, open("tasks.json", "w"))
Converter('<View><Image name="i" value="$image"/><RectangleLabels name="l" toName="i">'
          '<Label value="ant"/></RectangleLabels></View>', ".").convert(
              "tasks.json", "label_studio", "VOC", is_dir=False)
EOF

run brambox brambox==5.0.0 <<'EOF'
import brambox, os
boxes = brambox.io.load("anno_coco", "coco.json")
os.makedirs("brambox/voc"), os.makedirs("brambox/darknet")
brambox.io.save(boxes, "anno_pascalvoc", "brambox/voc")
brambox.io.save(boxes, "anno_darknet", "brambox/darknet", image_dims=lambda _: (100, 80), class_label_map=["ant"])
EOF

run globox globox==2.9.0 <<'EOF'
import globox
globox.AnnotationSet.from_coco("coco.json").save_openimage("globox.csv")
EOF

mkdir voc
for name in a b; do
    object='<object><name>ant</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>'
    [ "$name" = a ] || object=
    echo "<annotation><filename>$name.png</filename><size><width>100</width><height>80</height></size>$object</annotation>" > voc/$name.xml
done
run pylabel pylabel==0.1.55 'pandas<2.2' 'numpy<2' <<'EOF'
from pylabel import importer
open("pylabel.txt", "w").write(" ".join(importer.ImportVOC(path="voc").df.img_filename))
EOF

python3 - <<'EOF'
import pathlib, sys

def names(pattern):
    return sorted(file.name for file in pathlib.Path().glob(pattern))

found = {
    "datumaro, VOC list": pathlib.Path("datumaro/voc_detection/ImageSets/Main/train.txt").read_text().split(),
    "datumaro, VOC files": names("datumaro/voc_detection/Annotations/*.xml"),
    "datumaro, KITTI files": names("datumaro/kitti_detection/train/label_2/*.txt"),
    "datumaro, WIDER FACE": pathlib.Path(
        "datumaro/wider_face/wider_face_split/wider_face_train_bbx_gt.txt").read_text().split(),
    "label-studio-sdk, VOC files": names("label_studio/Annotations/*.xml"),
    "brambox, VOC files": names("brambox/voc/*"),
    "brambox, darknet files": names("brambox/darknet/*"),
    "globox, Open Images": [line.split(",")[0] for line in open("globox.csv") if line.strip()][1:],
    "pylabel, images read from two VOC files": pathlib.Path("pylabel.txt").read_text().split(),
}
for name, value in found.items():
    print(f"{name:40} {' '.join(value)}")
xml, txt, png = ["a.xml"], ["a.txt"], ["a.png"]
listed = "no_label/a.jpg 1 10.0 20.0 30.0 40.0 ant no_label/b.jpg".split()
expected = [["a", "b"], xml, txt, listed, xml, xml, txt, png, png]
sys.exit(0 if list(found.values()) == expected else f"changed: expected {expected}")
EOF
