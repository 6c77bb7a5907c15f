"""RoIAlign and RoIPool in plain loops, from the definitions that torchvision 0.16 follows."""

import math

import numpy as np

NAN, INF = np.nan, np.inf
EMPTY_BOXES = [
    [8, 8, 8, 30],
    [8, 30, 20, 8],
    [20, 8, 8, 30],
    [NAN, 1, 9, 9],
    [1, 1, NAN, 9],
    [0, 0, INF, 9],
    [-INF, 0, 9, 9],
    [0, 0, 0, 0],
]
ODD_BOXES = [
    [-90, -90, -50, -50],
    [500, 500, 600, 600],
    [-8, -8, 8, 8],
    [-40, -40, 80, 90],
    [3, 3, 3.001, 3.001],
    [0, 0, 32, 36],
    [-4, -4, 0, 0],
    [31.9, 35.9, 32, 36],
    [-300, 10, 300, 12],
    [5, -500, 6, 900],
]


def random_inputs(rng, dtype=np.float32, batch=2, height=8, width=9, num_boxes=6, channels=3):
    """Features and boxes of which some leave the map, for maps of stride 4."""
    corner = rng.uniform(-8, 28, (batch, num_boxes, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.1, 40, corner.shape)], -1).astype(
        np.float32
    )
    return rng.normal(size=(batch, height, width, channels)).astype(dtype), boxes


def _empty(box):
    return not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]


def _axis_samples(start, end, size, scale, sampling_ratio, aligned, real):
    """The sample positions of each of `size` bins along one axis."""
    shift = real(0.5 if aligned else 0)
    start, end = real(start) * scale - shift, real(end) * scale - shift
    length = end - start if aligned else max(end - start, real(1))
    bin_size = length / real(size)
    samples = sampling_ratio or math.ceil(bin_size)
    return [
        [
            start + real(i) * bin_size + (real(s) + real(0.5)) * bin_size / real(samples)
            for s in range(samples)
        ]
        for i in range(size)
    ]


def _bilinear(plane, y, x):
    """The value [C] of plane [H, W, C] at (y, x): the border's up to one cell outside, 0 further
    out."""
    height, width, channels = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(channels, plane.dtype)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, along = y - top, x - left
    return (
        plane[top, left] * (1 - down) * (1 - along)
        + plane[top, right] * (1 - down) * along
        + plane[bottom, left] * down * (1 - along)
        + plane[bottom, right] * down * along
    )


def roi_align(features, boxes, size, spatial_scale, sampling_ratio=0, aligned=True):
    """features [B, H, W, C], boxes [B, N, 4] px -> [B, N, size, size, C]; coordinates in the dtype
    of the features."""
    real = features.dtype.type
    scale = real(np.float32(spatial_scale))
    pooled = np.zeros(boxes.shape[:2] + (size, size, features.shape[3]), real)
    for image, n in np.ndindex(boxes.shape[:2]):
        box = boxes[image, n]
        if _empty(box):
            continue
        rows = _axis_samples(box[0], box[2], size, scale, sampling_ratio, aligned, real)
        columns = _axis_samples(box[1], box[3], size, scale, sampling_ratio, aligned, real)
        for i, j in np.ndindex(size, size):
            values = [_bilinear(features[image], y, x) for y in rows[i] for x in columns[j]]
            if values:
                pooled[image, n, i, j] = np.mean(values, axis=0)
    return pooled


def _axis_bins(start, end, size, scale, limit):
    """First cell and the one after the last of each of `size` bins along one axis, clipped to the
    map."""
    first, last = (
        int(math.copysign(math.floor(abs(float(edge)) + 0.5), edge))
        for edge in (start * scale, end * scale)
    )
    bin_size = np.float32(max(last - first + 1, 1)) / np.float32(size)
    return [
        (
            min(max(first + math.floor(np.float32(i) * bin_size), 0), limit),
            min(max(first + math.ceil(np.float32(i + 1) * bin_size), 0), limit),
        )
        for i in range(size)
    ]


def roi_pool(features, boxes, size, spatial_scale):
    """(pooled [B, N, size, size, C], index [B, N, size, size, C] of the winning pixel, -1 where a
    bin has none)."""
    _, height, width, channels = features.shape
    scale = np.float32(spatial_scale)
    pooled = np.zeros(boxes.shape[:2] + (size, size, channels), features.dtype)
    winners = np.full(pooled.shape, -1)
    for image, n in np.ndindex(boxes.shape[:2]):
        box = boxes[image, n]
        if _empty(box):
            continue
        rows = _axis_bins(box[0], box[2], size, scale, height)
        columns = _axis_bins(box[1], box[3], size, scale, width)
        for i, j, c in np.ndindex(size, size, channels):
            for y in range(*rows[i]):
                for x in range(*columns[j]):
                    here = (image, n, i, j, c)
                    if winners[here] < 0 or features[image, y, x, c] > pooled[here]:
                        pooled[here], winners[here] = features[image, y, x, c], y * width + x
    return pooled, winners
