#!/bin/sh
# One would guess: where torchvision's Faster R-CNN and Mask R-CNN pool a box follows from the image and its maps, and
#   what a detector saw before changes nothing once it is in eval().
# It is not so (torchvision 0.29.1): MultiScaleRoIAlign works the strides of the maps out at its first call and keeps
#   them. It divides a map's height by the image's, without its padding to a multiple of 32, and rounds to a
#   power of two. A strip that is 33 to 45 px high is padded to 64: its maps of stride 4 to 32 are taken for
#   those of stride 2 to 16, and so are all maps of all images after it.
# It matters: every box is pooled at twice its position, from another level, until the process ends. The same
#   image has other detections before and after; the strip itself, a text line, a panorama or a scan
#   resized to 1333 px, is pooled wrongly where it comes first and rightly where it comes later. No message.
#   github.com/pytorch/vision/issues/3747 is from when such an image still raised an error.
#   lhrcnn: strides are the backbone's own (lhrcnn/models/extractors/fast_rcnn.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile torch==2.14.1 torchvision==0.29.1
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import sys
import torch
import torchvision
from torchvision.models.detection import fasterrcnn_resnet50_fpn
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

SQUARE, STRIP = (3, 800, 800), (3, 33, 1333)
to_batch = GeneralizedRCNNTransform(800, 1333, [0] * 3, [1] * 3)


def center_of_pooled(pool, shape, box):
    """Mean of what is pooled, from maps whose value is x in px of the image."""
    batch, _ = to_batch([torch.zeros(shape)])
    height, width = batch.tensors.shape[2:]
    maps = {str(s): (torch.arange(width // s) * s + 0.0).expand(1, 1, height // s, -1) for s in (4, 8, 16, 32)}
    return round(pool(maps, [torch.tensor([box])], batch.image_sizes).mean().item())


def pooler():
    return MultiScaleRoIAlign(["4", "8", "16", "32"], output_size=7, sampling_ratio=2)


print("torchvision", torchvision.__version__, "- middle x of a box, and of what is pooled for it, from maps of x")
square, strip = (SQUARE, [100.0, 100, 200, 200]), (STRIP, [300.0, 4, 400, 28])
found = {}
for name, order in {"square image first": [square, strip], "strip first": [strip, square]}.items():
    pool = pooler()
    for shape, box in order:
        kind = "square" if shape is SQUARE else "strip"
        found[name, kind] = center_of_pooled(pool, shape, box)
        print(f"  {name}: {kind}, box in the middle {(box[0] + box[2]) / 2:.0f}, pooled {found[name, kind]}")
    print(f"    strides kept: {[int(1 / scale) for scale in pool.scales]}")

torch.manual_seed(0)
options = {"weights": None, "weights_backbone": None, "min_size": 200, "max_size": 333}
detector = fasterrcnn_resnet50_fpn(**options).eval()
image, line = torch.rand(3, 200, 200), torch.rand(3, 40, 400)
heads = []
detector.roi_heads.box_head.register_forward_hook(lambda module, given, made: heads.append(made))
with torch.no_grad():
    detector([image]), detector([image])
    detector.roi_heads.box_roi_pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    detector([line]), detector([image])
again, after = ((heads[0] - one).abs().mean() / heads[0].abs().mean() for one in (heads[1], heads[3]))
print(f"  a detector's features of one image, second time: {again:.2f} off; after a strip: {after:.2f} off")
expected = {
    ("square image first", "square"): 150,
    ("square image first", "strip"): 350,
    ("strip first", "strip"): 700,
    ("strip first", "square"): 300,
}
sys.exit(0 if found == expected and again == 0 and after > 0.01 else f"changed: {found}")
EOP
