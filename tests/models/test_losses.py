"""lhrcnn.models.losses against written-out formulas."""

import math

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference
from reference.detection import random_boxes

from lhrcnn.models import losses


def test_delta_losses_equal_the_reference(rng):
    predictions, targets = rng.normal(size=(2, 30, 4)).astype(np.float32)
    np.testing.assert_allclose(
        losses.delta_loss("l1", predictions, targets, 1.0),
        np.abs(predictions - targets).sum(1),
        rtol=1e-5,
    )
    for beta in (1 / 9, 1.0):
        np.testing.assert_allclose(
            losses.delta_loss("smooth_l1", predictions, targets, beta),
            [reference.smooth_l1(p, t, beta) for p, t in zip(predictions, targets)],
            rtol=1e-5,
        )


def test_smooth_l1_is_continuous_in_value_and_slope():
    x = tf.Variable([[0.4999, 0, 0, 0], [0.5001, 0, 0, 0]])
    with tf.GradientTape() as tape:
        value = losses.delta_loss("smooth_l1", x, tf.zeros([2, 4]), 0.5)
    np.testing.assert_allclose(value[0], value[1], atol=3e-4)
    np.testing.assert_allclose(tape.gradient(value, x)[:, 0], [1, 1], atol=1e-3)


@pytest.mark.parametrize("name", losses.BOX_LOSSES)
def test_box_losses_equal_the_reference(rng, name):
    targets = random_boxes(rng, 60)
    boxes = np.concatenate(
        [random_boxes(rng, 30), targets[30:] + rng.uniform(-0.4, 0.4, (30, 4)).astype(np.float32)]
    )  # far and near
    expected = [
        getattr(reference, f"{name}_loss")(a, b)
        for a, b in zip(boxes.astype(float), targets.astype(float))
    ]
    np.testing.assert_allclose(
        losses.BOX_LOSSES[name](boxes, targets), expected, rtol=2e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", losses.BOX_LOSSES)
def test_box_losses_are_zero_on_the_target_and_finite_with_gradients_everywhere(name):
    loss = losses.BOX_LOSSES[name]
    target = tf.constant([[5.0, 7, 25, 17]])
    np.testing.assert_allclose(loss(target, target), 0, atol=1e-6)
    boxes = tf.Variable(
        [[5.0, 7, 25, 17], [0, 0, 0, 0], [90, 90, 90, 95], [1000, 1000, 2000, 2000]]
    )
    with tf.GradientTape() as tape:
        value = loss(boxes, tf.tile(target, [4, 1]))
    assert np.isfinite(value).all() and np.isfinite(tape.gradient(value, boxes)).all()


@pytest.mark.parametrize("name", ["bounded_iou", "giou", "ciou"])
def test_losses_beyond_iou_pull_disjoint_boxes_together(name):
    box = tf.Variable([[0.0, 0, 10, 10]])
    with tf.GradientTape() as tape:
        loss = losses.BOX_LOSSES[name](
            box, tf.constant([[0.0, 8 if name == "bounded_iou" else 20, 10, 30]])
        )
    gradient = tape.gradient(loss, box).numpy()[0]
    assert gradient[3] < 0 < loss[0]


def test_cross_entropy_with_and_without_smoothing():
    logits = np.log(np.array([[0.7, 0.2, 0.1]], np.float32))
    np.testing.assert_allclose(losses.cross_entropy(logits, [1]), [-math.log(0.2)], rtol=1e-5)
    smoothed = -(0.9 * math.log(0.2) + 0.1 / 3 * (math.log(0.7) + math.log(0.2) + math.log(0.1)))
    np.testing.assert_allclose(losses.cross_entropy(logits, [1], 0.1), [smoothed], rtol=1e-5)
