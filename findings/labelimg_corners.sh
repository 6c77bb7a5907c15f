#!/bin/sh
# One would guess: labelImg, which made most of the VOC files that people have, writes VOC's corners.
# It is so (labelImg 1.8.6): it cuts the decimals off the corners' positions, which are 0-based and
#   half-open, and then makes each 0 a 1. A box over the whole image of 100 x 80 px is 1 1 100 80, as by
#   the devkit's rule; one from 10 20 to 40 60 stays 10 20 40 60, which is no longer by that rule.
#   Its YOLO files come from the same corners: the whole image has a center of .505 and a width of .99.
# It matters: no corner of its files is ever 0, so nothing in them tells which rule they follow, and
#   boxes at the border are by another rule than boxes inside.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps labelImg==1.8.6
venv/bin/pip install --quiet --disable-pip-version-check --no-compile lxml PyQt5
QT_QPA_PLATFORM=offscreen venv/bin/python - <<'EOF'
import importlib.metadata, re, sys
from libs.labelFile import LabelFile
from libs.pascal_voc_io import PascalVocWriter
from libs.yolo_io import YOLOWriter

corners = LabelFile.convert_points_to_bnd_box
print("labelImg", importlib.metadata.version("labelImg"))
drawn = [((10.6, 20.6), (40.9, 60.9)), ((0, 0), (100, 80))]
boxes = [corners([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]) for (x1, y1), (x2, y2) in drawn]
voc, yolo = PascalVocWriter("images", "a.jpg", (80, 100, 3)), YOLOWriter("images", "a", (80, 100, 3))
for box in boxes:
    voc.add_bnd_box(*box, "ant", 0)
    yolo.add_bnd_box(*box, "ant", 0)
voc.save("a.xml")
yolo.save(class_list=["ant"], target_file="a.txt")
written = [int(value) for value in re.findall(r"<[xy]m[a-z]+>(\d+)<", open("a.xml").read())]
lines = open("a.txt").read().split("\n")
print("drawn", drawn, "\nVOC  ", written, "\nYOLO ", lines[:2])
good = written == [10, 20, 40, 60, 1, 1, 100, 80] and lines[1] == "0 0.505000 0.506250 0.990000 0.987500"
sys.exit(0 if good else "changed")
EOF
