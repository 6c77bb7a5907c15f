"""The compiled RoIPool and its TensorFlow twin against plain loops; what it shares with RoIAlign is
in test_roi_pooling.py.
"""

import numpy as np
import pytest
import tensorflow as tf
from reference.roi_pooling import EMPTY_BOXES, ODD_BOXES, random_inputs
from reference.roi_pooling import roi_pool as expected

from lhrcnn.ops.roi_pool import roi_pool


def expected_gradient(features, winners, upstream):
    """Adds each upstream value to its winner."""
    gradient = np.zeros_like(features).reshape(features.shape[0], -1, features.shape[3])
    for image, n, i, j, c in np.argwhere(winners >= 0):
        gradient[image, winners[image, n, i, j, c], c] += upstream[image, n, i, j, c]
    return gradient.reshape(features.shape)


def pooled_and_gradient(features, boxes, upstream, **arguments):
    features = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = roi_pool(features, tf.constant(boxes, tf.float32), **arguments)
    return pooled.numpy(), tape.gradient(pooled, features, tf.constant(upstream)).numpy()


@pytest.mark.parametrize(
    "size, spatial_scale", [(1, 0.25), (2, 0.4), (7, 0.25), (7, 1.0), (3, 1 / 16)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ties", [False, True])
def test_equals_the_loops(implementation, rng, size, spatial_scale, dtype, ties):
    features, boxes = random_inputs(rng, dtype)
    if ties:
        features = np.round(features)  # whole numbers: every bin has equal maxima
    pooled, winners = expected(features, boxes, size, spatial_scale)
    upstream = rng.normal(size=pooled.shape).astype(dtype)
    result, gradient = pooled_and_gradient(
        features,
        boxes,
        upstream,
        size=size,
        spatial_scale=spatial_scale,
        implementation=implementation,
    )
    np.testing.assert_array_equal(result, pooled)
    np.testing.assert_allclose(
        gradient, expected_gradient(features, winners, upstream), rtol=0, atol=1e-5
    )


def test_odd_boxes(implementation, rng):
    features, _ = random_inputs(rng, batch=1)
    boxes = np.array([EMPTY_BOXES + ODD_BOXES], np.float32)
    pooled, winners = expected(features, boxes, 3, 0.25)
    upstream = rng.normal(size=pooled.shape).astype(np.float32)
    result, gradient = pooled_and_gradient(
        features, boxes, upstream, size=3, spatial_scale=0.25, implementation=implementation
    )
    np.testing.assert_array_equal(result, pooled)
    np.testing.assert_allclose(
        gradient, expected_gradient(features, winners, upstream), rtol=0, atol=1e-5
    )
    assert not np.any(result[:, : len(EMPTY_BOXES)])


@pytest.mark.parametrize("spatial_scale", [0.25, 2.0])
def test_huge_boxes(implementation, rng, spatial_scale):
    features, _ = random_inputs(rng, batch=1)
    boxes = [
        [
            [-1e30, -1e30, 1e30, 1e30],
            [-3e38, 0, 3e38, 9],
            [1e30, 1e30, 2e30, 2e30],
            [0, 0, 4e9, 4e9],
        ]
    ]
    pooled, gradient = pooled_and_gradient(
        features,
        boxes,
        np.ones([1, 4, 3, 3, 3], np.float32),
        size=3,
        spatial_scale=spatial_scale,
        implementation=implementation,
    )
    np.testing.assert_array_equal(pooled[0, 0, 1, 1], features[0].max((0, 1)))
    np.testing.assert_array_equal(pooled[0, 3, 0, 0], features[0].max((0, 1)))
    assert not np.any(pooled[0, 2]) and np.isfinite(gradient).all()


def test_halves_round_away_from_zero(implementation):
    features = np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1)
    boxes = tf.constant(
        [[[0, 2, 1, 2.4], [0, 10, 1, 10.4], [0, 4.9, 1, 5.4]]], tf.float32
    )  # .5, 2.5 and 1.225 cells
    pooled = roi_pool(features, boxes, size=1, spatial_scale=0.25, implementation=implementation)
    np.testing.assert_array_equal(pooled[0, :, 0, 0, 0], [1, 3, 1])
