"""Losses of the two stages: one number an element, summed and normalised by the caller."""
import tensorflow as tf

from lhrcnn import boxes as box_ops


def smooth_l1(predictions, targets, beta):
    """Sum over the last axis [...] of smooth L1 of predictions and targets [..., 4]: quadratic below `beta`, slope 1 above.

    Equals the papers' sigma form for beta = 1 / sigma^2 (Fast R-CNN, arXiv 1504.08083, eq. 3)."""
    error = tf.abs(predictions - targets)
    return tf.reduce_sum(tf.where(error < beta, 0.5 * error ** 2 / beta, error - 0.5 * beta), -1)


def l1(predictions, targets):
    """Sum over the last axis [...] of absolute errors of predictions and targets [..., 4]."""
    return tf.reduce_sum(tf.abs(predictions - targets), -1)


def giou_loss(boxes, targets):
    """1 - GIoU [...] of boxes and targets [..., 4] in px (arXiv 1902.09630)."""
    return 1.0 - box_ops.giou(boxes, targets)


def cross_entropy(logits, classes, label_smoothing=0.0):
    """Softmax cross-entropy [...] of logits [..., K+1] and classes [...] int32 in 0...K."""
    if not label_smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    num = logits.shape[-1]
    targets = tf.one_hot(classes, num) * (1.0 - label_smoothing) + label_smoothing / num
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def binary_cross_entropy(logits, labels):
    """Sigmoid cross-entropy [...] of logits and float labels [...] in 0...1."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
