"""From localised, scored boxes to detections: further rounds of localisation, NMS within each
class, box voting.

Shape letters: B images, N boxes, K classes, L boxes per proposal (K or 1), C candidates, D
detections per image.
"""

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.models import nms
from lhrcnn.models.nms import Candidates

LEAST_WEIGHT = 1e-6  # of a candidate that votes, so that a mean exists


def candidates(boxes, scores, localise, config):
    """The Candidates of shape [B, C] from all rounds of localisation that a PostprocessConfig asks
    for; unused places have score 0.

    boxes [B, N, L, 4] px and scores [B, N, K] are the first round's. `localise`, a function boxes
    [B, C, 4] -> such a pair, pools again at the best candidates' boxes in each further round, where
    a candidate keeps its class (LocNet, arXiv 1511.07763, section 2; with two rounds ResNet's box
    refinement, arXiv 1512.03385, appendix B)."""
    scores = tf.where(box_ops.at_least(boxes, config.min_size_px), scores, 0.0)
    pool = nms.best_pairs(boxes, scores, config.score_threshold, config.pre_nms)
    if config.rounds == 1:
        return pool
    rounds = [nms.within_classes(pool, config.prune_iou, config.candidates)]
    while len(rounds) < config.rounds:
        rounds.append(_next_round(rounds[-1], localise, config))
    return Candidates(*(tf.concat(values, 1) for values in zip(*rounds)))


def select(pool, config):
    """The Candidates of shape [B, D] that are detected, best first, among those of a pool; unused
    places have score 0 and class -1."""
    found = nms.within_classes(
        pool, config.nms_iou, config.max_detections, config.score_threshold, config.soft_nms_sigma
    )
    return vote(found, pool, config.vote_iou, config.vote_offset) if config.vote_iou else found


def vote(found, pool, iou, offset=0.0):
    """`found` with each box the mean of the pool's boxes of its class and at least this IoU,
    weighted by max(0, score + offset).

    Both are Candidates; scores stay (box voting of MR-CNN, arXiv 1505.01749, section 5)."""
    votes = (
        (box_ops.iou(found.boxes, pool.boxes) >= iou)
        & (found.classes[:, :, None] == pool.classes[:, None, :])
        & (pool.scores > 0)[:, None, :]
    )
    weight = tf.maximum(pool.scores + offset, 0.0)[:, None, :] + LEAST_WEIGHT
    weights = tf.where(votes, weight, 0.0)  # [B, D, C]
    means = tf.math.divide_no_nan(
        tf.matmul(weights, pool.boxes), tf.reduce_sum(weights, -1, keepdims=True)
    )
    # Rounding takes no mean out of the image.
    return found._replace(boxes=tf.minimum(means, tf.reduce_max(pool.boxes, 1, keepdims=True)))


def _next_round(candidates, localise, config):
    """The Candidates scored and localised again from where they are; score 0 and no area for those
    that are dropped on the way."""
    boxes, scores = localise(candidates.boxes)
    own_class = tf.maximum(candidates.classes, 0)
    scores = tf.gather(scores, own_class, batch_dims=2)
    boxes = boxes[:, :, 0] if boxes.shape[2] == 1 else tf.gather(boxes, own_class, batch_dims=2)
    usable = (
        (candidates.scores > 0)
        & (scores >= config.score_threshold)
        & box_ops.at_least(boxes, config.min_size_px)
    )
    return Candidates(
        tf.where(usable[..., None], boxes, 0.0), tf.where(usable, scores, 0.0), candidates.classes
    )
