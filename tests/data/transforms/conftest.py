"""A batch for transforms that join images."""

import numpy as np
import pytest

HEIGHT, WIDTH, MOST = 32, 48, 6


@pytest.fixture
def batch(rng):
    """Five images of 32 x 48 px, that of the second valid in 24 x 40, with up to six boxes."""
    corners = np.sort(rng.integers(0, [[[HEIGHT], [WIDTH]]], (5, MOST, 2, 2)), -1)
    boxes = np.moveaxis(corners, -1, -2).reshape(5, MOST, 4).astype(np.float32)
    boxes[..., 2:] += 1
    classes = rng.integers(-1, 4, (5, MOST)).astype(np.int32)
    boxes[classes < 0] = 0
    return {
        "image": rng.integers(0, 256, (5, HEIGHT, WIDTH, 3)).astype(np.uint8),
        "image_size": np.array([[32, 48], [24, 40], [32, 48], [32, 48], [32, 48]], np.float32),
        "scale": np.ones([5, 2], np.float32),
        "boxes": boxes,
        "classes": classes,
        "ignore": (classes >= 0) & (rng.random((5, MOST)) < 0.2),
        "image_id": np.arange(5),
    }
