"""Losses of the two stages: one number per element, summed and normalised by the caller."""

import collections
import math

import tensorflow as tf

from lhrcnn import boxes as box_ops

# The loss is total / count, both summed over all replicas.
LossSum = collections.namedtuple("LossSum", "total count")


def delta_loss(kind, predictions, targets, beta):
    """Loss [...] "l1" or "smooth_l1" between box deltas [..., 4], summed over the four.

    Smooth L1 is quadratic below `beta` and of slope 1 above: the papers' sigma form for beta = 1 /
    sigma^2 (Fast R-CNN, arXiv 1504.08083, eq. 3)."""
    error = tf.abs(predictions - targets)
    return tf.reduce_sum(error if kind == "l1" else _smooth(error, beta), -1)


def iou_loss(boxes, targets):
    """-log IoU [...] (UnitBox, arXiv 1608.01471, eq. 5); IoU counts as at least 1e-6."""
    return -tf.math.log(tf.maximum(_overlap(boxes, targets)[0], 1e-6))


def bounded_iou_loss(boxes, targets):
    """Smooth L1 with beta 0.2 of 1 - the largest IoU that each coordinate allows, summed over the
    four (arXiv 1711.00164, section 4)."""
    size, target_size = box_ops.size(boxes), box_ops.size(targets)
    offset = 2 * tf.abs(box_ops.center(targets) - box_ops.center(boxes))
    of_offset = 1 - tf.maximum((target_size - offset) / (target_size + offset), 0.0)
    of_size = 1 - tf.minimum(size / target_size, target_size / size)
    return tf.reduce_sum(_smooth(tf.concat([of_offset, of_size], -1), 0.2), -1)


def giou_loss(boxes, targets):
    """1 - generalised IoU [...] (arXiv 1902.09630, algorithm 1)."""
    iou, union, hull = _overlap(boxes, targets)
    hull_area = hull[..., 0] * hull[..., 1]
    return 1.0 - iou + tf.math.divide_no_nan(hull_area - union, hull_area)


def ciou_loss(boxes, targets):
    """1 - complete IoU [...]: centre distance and aspect ratio count too (arXiv 2005.03572, eqs.
    7-11)."""
    iou, _, hull = _overlap(boxes, targets)
    distance = tf.reduce_sum((box_ops.center(boxes) - box_ops.center(targets)) ** 2, -1)
    distance = tf.math.divide_no_nan(distance, tf.reduce_sum(hull**2, -1))
    (height, width), (target_height, target_width) = (
        tf.unstack(box_ops.size(b), axis=-1) for b in (boxes, targets)
    )
    shape = 4 / math.pi**2 * (tf.atan(target_width / target_height) - tf.atan(width / height)) ** 2
    share = tf.stop_gradient(
        tf.where(iou > 0.5, tf.math.divide_no_nan(shape, 1 - iou + shape), 0.0)
    )
    return 1.0 - iou + distance + share * shape


BOX_LOSSES = {
    "iou": iou_loss,
    "bounded_iou": bounded_iou_loss,
    "giou": giou_loss,
    "ciou": ciou_loss,
}


def cross_entropy(logits, classes, label_smoothing=0.0):
    """Softmax cross-entropy [...] of logits [..., K+1] and classes [...] int32 in 0...K."""
    if not label_smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    num = logits.shape[-1]
    targets = tf.one_hot(classes, num) * (1.0 - label_smoothing) + label_smoothing / num
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def _smooth(error, beta):
    return tf.where(error < beta, 0.5 * error**2 / beta, error - 0.5 * beta)


def _overlap(a, b):
    """IoU [...], union area [...] px^2, and height and width [..., 2] of the hull, of box pairs
    a, b [..., 4]."""
    top_left, bottom_right = tf.maximum(a[..., :2], b[..., :2]), tf.minimum(a[..., 2:], b[..., 2:])
    common = box_ops.area(tf.concat([top_left, bottom_right], -1))
    hull = tf.maximum(a[..., 2:], b[..., 2:]) - tf.minimum(a[..., :2], b[..., :2])
    union = box_ops.area(a) + box_ops.area(b) - common
    return tf.math.divide_no_nan(common, union), union, hull
