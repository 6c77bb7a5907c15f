"""Box arithmetic in TensorFlow.

Boxes are [..., 4] float32 (ymin, xmin, ymax, xmax), half-open, in px; a box without area
overlaps nothing. Deltas are [..., 4] (dy, dx, dh, dw): centre offset over the reference's size,
and log of the size ratio (Faster R-CNN, arXiv 1506.01497, eq. 2).
"""

import math

import tensorflow as tf

MAX_LOG_RATIO = math.log(1000.0 / 16)  # keeps exp() of an untrained regressor finite


def area(boxes):
    """Areas [...] in px^2 of boxes [..., 4]; 0 for inverted ones."""
    height = tf.maximum(boxes[..., 2] - boxes[..., 0], 0.0)
    width = tf.maximum(boxes[..., 3] - boxes[..., 1], 0.0)
    return height * width


def center(boxes):
    """Centres (y, x) [..., 2] in px of boxes [..., 4]."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def size(boxes):
    """Heights and widths [..., 2] in px of boxes [..., 4]; at least 1e-3, so that they can be
    divided by."""
    return tf.maximum(boxes[..., 2:] - boxes[..., :2], 1e-3)


def at_least(boxes, size_px):
    """Whether both sides of boxes [..., 4] are above 0 and at least size_px long: [...] bool; False
    for a box that is not finite."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return tf.reduce_all((sides > 0) & (sides >= size_px), -1)


def intersection(a, b):
    """Common areas [..., n, m] in px^2 of boxes a [..., n, 4] and b [..., m, 4]."""
    height, width = (  # one after the other, since broadcasting along an axis of 2 is slow
        tf.minimum(a[..., :, None, axis + 2], b[..., None, :, axis + 2])
        - tf.maximum(a[..., :, None, axis], b[..., None, :, axis])
        for axis in (0, 1)
    )
    return tf.maximum(height, 0.0) * tf.maximum(width, 0.0)


def iou(a, b):
    """Intersection over union [..., n, m] of boxes a [..., n, 4] and b [..., m, 4]; 0 where both
    are empty."""
    common = intersection(a, b)
    union = area(a)[..., :, None] + area(b)[..., None, :] - common
    return tf.math.divide_no_nan(common, union)


def coverage(a, regions):
    """Share [..., n, m] of each box a [..., n, 4] that lies in each region [..., m, 4]."""
    return tf.math.divide_no_nan(intersection(a, regions), area(a)[..., :, None])


def encode(boxes, references):
    """Deltas [..., 4] that move `references` onto `boxes` (both [..., 4] px); finite for empty
    boxes too."""
    reference_size = size(references)
    offset = (center(boxes) - center(references)) / reference_size
    return tf.concat([offset, tf.math.log(size(boxes) / reference_size)], -1)


def decode(deltas, references):
    """Boxes [..., 4] in px: `references` moved by deltas; size ratios are limited to 1000 / 16."""
    reference_size = size(references)
    middle = center(references) + deltas[..., :2] * reference_size
    half = (
        reference_size
        * tf.exp(tf.clip_by_value(deltas[..., 2:], -MAX_LOG_RATIO, MAX_LOG_RATIO))
        / 2
    )
    return tf.concat([middle - half, middle + half], -1)


def mirror(boxes, width):
    """Boxes [..., 4] px of images mirrored left-right; `width` px is that of the image, of a shape
    that broadcasts with [...]."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    return tf.stack([ymin, width - xmax, ymax, width - xmin], axis=-1)


def clip(boxes, image_size):
    """Boxes [B, n, 4] limited to images of valid height and width image_size [B, 2], px."""
    limit = tf.tile(image_size, [1, 2])[:, None, :]
    return tf.clip_by_value(boxes, 0.0, limit)
