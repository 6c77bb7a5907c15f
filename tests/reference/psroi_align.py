"""Position-sensitive RoIAlign in plain loops, from its definition."""

import numpy as np


def bilinear(plane, y, x):
    """The value of plane [H, W] at (y, x): pixels floor and floor + 1, 0 outside."""
    if not (-1 < y < plane.shape[0] and -1 < x < plane.shape[1]):
        return plane.dtype.type(0)
    low_y, low_x = int(np.floor(y)), int(np.floor(x))
    value = plane.dtype.type(0)
    for pixel_y, weight_y in ((low_y, 1 - (y - low_y)), (low_y + 1, y - low_y)):
        for pixel_x, weight_x in ((low_x, 1 - (x - low_x)), (low_x + 1, x - low_x)):
            inside = 0 <= pixel_y < plane.shape[0] and 0 <= pixel_x < plane.shape[1]
            if inside and weight_y * weight_x > 0:
                value += plane[pixel_y, pixel_x] * weight_y * weight_x
    return value


def ps_roi_align(
    features,
    boxes,
    group_size,
    spatial_scale,
    sampling_ratio=2,
    pool="avg",
    aligned=False,
    channel_order="bin_major",
):
    """features [B, H, W, G·G·C], boxes [B, N, 4] pixels -> [B, N, G, G, C].

    Coordinates are computed in the dtype of the features, float32 or float64.
    """
    real = features.dtype.type
    group, samples = group_size, sampling_ratio
    channels = features.shape[3] // group**2
    pooled = np.zeros(boxes.shape[:2] + (group, group, channels), real)
    shift = real(0.5 if aligned else 0)
    for image, n in np.ndindex(boxes.shape[:2]):
        box = boxes[image, n].astype(real)
        if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            y0, x0, y1, x1 = box * real(np.float32(spatial_scale)) - shift
            bin_height, bin_width = (y1 - y0) / real(group), (x1 - x0) / real(group)
        for i, j, c in np.ndindex(group, group, channels):
            values = []
            for s, t in np.ndindex(samples, samples):
                with np.errstate(over="ignore", invalid="ignore"):
                    y = y0 + bin_height * (real(i) + (real(s) + real(0.5)) / real(samples))
                    x = x0 + bin_width * (real(j) + (real(t) + real(0.5)) / real(samples))
                channel = (
                    (i * group + j) * channels + c
                    if channel_order == "bin_major"
                    else c * group**2 + i * group + j
                )
                values.append(bilinear(features[image, :, :, channel], y, x))
            pooled[image, n, i, j, c] = np.mean(values) if pool == "avg" else np.max(values)
    return pooled
