"""Boxes are pooled from the level of a feature pyramid that fits their size."""
import tensorflow as tf

from lhrcnn import boxes as box_ops


def pool_levels(op, maps, boxes, finest_scale):
    """op(features, boxes, spatial_scale) of each box on its own level, for maps {level: (features, spatial_scale)}, finest first.

    boxes [B, N, 4] px; one of side s goes to level floor(log2(s / finest_scale + 1e-6)) from 0, or the nearest there is (FPN,
    arXiv 1612.03144, eq. 1). The op must give zeros for a box without area."""
    if len(maps) == 1:
        (features, spatial_scale), = maps.values()
        return op(features, boxes, spatial_scale)
    relative = tf.sqrt(box_ops.area(boxes)) / finest_scale + 1e-6
    level = tf.add_n([tf.cast(relative >= 2.0 ** index, tf.int32) for index in range(1, len(maps))])[..., None]
    return tf.add_n([op(features, tf.where(level == index, boxes, 0.0), spatial_scale)
                     for index, (features, spatial_scale) in enumerate(maps.values())])
