#!/bin/sh
# One would guess: what the image processors of transformers for DETR make of an image's boxes does not depend on
#   the other images of the batch.
# It is not so (transformers 5.24.0): boxes are shares of the image padded to the largest of the batch. One over
#   the right half of a 400 x 400 px image is .75 .5 .5 1 alone, and .375 .25 .25 .5 in a batch with an image of
#   800 x 800 px. post_process_object_detection takes shares for those of the image without the padding
#   (target_sizes): of the second it makes 100 0 200 200, where the box is 200 0 400 400.
#   The same in Conditional DETR, Deformable DETR, Grounding DINO and YOLOS. DETR's own code normalises boxes
#   before it pads (github.com/facebookresearch/detr/issues/286; transformers since its pull request 28363).
# It matters: images resized by their shorter side differ in size, so what a model is to learn depends on
#   chance, and a model that learned it gives, in batches, boxes too small and too far up and left by
#   the share of the padding. Batches of one image, or of images of one size, are right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile transformers==5.24.0 pillow==12.0.0
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata
import importlib
import sys
import numpy as np

NAMES = "detr", "conditional_detr", "deformable_detr", "yolos", "grounding_dino"


def processor(name):
    module = importlib.import_module(f"transformers.models.{name}.image_processing_pil_{name}")
    name = name.replace("_", "") + "imageprocessorpil"
    return next(one for kind, one in vars(module).items() if kind.lower() == name)


def labels(kind, sizes):
    """Boxes (center x, center y, width, height) of the first image, with one over its right half."""
    images = [np.zeros([size, size, 3], np.uint8) for size in sizes]
    box = {"bbox": [sizes[0] / 2, 0, sizes[0] / 2, sizes[0]], "category_id": 0, "area": sizes[0] ** 2 / 2, "iscrowd": 0}
    annotations = [{"image_id": k, "annotations": [box]} for k in range(len(sizes))]
    batch = kind()(images, annotations=annotations, return_tensors="np", do_resize=False)
    return np.round(batch["labels"][0]["boxes"][0], 3).tolist()


print("transformers", importlib.metadata.version("transformers"), "- a box over the right half of an image of 400 px")
found = {name: [labels(processor(name), sizes) for sizes in ([400], [400, 400], [400, 800])] for name in NAMES}
for name, (alone, same, larger) in found.items():
    x, y, width, height = (400 * share for share in larger)
    back = [round(v) for v in (x - width / 2, y - height / 2, x + width / 2, y + height / 2)]
    print(f"  {name:16} alone {alone}, with one of 800 px {larger}, times the image's own size {back}")
alone, larger = [0.75, 0.5, 0.5, 1], [0.375, 0.25, 0.25, 0.5]
sys.exit(0 if all(one == [alone, alone, larger] for one in found.values()) else "changed")
EOP
