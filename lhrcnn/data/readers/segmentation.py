"""The boxes of COCO's segmentations: polygons and run lengths."""

import numpy as np


def segmentation_box(segmentation):
    """Half-open (ymin, xmin, ymax, xmax) px of polygons or of run lengths; None where it has none.

    Polygons: lists [x1, y1, x2, y2, ...]; run lengths: {"size": [height, width], "counts": numbers
    or COCO's text}, down the columns, background first. Raises ValueError, TypeError or KeyError
    for anything else."""
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        counts = _decoded(counts) if isinstance(counts, str) else counts
        return _box_of_runs(np.asarray(counts, np.int64), int(segmentation["size"][0]))
    if segmentation and not isinstance(segmentation[0], (list, tuple)):
        segmentation = [segmentation]
    points = [np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in segmentation or ()]
    points = np.concatenate([np.zeros([0, 2]), *points])
    if not len(points):
        return None
    (xmin, ymin), (xmax, ymax) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return ymin, xmin, ymax, xmax


def _box_of_runs(counts, height):
    ends = np.cumsum(counts)[1::2]
    starts = ends - counts[1::2]
    starts, ends = starts[ends > starts], ends[ends > starts] - 1
    if not len(starts):
        return None
    first, last = starts // height, ends // height
    whole = first < last  # such a run goes over the end of a column
    ymin, ymax = np.where(whole, 0, starts % height), np.where(whole, height - 1, ends % height)
    box = ymin.min(), first.min(), ymax.max() + 1, last.max() + 1
    return tuple(float(value) for value in box)


def _decoded(text):
    """Run lengths of COCO's compressed text (maskApi.c, rleFrString)."""
    counts, position = [], 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[position]) - 48
            value |= (bits & 0x1F) << shift
            more, position, shift = bool(bits & 0x20), position + 1, shift + 5
            if not more and bits & 0x10:
                value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
