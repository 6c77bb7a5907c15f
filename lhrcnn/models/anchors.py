"""Anchors: the reference boxes of the region proposal network.

A anchors stand on every cell of a map, ratio-major: all scales of the first ratio, then of the
next. Cells go row by row, as a convolution's output does when it is reshaped from [B, h, w, A] to
[B, h * w * A].
"""

import numpy as np
import tensorflow as tf


def cell_anchors(scales, ratios, rounding="none"):
    """Anchors [A, 4] float32 (ymin, xmin, ymax, xmax) in px around the origin, A = len(ratios) *
    len(scales).

    An anchor of scale s and ratio r is s * sqrt(r) high and s / sqrt(r) wide. `rounding` is that of
    the library a checkpoint was trained with: "torchvision" rounds the coordinates;
    "py_faster_rcnn" rounds width and height at scale 16."""
    if rounding == "py_faster_rcnn":
        widths = [round(16 / ratio**0.5) for ratio in ratios]
        sizes = [
            (round(width * ratio) * scale / 16, width * scale / 16)
            for width, ratio in zip(widths, ratios)
            for scale in scales
        ]
    else:
        sizes = [(scale * ratio**0.5, scale / ratio**0.5) for ratio in ratios for scale in scales]
    anchors = np.array([[-h / 2, -w / 2, h / 2, w / 2] for h, w in sizes], np.float32)
    return np.round(anchors) if rounding == "torchvision" else anchors


def grid_anchors(height, width, stride, cell, center_offset=0.5):
    """Anchors [height * width * A, 4] in px of a map of height x width cells `stride` px, or (down,
    across) px, apart.

    `cell` is [A, 4] from `cell_anchors`; a cell's anchors are centred `center_offset` strides from
    its top left corner."""
    down, across = tf.unstack(tf.broadcast_to(tf.cast(stride, tf.float32), [2]))
    y = (tf.cast(tf.range(height), tf.float32) + center_offset) * down
    x = (tf.cast(tf.range(width), tf.float32) + center_offset) * across
    y, x = tf.meshgrid(y, x, indexing="ij")
    centers = tf.stack([y, x, y, x], -1)  # [height, width, 4]
    return tf.reshape(centers[:, :, None, :] + tf.constant(cell), [-1, 4])
