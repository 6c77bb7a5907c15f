"""The compiled RoIAlign and its TensorFlow twin against plain loops; what it shares with RoIPool is
in test_roi_pooling.py.
"""

import numpy as np
import pytest
import tensorflow as tf
from reference.roi_pooling import EMPTY_BOXES, ODD_BOXES, random_inputs
from reference.roi_pooling import roi_align as expected

from lhrcnn.ops.roi_align import roi_align


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(
    "size, spatial_scale, sampling_ratio",
    [(1, 0.25, 0), (3, 0.25, 0), (7, 1.0, 0), (2, 0.4, 1), (7, 0.25, 2), (3, 1.0, 3)],
)
def test_equals_the_loops(implementation, rng, size, spatial_scale, sampling_ratio, aligned):
    arguments = dict(
        size=size, spatial_scale=spatial_scale, sampling_ratio=sampling_ratio, aligned=aligned
    )
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-12)):
        features, boxes = random_inputs(rng, dtype)
        pooled = roi_align(features, boxes, implementation=implementation, **arguments)
        np.testing.assert_allclose(
            pooled, expected(features, boxes, **arguments), rtol=0, atol=tolerance
        )


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_odd_boxes(implementation, rng, sampling_ratio, aligned):
    features, _ = random_inputs(rng, batch=1)
    boxes = np.array([EMPTY_BOXES + ODD_BOXES], np.float32)
    arguments = dict(size=3, spatial_scale=0.25, sampling_ratio=sampling_ratio, aligned=aligned)
    pooled = roi_align(features, boxes, implementation=implementation, **arguments)
    np.testing.assert_allclose(pooled, expected(features, boxes, **arguments), rtol=0, atol=1e-5)
    assert not np.any(pooled[:, : len(EMPTY_BOXES)])


@pytest.mark.parametrize("spatial_scale", [0.25, 2.0])
def test_huge_boxes_cost_no_more_than_the_map(implementation, rng, spatial_scale):
    features, _ = random_inputs(rng, batch=1)
    boxes = [
        [
            [-1e30, -1e30, 1e30, 1e30],
            [-3e38, 0, 3e38, 9],
            [1e30, 1e30, 2e30, 2e30],
            [0, 0, 4e9, 4e9],
            [-4e9, 5, 4e9, 6],
        ]
    ] * 2
    features = np.repeat(features, 2, 0)
    for sampling_ratio in (0, 2):
        pooled = roi_align(
            features,
            tf.constant(boxes),
            size=3,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            implementation=implementation,
        )
        assert np.isfinite(pooled).all()
        if not sampling_ratio:
            assert np.abs(pooled).max() < 1e-6


@pytest.mark.parametrize("sampling_ratio, aligned", [(0, True), (2, False)])
def test_gradient(implementation, rng, sampling_ratio, aligned):
    features, boxes = random_inputs(rng, np.float64, height=4, width=3, num_boxes=3, channels=2)
    boxes = np.concatenate([boxes, [[[0, 0, 0, 9], [-9, -9, 40, 40]]] * 2], 1).astype(np.float32)
    pooled = tf.function(
        lambda values: roi_align(
            values,
            boxes,
            size=2,
            spatial_scale=0.25,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
            implementation=implementation,
        )
    )
    theory, numbers = tf.test.compute_gradient(pooled, [features])
    np.testing.assert_allclose(theory[0], numbers[0], rtol=0, atol=1e-8)
    assert np.any(theory[0])


def test_linear_ramp(implementation):
    y, x = np.meshgrid(np.arange(20.0), np.arange(30.0), indexing="ij")
    box = np.array([[[16, 8, 54, 91]]], np.float32)
    pooled = roi_align(
        (2 * y - x)[None, ..., None], box, size=4, spatial_scale=0.25, implementation=implementation
    )
    (y0, x0, y1, x1), (i, j) = (
        box[0, 0] / 4 - 0.5,
        np.meshgrid(np.arange(4), np.arange(4), indexing="ij"),
    )
    np.testing.assert_allclose(
        pooled[0, 0, ..., 0],
        2 * (y0 + (y1 - y0) * (i + 0.5) / 4) - (x0 + (x1 - x0) * (j + 0.5) / 4),
    )


def test_values_outside_the_box_do_not_leak(implementation):
    features = np.zeros((1, 8, 9, 1), np.float32)
    features[:, 4:], features[:, :, 5:] = np.nan, np.inf
    boxes = [[[0, 0, 12, 16], [4, 0, 8, 12], [24, 24, 28, 32]]]  # the last is among the NaN
    pooled = roi_align(
        features,
        tf.constant(boxes, tf.float32),
        size=2,
        spatial_scale=0.25,
        implementation=implementation,
    ).numpy()
    assert not np.any(pooled[0, :2]) and not np.isfinite(pooled[0, 2]).any()


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(sampling_ratio=-1), "sampling_ratio"),
        (dict(sampling_ratio=1.5), "an integer"),
        (dict(aligned="yes"), "aligned"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        roi_align(tf.zeros([1, 8, 9, 2]), tf.zeros([1, 5, 4]), size=3, spatial_scale=0.25, **change)
