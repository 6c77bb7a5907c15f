"""Which boxes are foreground, which background, and which of them carry loss.

Shape letters: B images, N candidate boxes (anchors or proposals), M padded ground-truth boxes, S
sampled candidates.
"""

import collections

import tensorflow as tf

from lhrcnn import boxes as box_ops

FOREGROUND, BACKGROUND, NEITHER = 1, 0, -1
IGNORED_COVERAGE = 0.5  # a candidate this far inside an ignored region is not background
_AT_ONCE = 16  # ground-truth boxes that all candidates are compared with at a time

Match = collections.namedtuple("Match", "labels matched_box")


def match(candidates, batch, foreground_iou, background_iou, background_iou_low=0.0, best_iou=None):
    """Labels of candidates [B, N, 4] or [N, 4] against the ground truth of a batch: "boxes"
    [B, M, 4] px, "classes" [B, M] (-1 pads) and "ignore" [B, M].

    Returns Match(labels [B, N] int32 FOREGROUND/BACKGROUND/NEITHER, matched_box [B, N] int32 index
    of the ground truth).
    Foreground: IoU >= foreground_iou, and with a best_iou also the closest candidates of every
    ground-truth box, ties included, that touch it and have that IoU. Background:
    background_iou_low <= IoU < background_iou and not inside an ignored region. Foreground wins.
    Without any ground truth all candidates are background, with a background_iou_low above 0
    neither; an empty or non-finite candidate is neither. (Faster R-CNN, arXiv 1506.01497, section
    3.1.2.)"""
    boxes, ignore, labelled = batch["boxes"], batch["ignore"], batch["classes"] >= 0
    areas = box_ops.area(boxes)

    def compared(start, best, matched, forced_iou, forced, in_ignored):
        """The state after the ground truth from `start` on, as much as fits into memory."""
        part = slice(start, start + _AT_ONCE)
        own, ignored = boxes[:, part], (ignore & labelled)[:, None, part]
        real = (labelled & ~ignore & (areas > 0))[:, None, part]
        iou = tf.where(real, box_ops.iou(candidates, own), -1.0)  # [B, N, _AT_ONCE]
        best, matched = _better(iou, start, best, matched)
        if best_iou is not None:
            best_of_truth = tf.reduce_max(iou, 1, keepdims=True)
            is_best = (iou == best_of_truth) & (iou > 0) & (iou >= best_iou)
            forced_iou, forced = _better(tf.where(is_best, iou, -1.0), start, forced_iou, forced)
        inside = box_ops.coverage(candidates, own) >= IGNORED_COVERAGE
        in_ignored |= tf.reduce_any(inside & ignored, -1)
        return start + _AT_ONCE, best, matched, forced_iou, forced, in_ignored

    last = tf.reduce_max(tf.where(labelled, tf.range(tf.shape(boxes)[1]), -1))
    shape = [tf.shape(boxes)[0], tf.shape(candidates)[-2]]
    none, first, no = tf.fill(shape, -1.0), tf.zeros(shape, tf.int32), tf.zeros(shape, tf.bool)
    _, best, matched_box, forced_iou, forced_box, in_ignored = tf.while_loop(
        lambda start, *_: start <= last,  # what pads costs nothing
        compared,
        [0, none, first, none, first, no],
        parallel_iterations=1,  # else parts are compared, and held, at the same time
    )
    best = tf.maximum(best, 0.0)
    forced = (forced_iou > 0) & (best < foreground_iou)
    matched_box = tf.where(forced, forced_box, matched_box)
    foreground = (best >= foreground_iou) | forced
    background = (best < background_iou) & (best >= background_iou_low) & ~in_ignored
    labels = tf.where(foreground, FOREGROUND, tf.where(background, BACKGROUND, NEITHER))
    usable = tf.math.is_finite(box_ops.area(candidates)) & (box_ops.area(candidates) > 0)
    return Match(tf.where(usable, labels, NEITHER), matched_box)


def _better(iou, start, best, matched):
    """(best [B, N], matched [B, N]), where iou [B, N, m] with the ground truth from `start` on is
    higher; the first of equals stays."""
    highest = tf.reduce_max(iou, -1)
    index = start + tf.argmax(iou, -1, output_type=tf.int32)
    return tf.maximum(highest, best), tf.where(highest > best, index, matched)


def sample(labels, size, positive_fraction, order):
    """Index [B, S] of randomly chosen candidates and valid [B, S] bool, S = min(size, N).

    labels [B, N] from `match`; at most size * positive_fraction are foreground, background fills
    what is left, and places that cannot be filled are invalid. `order` [B, N] in [0, 1) is the
    random number of each candidate; the highest win."""
    num = tf.shape(labels)[1]
    foreground, is_foreground = _highest(
        order, labels == FOREGROUND, tf.minimum(int(size * positive_fraction), num)
    )
    background, is_background = _highest(order, labels == BACKGROUND, tf.minimum(size, num))
    missing = size - tf.reduce_sum(tf.cast(is_foreground, tf.int32), 1, keepdims=True)
    is_background &= tf.range(tf.shape(background)[1])[None, :] < missing
    index = tf.concat([foreground, background], 1)
    valid = tf.concat([is_foreground, is_background], 1)
    # top_k keeps the order of equals.
    first_valid = tf.math.top_k(tf.cast(valid, tf.int32), tf.minimum(size, num)).indices
    return tf.gather(index, first_valid, batch_dims=1), tf.gather(valid, first_valid, batch_dims=1)


def hardest(losses, labels, size):
    """Index [B, S] of the candidates with the highest losses [B, N] >= 0 and valid [B, S],
    S = min(size, N).

    Candidates with label NEITHER are never chosen (OHEM, arXiv 1604.03540, without its NMS). It
    chooses for each image by itself, so that the outcome does not depend on how a batch is split
    over devices."""
    return _highest(losses, labels != NEITHER, tf.minimum(size, tf.shape(labels)[1]))


def _highest(values, eligible, count):
    """Index [B, count] of the highest values >= 0 among the eligible, and whether each place holds
    an eligible one."""
    values, index = tf.math.top_k(tf.where(eligible, values, -1.0), count)
    return index, values >= 0
