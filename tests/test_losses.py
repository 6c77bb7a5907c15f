"""lhrcnn.losses against written-out formulas."""
import math

import numpy as np
import tensorflow as tf
from reference import detection as reference
from reference.detection import random_boxes

from lhrcnn import losses


def test_smooth_l1_equals_the_reference_on_both_sides_of_beta(rng):
    predictions, targets = rng.normal(size=(2, 30, 4)).astype(np.float32)
    for beta in (1 / 9, 1.0):
        np.testing.assert_allclose(losses.smooth_l1(predictions, targets, beta),
                                   [reference.smooth_l1(p, t, beta) for p, t in zip(predictions, targets)], rtol=1e-5)


def test_smooth_l1_is_continuous_in_value_and_slope():
    x = tf.Variable([[0.4999, 0, 0, 0], [0.5001, 0, 0, 0]])
    with tf.GradientTape() as tape:
        value = losses.smooth_l1(x, tf.zeros([2, 4]), 0.5)
    np.testing.assert_allclose(value[0], value[1], atol=3e-4)
    np.testing.assert_allclose(tape.gradient(value, x)[:, 0], [1, 1], atol=1e-3)


def test_l1_and_giou(rng):
    a, b = random_boxes(rng, 10), random_boxes(rng, 10)
    np.testing.assert_allclose(losses.l1(a, b), np.abs(a - b).sum(1), rtol=1e-5)
    np.testing.assert_allclose(losses.giou_loss(a, b), [1 - reference.giou(x, y) for x, y in zip(a, b)], rtol=1e-4)


def test_giou_loss_pulls_disjoint_boxes_together():
    box = tf.Variable([[0.0, 0, 10, 10]])
    with tf.GradientTape() as tape:
        loss = losses.giou_loss(box, tf.constant([[0.0, 20, 10, 30]]))
    gradient = tape.gradient(loss, box).numpy()[0]
    assert gradient[3] < 0 and loss[0] > 1


def test_cross_entropy_with_and_without_smoothing():
    logits = np.log(np.array([[0.7, 0.2, 0.1]], np.float32))
    np.testing.assert_allclose(losses.cross_entropy(logits, [1]), [-math.log(0.2)], rtol=1e-5)
    smoothed = -(0.9 * math.log(0.2) + 0.1 / 3 * (math.log(0.7) + math.log(0.2) + math.log(0.1)))
    np.testing.assert_allclose(losses.cross_entropy(logits, [1], 0.1), [smoothed], rtol=1e-5)


def test_binary_cross_entropy_stays_finite_for_sure_and_wrong():
    value = losses.binary_cross_entropy(tf.constant([100.0, -100.0, 0.0]), tf.constant([0.0, 1.0, 1.0]))
    np.testing.assert_allclose(value, [100, 100, math.log(2)], rtol=1e-5)
