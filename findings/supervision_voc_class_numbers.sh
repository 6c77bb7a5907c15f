#!/bin/sh
# One would guess: the training and the validation part of a VOC data set, read with the same library, have the same
#   class numbers.
# It is not so (supervision 0.31.2): from_pascal_voc numbers classes in the order in which they come up in the
#   files of each folder. Where the first image of train/ has an ant and that of valid/ a zebra, 0 is ant in
#   one and zebra in the other. from_yolo and from_coco take the numbers of data.yaml and the categories.
#   DetectionDataset.merge and as_coco, which go by names, are right.
# It matters: a model trained on one and scored on the other by class numbers, as supervision's
#   MeanAveragePrecision does it, has AP 0 where every box is right; a class that only one part has shifts
#   all behind it. as_yolo writes a data.yaml for each part, and trainers read one.
#   lhrcnn: goes by names in VOC, and refuses YOLO's data files that disagree (docs/formats.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile supervision==0.31.2
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata
import pathlib
import sys
import numpy as np
import supervision
import yaml
from PIL import Image

BOXES = {"ant": (11, 11, 40, 40), "zebra": (51, 51, 90, 90)}
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def read(part, *images):
    """Writes a folder of images and XML files, each with objects of these names, and reads it."""
    folder = pathlib.Path(part)
    folder.mkdir()
    for number, names in enumerate(images):
        Image.new("RGB", (100, 100)).save(folder / f"{number}.png")
        objects = "".join(OBJECT.format(name, *BOXES[name]) for name in names)
        (folder / f"{number}.xml").write_text(f"<annotation>{objects}</annotation>")
    return supervision.DetectionDataset.from_pascal_voc(part, part)


train, valid = read("train", ["ant"], ["zebra"]), read("valid", ["zebra"], ["ant"])


def score(truth, names):
    """AP of a model that finds all objects, and numbers them by the names it was trained with."""
    metric = supervision.metrics.MeanAveragePrecision()
    for _, _, objects in truth:
        numbers = np.array([names.index(truth.classes[k]) for k in objects.class_id])
        found = supervision.Detections(objects.xyxy, class_id=numbers, confidence=np.full(len(objects), 0.9))
        metric.update(found, objects)
    return round(float(metric.compute().map50_95), 3)


for name, part in (("train", train), ("valid", valid)):
    part.as_yolo(annotations_directory_path=f"{name}_labels", data_yaml_path=f"{name}.yaml")
written = [yaml.safe_load(open(f"{name}.yaml"))["names"] for name in ("train", "valid")]
found = [train.classes, valid.classes, score(train, train.classes), score(valid, train.classes)]
merged = supervision.DetectionDataset.merge([train, valid])
first = {merged.classes[k] for path, _, objects in merged if path.endswith("0.png") for k in objects.class_id}
print("supervision", importlib.metadata.version("supervision"), "- classes of train/ and valid/:", *found[:2])
print("  all objects found, AP in train/ and valid/:", *found[2:], "- names in data.yaml:", *written)
print("  names in the merged set:", merged.classes, "first images", sorted(first))
expected = [["ant", "zebra"], ["zebra", "ant"], 1, 0]
sys.exit(0 if found == expected and written == expected[:2] and first == {"ant", "zebra"} else "changed")
EOP
