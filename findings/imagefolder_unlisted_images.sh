#!/bin/sh
# One would guess: the `imagefolder` loader of Hugging Face's datasets loads every image of the folder, those that
#   metadata.jsonl does not name without boxes.
# It is not so (datasets 5.2.0): beside a metadata file only the images that it names are loaded, without a
#   word about the others; without one, or with drop_metadata=True, all are.
# It matters: label files are often written for images with objects alone. Background images are lost, so
#   that a detector never sees one in training, and its false detections in them cost nothing in an
#   evaluation. Give such images a line with empty lists.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile datasets==5.2.0 pillow==12.0.0
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata
import json
import pathlib
import sys
from datasets import load_dataset
from PIL import Image

folder = pathlib.Path("images")
folder.mkdir()
for k in range(4):
    Image.new("RGB", (100 + k, 80)).save(folder / f"{k}.png")
boxes = {"bbox": [[10, 20, 30, 40]], "categories": [0]}


def widths(listed, **options):
    """Widths of the loaded images (100 px and their number), with the number of objects of each."""
    lines = [{"file_name": f"{k}.png", "objects": objects} for k, objects in listed.items()]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    cache = f"cache{len(listed)}{len(options)}"
    data = load_dataset("imagefolder", data_dir="images", split="train", cache_dir=cache, **options)
    counts = [len(row["objects"]["bbox"]) if "objects" in row else None for row in data]
    return [[row["image"].width, count] for row, count in zip(data, counts)]


none = {"bbox": [], "categories": []}
found = {
    "two of four listed": widths({0: boxes, 2: boxes}),
    "all listed, two with empty lists": widths({0: boxes, 1: none, 2: boxes, 3: none}),
    "drop_metadata=True": widths({0: boxes, 2: boxes}, drop_metadata=True),
}
print("datasets", importlib.metadata.version("datasets"), "- a folder of four images; width, objects:")
for name, rows in found.items():
    print(f"  {name:33}", *rows)
words = [word for line in open("log") for word in ("1.png", "not listed", "ignored") if word in line]
expected = [
    [[100, 1], [102, 1]],
    [[100, 1], [101, 0], [102, 1], [103, 0]],
    [[width, None] for width in range(100, 104)],
]
sys.exit(0 if [*found.values()] == expected and not words else f"changed: expected {expected}, {words}")
EOP
