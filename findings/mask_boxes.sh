#!/bin/sh
# One would guess: the box around a mask covers it, by the rule that the same library's IoU and training have for boxes.
# It is not so in torchvision 0.29.1 and transformers 5.24.0 (labels of DETR from panoptic masks): their masks_to_boxes
#   ends at the first corner of the last pixel, where their boxes are half-open: a mask of 3 x 4 px has a box
#   of 2 x 3 px, an IoU of .5 with the box of pycocotools 2.0.11 (COCO's own), OpenCV and SciPy, and a wire of
#   7 x 1 px one of no height. supervision 0.31.2 does so too unless told otherwise
#   (coordinate_convention="exclusive"), and says so.
# It matters: boxes made of masks, as torchvision's tutorial for fine-tuning makes them, are a pixel short at the right
#   and the bottom: detectors learn it, and are scored against it. torchvision's detectors stop at boxes without
#   height; SanitizeBoundingBoxes drops them.
#   Known as github.com/pytorch/vision/issues/4745.
#   lhrcnn: the last pixel belongs to the box (docs/formats.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile torch==2.14.1 torchvision==0.29.1 \
    transformers==5.24.0 supervision==0.31.2 pycocotools==2.0.11 opencv-python-headless==5.0.0.93
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata
import sys
import cv2
import numpy as np
import pycocotools.mask
import scipy.ndimage
import supervision
import torch
import torchvision
from transformers.models.detr.image_processing_pil_detr import masks_to_boxes

MASKS = np.zeros([2, 20, 20], bool)
MASKS[0, 2:6, 1:4] = True
MASKS[1, 9, 2:9] = True


def from_sides(x, y, width, height):
    return [x, y, x + width, y + height]


def by_scipy(mask):
    rows, columns = scipy.ndimage.find_objects(mask.astype(int))[0]
    return columns.start, rows.start, columns.stop, rows.stop


encoded = [pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in MASKS]
found = {
    "pycocotools": [from_sides(*pycocotools.mask.toBbox(one)) for one in encoded],
    "OpenCV": [from_sides(*cv2.boundingRect(mask.astype(np.uint8))) for mask in MASKS],
    "SciPy": [by_scipy(mask) for mask in MASKS],
    "torchvision": torchvision.ops.masks_to_boxes(torch.from_numpy(MASKS)),
    "transformers": masks_to_boxes(MASKS),
    "supervision": supervision.mask_to_xyxy(MASKS),
}
found = {name: np.array(boxes).astype(int).tolist() for name, boxes in found.items()}
names = "torchvision", "transformers", "supervision", "pycocotools"
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
print("pixels x 1...3, y 2...5, and x 2...8, y 9 alone:")
for name, boxes in found.items():
    print(f"  {name}:", *boxes)
right, short = [[1, 2, 4, 6], [2, 9, 9, 10]], [[1, 2, 3, 5], [2, 9, 8, 9]]
overlap = torchvision.ops.box_iou(torch.tensor([right[0]]), torch.tensor([short[0]])).item()
sanitize = torchvision.transforms.v2.SanitizeBoundingBoxes(labels_getter=None)
boxes = torchvision.tv_tensors.BoundingBoxes(found["torchvision"], format="XYXY", canvas_size=(20, 20))
print(f"  IoU of the first box with torchvision's: {overlap:.2f}; left by SanitizeBoundingBoxes: {len(sanitize(boxes))} of 2")
same = [*found.values()] == [right] * 3 + [short] * 3
sys.exit(0 if same and overlap == 0.5 and len(sanitize(boxes)) == 1 else "changed")
EOP
