"""How much boxes overlap, in NumPy, for counting."""

import numpy as np


def iou(first, second):
    """IoU [...] of boxes [..., 4] and [..., 4], pair by pair; 0 where they do not overlap."""
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(
        first[..., :2], second[..., :2]
    )
    common = np.maximum(sides, 0).prod(-1)
    union = area(first) + area(second) - common
    return np.divide(common, union, out=np.zeros(common.shape), where=common > 0)


def area(boxes):
    """Area [...] of boxes [..., 4]; 0 for those without extent."""
    return np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(-1)
