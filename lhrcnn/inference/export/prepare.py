"""An image of any size as the input of a model of fixed size: NumPy alone, to be copied.

What it does stands in words, for other languages, in preprocess.json beside each such model.
"""

import numpy as np

STEPS = [
    "decode as uint8 RGB, turned as EXIF says",
    "resize: 'stretch' to size; 'fit' by one factor, so that it just fits into size, sides rounded",
    "bilinear, pixels being squares with their value at the centre; with antialias the triangle is "
    "as many times wider as the image becomes smaller; round to uint8",
    "with 'fit', put it into the upper left corner of an image of size, filled with fill",
    "boxes: multiply by the image's height and width over those after the resize, clip to it, drop "
    "what is empty then",
]


def prepare(image, preprocess):
    """(uint8 [1, H, W, 3] of the model's size, (height, width) px that the image covers there).

    image: uint8 RGB [h, w, 3]; preprocess: the content of preprocess.json."""
    size = preprocess["size"]
    inner = size
    if preprocess["resize"] == "fit":
        factor = min(size[0] / image.shape[0], size[1] / image.shape[1])
        inner = [max(1, round(side * factor)) for side in image.shape[:2]]
    resized = image
    if list(image.shape[:2]) != list(inner):
        rows, columns = (
            _weights(before, after, preprocess["antialias"])
            for before, after in zip(image.shape, inner)
        )
        pixels = np.einsum("xw,hwc->hxc", columns, image.astype(np.float32), optimize=True)
        pixels = np.einsum("yh,hxc->yxc", rows, pixels, optimize=True)
        resized = np.rint(pixels).clip(0, 255).astype(np.uint8)
    canvas = np.empty([1, *size, 3], np.uint8)
    canvas[:] = preprocess["fill"]
    canvas[0, : inner[0], : inner[1]] = resized
    return canvas, tuple(inner)


def _weights(before, after, antialias):
    """float32 [after, before]: how much each pixel counts for each new one, along an axis."""
    scale = before / after
    reach = max(scale, 1.0) if antialias else 1.0
    middle = (np.arange(after)[:, None] + 0.5) * scale
    weights = np.maximum(1 - np.abs(np.arange(before) + 0.5 - middle) / reach, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
