#!/bin/sh
# One would guess: ultralytics' convert_coco makes YOLO labels of any COCO file, its category ids numbered from 0 in their
#   order.
# It is not so (ultralytics 8.4.190): a class is the id minus 1. By default (cls91to80=True) ids are taken for those of
#   COCO itself: 11, 13 and 14 of another set become 10, 11 and 12. With cls91to80=False ids from 0, as
#   Label Studio and labelme2coco number them, become -1, 0, 1 ...
# It matters: with -1 in its file an image is left out of training as corrupt, with all its objects of all classes; the
#   others keep theirs under the name of the class before. All that is said is a warning per image.
#   lhrcnn: `lhrcnn data convert --to yolo` numbers classes from 0, named in its data.yaml.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    ultralytics==8.4.190 torch==2.14.1 torchvision==0.29.1
cat > convert.py <<'EOP'
import json
import pathlib
import shutil
import sys
import ultralytics
from PIL import Image
from ultralytics.data.converter import convert_coco
from ultralytics.data.utils import verify_image_label


def classes(ids_of_images, categories, **options):
    """The classes in each image's label file, None where it is not written in full; who reads them back."""
    for folder in ("coco", "yolo"):
        shutil.rmtree(folder, ignore_errors=True)
    pathlib.Path("coco").mkdir()
    images, annotations = [], []
    for k, ids in enumerate(ids_of_images):
        images.append({"id": k, "file_name": f"{k}.png", "width": 100, "height": 100})
        for n, id_ in enumerate(ids):
            box = {"bbox": [n * 5, 10, 20, 20], "area": 400, "iscrowd": 0, "segmentation": []}
            annotations.append({"id": len(annotations) + 1, "image_id": k, "category_id": id_, **box})
    names = [{"id": id_, "name": f"kind {id_}"} for id_ in categories]
    content = {"images": images, "annotations": annotations, "categories": names}
    json.dump(content, open("coco/train.json", "w"))
    convert_coco("coco", "yolo", **options)
    found = []
    for k in range(len(images)):
        Image.new("RGB", (100, 100)).save(f"{k}.png")
        label = f"yolo/labels/train/{k}.txt"
        read = verify_image_label((f"{k}.png", label, "", False, len(categories), 0, 0, False))
        written = [int(line.split()[0]) for line in open(label)]
        found.append((written, "read" if read[1] is not None else "left out"))
    return found


found = {
    "ids 0 1 2, cls91to80=False": classes([[0, 1, 2], [1, 2]], [0, 1, 2], cls91to80=False),
    "ids 1 2 3, default": classes([[1, 2, 3]], [1, 2, 3]),
    "ids 11 13 14, default": classes([[11, 13, 14]], [11, 13, 14]),
}
print("ultralytics", ultralytics.__version__, "- classes in the label file of each image", file=sys.stderr)
for name, one in found.items():
    print(f"  {name}:", *one, file=sys.stderr)
lost = [([-1, 0, 1], "left out"), ([0, 1], "read")]
expected = [lost, [([0, 1, 2], "read")], [([10, 11, 12], "left out")]]
sys.exit(0 if [*found.values()] == expected else "changed")
EOP
YOLO_CONFIG_DIR=$PWD venv/bin/python convert.py 2>&1 > log
