#!/bin/sh
# One would guess: a detection in an image without objects is a false one, for TIDE as for COCO's evaluators.
# It is so in tidecv 1.0.1 only for images that were named by add_image, as its readers of COCO files do. Data
#   that is filled by add_ground_truth and add_detection alone is evaluated on the images with objects:
#   what was found in the others is left out, in AP and in the errors. No message.
# It matters: a detector with a right detection of score .5 and 99 false ones of score .9 in images without
#   objects has AP 100 and no error of background instead of AP 1.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile tidecv==1.0.1
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata
import sys

import tidecv

print("tidecv", importlib.metadata.version("tidecv"), "- 100 images, one with an object: AP, errors of background")
found = []
for named in (False, True):
    truth, detections = tidecv.Data("truth"), tidecv.Data("found")
    for image in range(100):
        if named:
            truth.add_image(image, f"{image}.png")
        detections.add_detection(image, 1, 0.5 if image == 0 else 0.9, [10, 10, 40, 40])
    truth.add_ground_truth(0, 1, [10, 10, 40, 40])
    run = tidecv.TIDE().evaluate(truth, detections, mode=tidecv.TIDE.BOX)
    background = sum(type(error).__name__ == "BackgroundError" for error in run.errors)
    found.append((round(run.ap, 2), background))
    print(f"  {'with' if named else 'without'} add_image:", *found[-1])
sys.exit(0 if found == [(100, 0), (1, 99)] else f"changed: {found}")
EOP
