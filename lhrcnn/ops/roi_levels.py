"""Boxes are pooled from the level of a feature pyramid that fits their size."""

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.ops.portable import is_portable


def pool_levels(op, maps, boxes, finest_scale):
    """op(features, boxes, spatial_scale) of each box on its own level, for maps {level: (features,
    spatial_scale)}, finest first.

    boxes [B, N, 4] px; one of side s goes to level floor(log2(s / finest_scale + 1e-6)) from 0, or
    the nearest there is (FPN, arXiv 1612.03144, eq. 1). The op gets the boxes of one level alone,
    and in a batch empty ones to make their numbers equal."""
    if len(maps) == 1:
        ((features, spatial_scale),) = maps.values()
        return op(features, boxes, spatial_scale)
    relative = tf.sqrt(box_ops.area(boxes)) / finest_scale + 1e-6
    level = sum(tf.cast(relative >= 2.0**index, tf.int32) for index in range(1, len(maps)))
    if is_portable():
        return _pooled_in_one_image(op, maps, boxes, level)
    shape = tf.shape(level)
    number = shape[0] * shape[1]
    positions = tf.reshape(tf.range(number), shape)
    pooled, slots = [], []
    for index, (features, spatial_scale) in enumerate(maps.values()):
        mine = level == index
        order = tf.argsort(tf.cast(mine, tf.int32), direction="DESCENDING", stable=True)
        order = order[:, : tf.reduce_max(tf.math.count_nonzero(mine, 1, dtype=tf.int32))]
        taken = tf.gather(mine, order, batch_dims=1)
        level_boxes = tf.where(taken[..., None], tf.gather(boxes, order, batch_dims=1), 0.0)
        pooled.append(op(features, level_boxes, spatial_scale))
        slots.append(tf.where(taken, tf.gather(positions, order, batch_dims=1), number))
    # No slice, whose gradient is slow in 16 bits.
    stitched, _ = tf.split(tf.dynamic_stitch(slots, pooled), [number, -1])
    return tf.ensure_shape(
        tf.reshape(stitched, tf.concat([shape, tf.shape(stitched)[1:]], 0)),
        [*boxes.shape[:2], *pooled[0].shape[2:]],
    )


def _pooled_in_one_image(op, maps, boxes, level):
    """`pool_levels` of boxes [1, N, 4] without a stitch, which other runtimes have no word for.

    Each level gets one box more than are its own, since not all runtimes pool none; what is pooled
    of these comes last when all are put in order."""
    number, pooled, places = boxes.shape[1], [], []
    for index, (features, spatial_scale) in enumerate(maps.values()):
        mine = tf.cast(tf.where(level[0] == index)[:, 0], tf.int32)
        taken = tf.gather(boxes, tf.concat([mine, [0]], 0), axis=1)
        pooled.append(op(features, taken, spatial_scale))
        places.append(tf.concat([mine, [number]], 0))
    # As floats, which every runtime can sort.
    order = tf.argsort(tf.cast(tf.concat(places, 0), tf.float32), stable=True)
    return tf.gather(tf.concat(pooled, 1), order[:number], axis=1)
