#!/bin/sh
# One would guess: kornia's AugmentationSequential takes boxes as its Boxes class does, xyxy for half-open
#   corners and "xyxy_plus" for inclusive ones, and moves them as it moves the pixels.
# It is not so (kornia 0.9.0): 1. its data key bbox_xyxy is "xyxy_plus". Half-open corners, as torchvision
#   and COCO have them, come out of every flip a pixel too far to the left or the top. 2. bbox_xywh fits
#   half-open boxes under flips, but a box is kept by its last pixel's position: of 20 px, enlarged 10 times, it
#   comes back with 191 px instead of 200, and half a pixel of the old size, 4.5, too far down and right
#   (align_corners=False; Resize's default, True, moves the pixels themselves).
# It matters: flips of half of all images teach boxes a pixel off, a fifth of the IoU of an object of 8 px;
#   small images enlarged by 4 lose 3 px of each side. No message.
#   lhrcnn: half-open corners throughout, scaled and flipped as such (lhrcnn/data/transforms/).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile kornia==0.9.0 torch==2.13.0
cat > boxes.py <<'EOP'
import sys
import kornia
import torch
from kornia.augmentation import AugmentationSequential, RandomHorizontalFlip, RandomVerticalFlip, Resize

image = torch.zeros(1, 1, 40, 100)
image[..., 10:20, 10:30] = 1
TRANSFORMS = {
    "horizontal flip": RandomHorizontalFlip(p=1.0),
    "vertical flip": RandomVerticalFlip(p=1.0),
    "10 times as large": Resize((400, 1000), align_corners=False),
}
print("kornia", kornia.__version__, "- half-open corners x 10...30, y 10...20 of 100 x 40 px")
found = {}
for name, transform in TRANSFORMS.items():
    xyxy = AugmentationSequential(transform, data_keys=["input", "bbox_xyxy"])
    moved, corners = xyxy(image, torch.tensor([[[10.0, 10.0, 30.0, 20.0]]]))
    xywh = AugmentationSequential(transform, data_keys=["input", "bbox_xywh"])
    x, y, width, height = xywh(image, torch.tensor([[[10.0, 10.0, 20.0, 10.0]]]))[1].flatten().tolist()
    rows, columns = torch.where(moved[0, 0] > 0.5)
    pixels = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    found[name] = [[int(v) for v in pixels], corners.flatten().tolist(), [x, y, x + width, y + height]]
    print(f"  {name:17} pixels {found[name][0]}, bbox_xyxy {found[name][1]}, bbox_xywh {found[name][2]}")
sys.exit(
    found
    != {
        "horizontal flip": [[70, 10, 90, 20], [69, 10, 89, 20], [70, 10, 90, 20]],
        "vertical flip": [[10, 20, 30, 30], [10, 19, 30, 29], [10, 20, 30, 30]],
        "10 times as large": [[100, 100, 300, 200], [104.5, 104.5, 304.5, 204.5], [104.5, 104.5, 295.5, 195.5]],
    }
)
EOP
venv/bin/python boxes.py 2> log || { cat log; exit 1; }
