#!/bin/sh
# One would guess: min_visibility is the share of a box that is left at the end of a pipeline, and what stands
#   in label_fields comes back as it went in.
# It is not so (albumentations 2.0.8): 1. visibility is taken after each transform, against the box as the one
#   before left it, and forgotten: three crops of 70 % each leave 34 % of a box with min_visibility .5.
#   With check_each_transform=False the box is dropped, as guessed. 2. numbers in label_fields pass through
#   float32: ids above 2**24 come back as others, two may come back as one, and a list of int as float.
# It matters: 1. slivers are trained on as objects; 2. COCO's crowds have ids such as 900100250282, a large
#   set's annotations ids above 16 million: what is looked up by them is not found, or another object.
#   Ids as text come back whole.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    albumentations==2.0.8 albucore==0.0.24 numpy==2.4.6 opencv-python-headless==5.0.0.93
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import sys
import albumentations as A
import numpy as np

IMAGE = np.zeros([100, 100, 3], np.uint8)


def left(widths, **options):
    """Widths of a box over the whole image, 100 px wide, after crops to these widths."""
    params = A.BboxParams("coco", min_visibility=0.5, label_fields=["labels"], **options)
    crops = [A.Crop(0, 0, width, 100, p=1) for width in widths]
    out = A.Compose(crops, bbox_params=params)(image=IMAGE, bboxes=[[0, 10, 100, 20]], labels=[1])
    return [round(float(box[2]), 3) for box in out["bboxes"]]


def labels_back(labels):
    pipeline = A.Compose([A.HorizontalFlip(p=1)], bbox_params=A.BboxParams("coco", label_fields=["ids"]))
    return [*pipeline(image=IMAGE, bboxes=[[10, 10, 20, 20], [50, 50, 20, 20]], ids=labels)["ids"]]


found = {
    "one crop to 34 px": left([34]),
    "crops to 70, 49 and 34 px": left([70, 49, 34]),
    "... check_each_transform=False": left([70, 49, 34], check_each_transform=False),
}
print(f"albumentations {A.__version__}: width left of a box 100 px wide, min_visibility .5")
for name, widths in found.items():
    print(f"  {name:31} {widths or 'dropped'}")
ids = [16777217, 16777216], [900100250282, 900100250300]
back = [labels_back(one) for one in ids]
arrays = [labels_back(np.array(one)) for one in ids]
text = labels_back([str(one) for one in ids[1]])
print("ids, as they come back from a list, an array, as text:")
for row in zip(ids, back, arrays):
    print(" ", *([*map(int, part)] for part in row))
print("  ", text)
visible = [*found.values()] == [[], [34.0], []]
alike = all(one[0] == one[1] for one in back + arrays) and back[1][0] == 900100259840
kinds = type(back[0][0]) is float and [*map(str, text)] == [str(one) for one in ids[1]]
sys.exit(0 if visible and alike and kinds else "changed")
EOP
