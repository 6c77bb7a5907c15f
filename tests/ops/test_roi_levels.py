"""The level of each box, and the sum over levels."""

import numpy as np
import tensorflow as tf

from lhrcnn.ops.psroi_align import ps_roi_align
from lhrcnn.ops.roi_align import roi_align
from lhrcnn.ops.roi_levels import pool_levels


def square(side, aspect=1.0):
    """A box of a square's area."""
    return [10, 20, 10 + side * aspect, 20 + side / aspect]


def constant_maps(num_levels):
    """Level k is k + 1 everywhere, for strides 4, 8, ..."""
    return {
        f"p{2 + k}": (tf.fill([1, 400 >> k, 400 >> k, 1], k + 1.0), 1 / (4 << k))
        for k in range(num_levels)
    }


def align(features, boxes, spatial_scale):
    return roi_align(features, boxes, size=2, spatial_scale=spatial_scale, implementation="tf")


def test_boxes_go_to_the_level_of_their_size():
    sides = {1: 1, 55: 1, 111: 1, 112: 2, 113: 2, 223: 2, 224: 3, 447: 3, 448: 4, 1500: 4}
    boxes = tf.constant(
        [[square(side) for side in sides] + [square(112, 3), square(111, 1 / 3)]], tf.float32
    )
    pooled = pool_levels(align, constant_maps(4), boxes, 56)
    np.testing.assert_allclose(pooled[0, :, 0, 0, 0], [*sides.values(), 2, 1], rtol=1e-5)


def test_boxes_without_area_or_numbers_give_zeros():
    boxes = tf.constant(
        [[[0, 0, 0, 0], [5, 5, 2, 900], [np.nan, 0, 9, 9], [0, 0, np.inf, 9]]], tf.float32
    )
    assert not np.any(pool_levels(align, constant_maps(3), boxes, 56))


def test_each_image_has_its_own_numbers_of_boxes(rng):
    sides = np.array([[60, 300, 20, 150, 0], [130, 0, 140, 170, 100]])
    boxes = tf.constant([[square(side) for side in image] for image in sides], tf.float32)
    maps = {
        f"p{2 + k}": (
            tf.constant(rng.normal(size=(2, 24 >> k, 24 >> k, 3)), tf.float32),
            1 / (4 << k),
        )
        for k in range(3)
    }
    alone = [align(features, boxes, scale).numpy() for features, scale in maps.values()]
    expected = np.choose(np.digitize(sides, [112, 224])[..., None, None, None], alone)
    pool = tf.function(
        lambda boxes: pool_levels(align, maps, boxes, 56),
        input_signature=[tf.TensorSpec([None, None, 4])],
    )
    assert pool.get_concrete_function().output_shapes.as_list() == [None, None, 2, 2, 3]
    np.testing.assert_allclose(pool(boxes), expected, rtol=0, atol=1e-5)
    assert pool(boxes[:, :0]).shape == (2, 0, 2, 2, 3)


def test_no_images():
    maps = {name: (features[:0], scale) for name, (features, scale) in constant_maps(2).items()}
    assert pool_levels(align, maps, tf.zeros([0, 5, 4]), 56).shape == (0, 5, 2, 2, 1)


def test_one_level_pools_every_box():
    boxes = tf.constant([[square(20), square(300)]])
    maps = constant_maps(1)
    np.testing.assert_array_equal(
        pool_levels(align, maps, boxes, 56), align(*maps["p2"][:1], boxes, 1 / 4)
    )


def test_gradient_reaches_only_the_levels_of_the_boxes():
    maps = {
        name: (features[:, :40, :40], scale) for name, (features, scale) in constant_maps(3).items()
    }
    features = [value for value, _ in maps.values()]
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = pool_levels(align, maps, tf.constant([[square(60), square(70), square(120)]]), 56)
    sums = [float(tf.reduce_sum(gradient)) for gradient in tape.gradient(pooled, features)]
    np.testing.assert_allclose(sums, [2 * 4, 4, 0], rtol=1e-5)


def test_position_sensitive_pooling_on_levels():
    def op(features, boxes, spatial_scale):
        return ps_roi_align(
            features, boxes, group_size=2, spatial_scale=spatial_scale, implementation="tf"
        )

    maps = {
        name: (tf.tile(features, [1, 1, 1, 4]), scale)
        for name, (features, scale) in constant_maps(2).items()
    }
    pooled = pool_levels(op, maps, tf.constant([[square(60), square(120)]]), 56)
    np.testing.assert_allclose(pooled[0, :, 0, 0, 0], [1, 2], rtol=1e-5)
