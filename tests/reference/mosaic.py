"""Slow, obvious twin of the exact mosaic."""

import numpy as np


def mosaic(batch, points, most):
    """Images, boxes, classes and ignore flags of a batch of arrays joined at points [B, 2] px.

    The point of an image that stays alone is its far corner. Objects are a list per image, of
    (box, class, ignore), the kept ones in the order of the four images."""
    number, height, width, _ = batch["image"].shape
    images, objects = np.zeros_like(batch["image"]), []
    for index, (row, column) in enumerate(points):
        corners = [
            (0, 0, row, column),
            (0, column, row, width),
            (row, 0, height, column),
            (row, column, height, width),
        ]
        found = []
        for place, (top, left, bottom, right) in enumerate(corners):
            source = (index + place) % number
            images[index, top:bottom, left:right] = batch["image"][source, top:bottom, left:right]
            for box, kind, ignore in zip(*(batch[name][source] for name in OBJECTS)):
                if kind < 0:
                    continue
                y, x = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                inside = top <= y < bottom and left <= x < right
                part = (
                    max(box[0], top),
                    max(box[1], left),
                    min(box[2], bottom),
                    min(box[3], right),
                )
                if part[2] - part[0] >= 1 and part[3] - part[1] >= 1:
                    found.append((part, int(kind), bool(ignore or not inside)))
        sizes = [(not ignore, (b[2] - b[0]) * (b[3] - b[1])) for b, _, ignore in found]
        ranked = sorted(range(len(found)), key=lambda k: (not sizes[k][0], -sizes[k][1], k))
        objects.append([found[k] for k in sorted(ranked[:most])])
    return images, objects


OBJECTS = ("boxes", "classes", "ignore")
