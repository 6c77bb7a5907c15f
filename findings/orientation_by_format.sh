#!/bin/sh
# One would guess: a reader turns images as their orientation says, or it does not, whatever the format.
# It is so: OpenCV's imread turns JPEG and PNG, WebP from 4.13 on only, and no AVIF; of a TIFF that is to be turned
#   by 90 degrees it reads nothing (None), while imdecode turns the same bytes. Pillow 13.0.0 turns TIFF
#   by itself, and the others when asked (ImageOps.exif_transpose); imageio 2.38.1 turns none unasked.
# It matters: boxes drawn on the image as shown lie elsewhere in pixels read otherwise: photos converted from
#   JPEG to WebP or AVIF, or an update of OpenCV, move all boxes of turned images, and turned TIFFs are
#   lost where None is skipped.
#   lhrcnn: turns all of them (lhrcnn/data/decoding.py; docs/prediction.md).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 pillow==13.0.0 imageio==2.38.1 tifffile==2026.3.3
for version in 4.12.0.88 4.13.0.92 5.0.0.93; do
    venv/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps \
        --target "opencv-$version" "opencv-python-headless==$version"
done

cat > read.py <<'EOP'
"""Prints how each reader of the arguments shows 60 x 100 px that are stored as 100 x 60, to be turned right."""

import sys
import numpy as np

if sys.argv[1] == "cv2":
    import cv2

    READERS = {
        "imread": cv2.imread,
        "imdecode": lambda name: cv2.imdecode(np.fromfile(name, np.uint8), cv2.IMREAD_COLOR),
    }
    tool = "OpenCV " + cv2.__version__
else:
    import imageio, PIL
    import imageio.v3
    from PIL import Image, ImageOps

    READERS = {
        f"Pillow {PIL.__version__}": lambda name: np.asarray(Image.open(name)),
        "... exif_transpose": lambda name: np.asarray(ImageOps.exif_transpose(Image.open(name))),
        f"imageio {imageio.__version__}": imageio.v3.imread,
    }
    tool = ""
    image = Image.new("RGB", (100, 60))
    image.paste("white", (0, 0, 50, 30))
    exif = Image.Exif()
    exif[0x112] = 6
    for name in ("jpg", "png", "webp", "avif"):
        image.save("a." + name, exif=exif, quality=95)
    image.save("a.tif", tiffinfo={0x112: 6})


def word(pixels):
    """Where the white quarter, stored at the top left, is found."""
    if pixels is None:
        return "None"
    stored, turned = pixels[5, 5, 0] > 127, pixels[5, -5, 0] > 127
    return {((60, 100), True): "stored", ((100, 60), False): "TURNED"}[pixels.shape[:2], bool(stored and not turned)]


for name, read in READERS.items():
    words = [word(read("a." + format_)) for format_ in ("jpg", "png", "webp", "tif", "avif")]
    print(f"{tool} {name}".strip().ljust(22), *(word.ljust(6) for word in words))
EOP
cat > expected <<'EOT'
                       jpg    png    webp   tif    avif
Pillow 13.0.0          stored stored stored TURNED stored
... exif_transpose     TURNED TURNED TURNED TURNED TURNED
imageio 2.38.1         stored stored stored stored stored
OpenCV 4.12.0 imread   TURNED TURNED stored None   stored
OpenCV 4.12.0 imdecode TURNED TURNED stored TURNED stored
OpenCV 4.13.0 imread   TURNED TURNED TURNED None   stored
OpenCV 4.13.0 imdecode TURNED TURNED TURNED TURNED stored
OpenCV 5.0.0 imread    TURNED TURNED TURNED None   stored
OpenCV 5.0.0 imdecode  TURNED TURNED TURNED TURNED stored
EOT
{
    echo "                       jpg    png    webp   tif    avif"
    venv/bin/python read.py files
    for version in 4.12.0.88 4.13.0.92 5.0.0.93; do
        PYTHONPATH=opencv-$version venv/bin/python read.py cv2 2>> log
    done
} > found || { cat found log; exit 1; }
cat found
diff expected found > difference || { echo changed:; cat difference; exit 1; }
