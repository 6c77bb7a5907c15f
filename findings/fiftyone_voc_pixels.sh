#!/bin/sh
# One would guess: boxes on whole pixels come out of FiftyOne's VOC export as they went in.
# It is so (fiftyone 1.22.1): it keeps shares of the image, and cuts the decimals off their products with the
#   size, which lie a rounding below the whole number for some. In an image 1,920 px wide a tenth of the
#   boxes is a pixel short or begins a pixel early, of 640 px one in 24; a box of x 7...8 gets 7...7.
#   Its reader cuts decimals off too: a corner of 5.5 becomes 5.
# It matters: boxes change where no one touched them, again at each way through VOC; those of one pixel
#   become empty, and are dropped by readers.
#   lhrcnn: reads its files as 0-based where a corner 0 says so (docs/formats.md); to_fiftyone() gives shares.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile fiftyone==1.22.1
cat > voc.py <<'EOP'
import re
import sys
import fiftyone
from fiftyone.core.metadata import ImageMetadata
from fiftyone.utils.voc import VOCAnnotation, VOCAnnotationWriter, load_voc_detection_annotations


def written(width, boxes):
    """The x corners in the VOC file of an image `width` px wide, 10 px high, for `boxes` [x0, x1]."""
    detections = [
        fiftyone.Detection(label="ant", bounding_box=[x0 / width, 0.2, (x1 - x0) / width, 0.6]) for x0, x1 in boxes
    ]
    size = ImageMetadata(width=width, height=10, num_channels=3)
    content = fiftyone.Detections(detections=detections)
    VOCAnnotationWriter().write(VOCAnnotation.from_labeled_image(size, content, filename="a.jpg"), "a.xml")
    text = open("a.xml").read()
    corners = [map(int, re.findall(f"<{name}>(.+)</{name}>", text)) for name in ("xmin", "xmax")]
    return [list(pair) for pair in zip(*corners)]


print("fiftyone", fiftyone.__version__, "- boxes on whole pixels, written as VOC")
found = {}
for width in (640, 1920):
    boxes = [[x0, x1] for x0 in range(0, width, 14) for x1 in range(x0 + 1, width + 1, 22)]
    changed = [(box, out) for box, out in zip(boxes, written(width, boxes)) if box != out]
    found[width] = len(changed) / len(boxes)
    print(f"  {width} px wide: {found[width]:.3f} of them changed, such as {changed[0][0]} to {changed[0][1]}")
small = written(640, [[7, 8]])[0]
print(f"  640 px wide: [7, 8] to {small}")
text = open("a.xml").read()
open("a.xml", "w").write(re.sub("<xmin>.+</xmin>", "<xmin>5.5</xmin>", text))
read = load_voc_detection_annotations("a.xml").objects[0].bndbox.xmin
print(f"  a corner of 5.5 read as {read}")
sys.exit(not (0.03 < found[640] < 0.06 and 0.09 < found[1920] < 0.13 and small == [7, 7] and read == 5))
EOP
venv/bin/python voc.py 2> log || { tail -n 20 log; exit 1; }
