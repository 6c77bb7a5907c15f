"""lhrcnn.boxes against one-box-at-a-time arithmetic."""

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference
from reference.detection import random_boxes

from lhrcnn import boxes as box_ops


def test_iou_of_batches_equals_the_reference(rng):
    a, b = random_boxes(rng, 2, 6), random_boxes(rng, 2, 4)
    expected = [[[reference.iou(x, y) for y in b[i]] for x in a[i]] for i in range(2)]
    np.testing.assert_allclose(box_ops.iou(a, b), expected, rtol=1e-5)


def test_disjoint_touching_and_empty_boxes_overlap_nothing():
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [5, 5, 5, 9], [9, 9, 3, 3]], np.float32)
    iou = box_ops.iou(boxes, boxes).numpy()
    assert iou[0, 0] == 1 and iou[0, 1] == 0
    assert not iou[2:].any() and not iou[:, 2:].any()


def test_coverage_is_the_share_inside_the_region():
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 5]], np.float32)
    region = np.array([[0, 5, 100, 100]], np.float32)
    np.testing.assert_allclose(box_ops.coverage(a, region), [[0.5], [0.0]])


def test_encode_equals_the_reference_and_decode_inverts_it(rng):
    boxes, references = random_boxes(rng, 50), random_boxes(rng, 50)
    deltas = box_ops.encode(boxes, references)
    np.testing.assert_allclose(
        deltas, [reference.encode(b, r) for b, r in zip(boxes, references)], rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(box_ops.decode(deltas, references), boxes, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("empty", [[5, 5, 5, 5], [9, 9, 1, 1], [0, 0, 0, 0]])
def test_encode_and_decode_stay_finite(empty):
    box, normal = tf.constant([empty], tf.float32), tf.constant([[0.0, 0, 10, 10]])
    assert np.isfinite(box_ops.encode(box, normal)).all()
    assert np.isfinite(box_ops.encode(normal, box)).all()
    assert np.isfinite(box_ops.decode(tf.constant([[1e6, -1e6, 1e6, -1e6]]), normal)).all()


def test_decode_limits_the_size_ratio():
    height = (
        box_ops.decode(tf.constant([[0.0, 0, 1e3, 0]]), tf.constant([[0.0, 0, 16, 16]]))[:, 2]
        - box_ops.decode(tf.constant([[0.0, 0, 1e3, 0]]), tf.constant([[0.0, 0, 16, 16]]))[:, 0]
    )
    np.testing.assert_allclose(height, 1000, rtol=1e-4)


def test_clip_uses_height_for_y_and_width_for_x():
    boxes = tf.constant([[[-5.0, -5, 300, 300]], [[-5.0, -5, 300, 300]]])
    clipped = box_ops.clip(boxes, tf.constant([[100.0, 200.0], [50.0, 60.0]]))
    np.testing.assert_array_equal(clipped, [[[0, 0, 100, 200]], [[0, 0, 50, 60]]])


def test_at_least_wants_both_sides_and_refuses_what_is_not_finite():
    boxes = tf.constant(
        [[0.0, 0, 2, 5], [0, 0, 1.9, 5], [0, 0, 0, 5], [5, 5, 1, 9], [0, 0, float("nan"), 5]]
    )
    np.testing.assert_array_equal(box_ops.at_least(boxes, 2.0), [True, False, False, False, False])
    np.testing.assert_array_equal(box_ops.at_least(boxes, 0.0), [True, True, False, False, False])
