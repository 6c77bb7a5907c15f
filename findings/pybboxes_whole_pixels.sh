#!/bin/sh
# One would guess: pybboxes, which converts a box between COCO's, YOLO's, albumentations' and FiftyOne's form,
#   keeps its decimals: all four have them, and three are shares of the image.
# It is not so (pybboxes 0.2.0): every way goes through VOC's corners in whole pixels, from YOLO to YOLO too,
#   and those of COCO are rounded where they are read, half to even, the width apart from the corner.
#   A box of 4.5 x 4.5 px at 10.5, 20.5 comes out as YOLO's of 4 x 4 px at 10, 20: their IoU is .51.
# It matters: labels of small objects, and detections that were converted before they were scored, are off
#   by up to a pixel on each side: at an IoU of .5 found and at .55 missed. No message.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile pybboxes==0.2.0
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata
import sys

import pybboxes

WIDTH, HEIGHT = 640, 480
BOX = (10.5, 20.5, 4.5, 4.5)


def iou(one, other):
    def across(a, b, length, other_length):
        return max(min(a + length, b + other_length) - max(a, b), 0)

    both = across(one[0], other[0], one[2], other[2]) * across(one[1], other[1], one[3], other[3])
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def xywh(box, kind):
    """A box in px as x, y, width and height."""
    if kind == "coco":
        return tuple(box)
    a, b, c, d = (v * side for v, side in zip(box, (WIDTH, HEIGHT) * 2))
    return {"yolo": (a - c / 2, b - d / 2, c, d), "albumentations": (a, b, c - a, d - b), "fiftyone": (a, b, c, d)}[kind]


x, y, w, h = BOX
given = {
    "coco": BOX,
    "yolo": ((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT),
    "albumentations": (x / WIDTH, y / HEIGHT, (x + w) / WIDTH, (y + h) / HEIGHT),
    "fiftyone": (x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT),
}
print("pybboxes", importlib.metadata.version("pybboxes"), "- x y width height of", *BOX)
found = {}
for source, box in given.items():
    for target in given:
        out = pybboxes.convert_bbox(box, from_type=source, to_type=target, image_size=(WIDTH, HEIGHT))
        moved = tuple(round(v, 6) for v in xywh(out, target))
        found[source, target] = moved
        print(f"  {source:14} to {target:14}", *moved, f"IoU {iou(BOX, moved):.3f}")
whole = all(v == int(v) for moved in found.values() for v in moved)
sys.exit(0 if whole and found["coco", "yolo"] == (10, 20, 4, 4) and round(iou(BOX, (10, 20, 4, 4)), 2) == 0.51 else 1)
EOP
