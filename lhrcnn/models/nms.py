"""Non-maximum suppression through `tf.image`, by the implementation that is quickest on the device.

Shape letters: B images, N boxes, K classes, C candidates. Boxes are (ymin, xmin, ymax, xmax) px.
On CPU `combined_non_max_suppression` is several times quicker for the thousands of boxes of one
class that the first stage has; the final stage, and GPUs, take `non_max_suppression` after a top-k,
classes kept apart by shifting each class's boxes to a place of its own. Equal scores keep the order
of their index everywhere.
"""

import collections

import numpy as np
import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.distribution import on_gpu
from lhrcnn.ops.portable import is_portable, onnx_operator, traced_for

# [B, C, 4] px, [B, C], [B, C] int32
Candidates = collections.namedtuple("Candidates", "boxes scores classes")


def top_k(scores, k, *others):
    """The k highest of scores [B, N] in order, and the same elements of `others` [B, N, ...]; k is
    limited to N."""
    k = tf.minimum(k, tf.shape(scores)[1])
    scores, index = tf.math.top_k(scores, k)
    return (scores, *(tf.gather(other, index, batch_dims=1) for other in others))


def class_agnostic_nms(boxes, scores, iou_threshold, max_outputs):
    """Boxes [B, max_outputs, 4] and scores [B, max_outputs] that survive NMS, best first; unused
    places are 0.

    boxes [B, N, 4], best first; scores [B, N] in (0, 1], 0 or NaN marks a box to drop."""
    scores = tf.where(tf.math.is_finite(scores), scores, 0.0)
    if on_gpu() or is_portable():
        boxes, scores, _ = _nms_each_image(
            boxes, boxes, scores, tf.zeros_like(scores, tf.int32), iou_threshold, max_outputs
        )
    else:
        # It orders equal scores at random: it is given places instead, counted from the last.
        number = tf.shape(scores)[1]
        places = tf.where(scores > 0, tf.cast(tf.range(number, 0, -1), tf.float32), 0.0)
        boxes, places, _, _ = tf.image.combined_non_max_suppression(
            boxes[:, :, None, :],
            places[:, :, None],
            max_outputs,
            max_outputs,
            iou_threshold,
            score_threshold=0.0,
            clip_boxes=False,
        )
        index = number - tf.cast(places, tf.int32)  # N, outside, where nothing is left
        scores = tf.gather(tf.pad(scores, [[0, 0], [0, 1]]), index, batch_dims=1)
    return boxes, scores


def best_pairs(boxes, scores, score_threshold, most):
    """The Candidates [B, C], C = min(most, N * K), of the best-scored pairs of a box and a class,
    best first.

    boxes [B, N, K, 4] or, one box for all classes, [B, N, 1, 4]; scores [B, N, K] in 0...1. Scores
    below the threshold and those of boxes that are not finite become 0; so do those boxes, and NaN
    scores."""
    num_classes = tf.shape(scores)[2]
    scores = tf.where(scores >= score_threshold, scores, 0.0)
    flat = tf.reshape(scores, [tf.shape(scores)[0], -1])  # [B, N * K]
    scores, pair = tf.math.top_k(flat, tf.minimum(most, tf.shape(flat)[1]))
    shared = boxes.shape[2] == 1
    boxes = tf.reshape(boxes, [tf.shape(boxes)[0], -1, 4])
    boxes = tf.gather(boxes, pair // num_classes if shared else pair, batch_dims=1)
    finite = tf.reduce_all(tf.math.is_finite(boxes), -1)
    return Candidates(
        tf.where(finite[..., None], boxes, 0.0), tf.where(finite, scores, 0.0), pair % num_classes
    )


def within_classes(candidates, iou_threshold, max_outputs, score_threshold=0.0, soft_sigma=0.0):
    """The Candidates [B, max_outputs] that survive NMS within each class, best first; unused places
    have score 0 and class -1.

    Those of score 0 never survive. With a soft_sigma a box's score is multiplied by exp(-IoU^2 /
    soft_sigma) for every better box of its class, and it is dropped only below score_threshold
    (Soft-NMS, arXiv 1704.04503, eq. 3)."""
    boxes, scores, classes = candidates
    # The least span that keeps classes apart costs the least precision.
    highest, lowest = (f(boxes, [1, 2], keepdims=True) for f in (tf.reduce_max, tf.reduce_min))
    span = highest - lowest + 1
    apart = boxes + span * tf.cast(classes, tf.float32)[..., None]
    kept = Candidates(
        *_nms_each_image(
            boxes, apart, scores, classes, iou_threshold, max_outputs, score_threshold, soft_sigma
        )
    )
    return kept._replace(classes=tf.where(kept.scores > 0, kept.classes, -1))


def _nms_each_image(
    boxes,
    compared,
    scores,
    classes,
    iou_threshold,
    max_outputs,
    score_threshold=0.0,
    soft_sigma=0.0,
):
    """The surviving boxes, scores and classes of each image, padded with 0 to max_outputs; overlaps
    are judged on `compared`."""

    def one_image(inputs):
        boxes, compared, scores, classes = inputs
        index, scores = _survivors(
            compared, scores, iou_threshold, max_outputs, score_threshold, soft_sigma
        )
        return tuple(_padded(tf.gather(v, index), max_outputs) for v in (boxes, scores, classes))

    if is_portable():
        images = zip(*(tf.unstack(values) for values in (boxes, compared, scores, classes)))
        return tuple(tf.stack(values) for values in zip(*map(one_image, images)))
    signature = (
        tf.TensorSpec([max_outputs, 4]),
        tf.TensorSpec([max_outputs]),
        tf.TensorSpec([max_outputs], tf.int32),
    )
    return tf.map_fn(one_image, (boxes, compared, scores, classes), fn_output_signature=signature)


def _survivors(boxes, scores, iou_threshold, max_outputs, score_threshold, soft_sigma):
    """The indices [n], best first, of the boxes [C, 4] that survive, and all scores [C] then."""
    if traced_for("onnx") or traced_for("litert"):
        # Some runtimes drop a box whose IoU equals the threshold.
        iou_threshold = float(np.nextafter(np.float32(iou_threshold), np.float32(1)))
    if not soft_sigma:
        if traced_for("litert"):
            return _survivors_litert(boxes, scores, iou_threshold, max_outputs), scores
        index = tf.image.non_max_suppression(
            boxes, scores, max_outputs, iou_threshold, score_threshold=0.0
        )
        return index, scores
    if traced_for("onnx") or traced_for("litert"):
        options = dict(
            max_outputs=max_outputs, score_threshold=score_threshold, soft_sigma=soft_sigma
        )
        if traced_for("onnx"):
            scores = onnx_operator("SoftNMS", [boxes, scores], scores.shape, **options)
        else:
            scores = _soft_scores(boxes, scores, **options)
        order = tf.math.top_k(scores, tf.minimum(max_outputs, tf.size(scores))).indices
        return order[: tf.math.count_nonzero(scores, dtype=tf.int32)], scores
    index, kept_scores = tf.image.non_max_suppression_with_scores(
        boxes,
        scores,
        max_outputs,
        iou_threshold=1.0,
        score_threshold=score_threshold,
        soft_nms_sigma=soft_sigma / 2,  # TensorFlow's exponent is -IoU^2 / (2 sigma)
    )
    return index, tf.tensor_scatter_nd_update(scores, index[:, None], kept_scores)


def _survivors_litert(boxes, scores, iou_threshold, max_outputs):
    """The indices [n] that survive the padded form of NMS, which LiteRT has.

    It takes equal scores in any order, so NMS is given places instead, counted from the last."""
    order = tf.math.top_k(scores, tf.size(scores)).indices
    places = tf.cast(tf.range(tf.size(scores), 0, -1), tf.float32)
    index, _, number = tf.raw_ops.NonMaxSuppressionV5(
        boxes=tf.gather(boxes, order),
        scores=tf.where(tf.gather(scores, order) > 0, places, 0.0),
        max_output_size=max_outputs,
        iou_threshold=iou_threshold,
        score_threshold=0.0,
        soft_nms_sigma=0.0,
        pad_to_max_output_size=True,
    )
    return tf.gather(order, index[:number])


def _soft_scores(boxes, scores, max_outputs, score_threshold, soft_sigma):
    """The score [C] with which each box survives Soft-NMS, 0 for others; LiteRT's own Soft-NMS
    also drops boxes by their IoU."""
    number = tf.range(tf.size(scores))

    def step(left, survived):
        best = tf.argmax(left, output_type=tf.int32)
        overlap = box_ops.iou(tf.gather(boxes, [best]), boxes)[0]
        decayed = left * tf.exp(-(overlap**2) / soft_sigma)
        gone = tf.equal(number, best) | (decayed <= score_threshold)
        survived = tf.where(tf.equal(number, best), left, survived)
        return tf.where(gone, 0.0, decayed), survived

    left = tf.where(scores > score_threshold, scores, 0.0)
    loop = tf.while_loop(
        lambda left, survived: tf.reduce_max(left) > 0,
        step,
        (left, tf.zeros_like(left)),
        maximum_iterations=max_outputs,
    )
    return loop[1]


def _padded(values, length):
    """[length, ...] of values [n, ...]: zeros behind them.

    Reshaped, so that in ONNX files too all that follows is of known size, which is quicker."""
    around = [[0, length - tf.shape(values)[0]]] + [[0, 0]] * (len(values.shape) - 1)
    return tf.reshape(tf.pad(values, around), [length, *values.shape[1:]])
