"""How much boxes overlap, in NumPy, for counting."""

import numpy as np


def common(first, second):
    """Area [...] that boxes [..., 4] and [..., 4] share, pair by pair."""
    low = np.maximum(first[..., :2], second[..., :2])
    return np.maximum(np.minimum(first[..., 2:], second[..., 2:]) - low, 0).prod(-1)


def iou(first, second):
    """IoU [...] of boxes [..., 4] and [..., 4], pair by pair; 0 where they do not overlap."""
    shared = common(first, second)
    union = area(first) + area(second) - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=shared > 0)


def area(boxes):
    """Area [...] of boxes [..., 4]; 0 for those without extent."""
    return np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(-1)
