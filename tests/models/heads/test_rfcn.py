"""R-FCN's votes against a loop over bins."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.models.heads.rfcn import RFCNHead


def make_head(**options):
    options = {
        "kind": "rfcn",
        "pool_size": 2,
        "pool": "avg",
        "fc_channels": 6,
        "roi_impl": "tf",
        **options,
    }
    model = configs.ModelConfig(head=configs.HeadConfig(**options))
    return RFCNHead(model, {"c5": 16}, num_classes=3)


def test_scores_and_boxes_are_means_over_the_bins_maps(rng):
    head = make_head()
    boxes = tf.constant([[[0.0, 0, 64, 64], [32, 32, 96, 80]]])
    constants = rng.normal(size=(2, 2, 4)).astype(
        np.float32
    )  # the score of each class in each bin, the same everywhere
    class_map = tf.tile(tf.reshape(constants, [1, 1, 1, 16]), [1, 12, 12, 1])
    logits, deltas = head((class_map, tf.zeros([1, 12, 12, 4 * 4 * 3])), boxes)
    np.testing.assert_allclose(logits[0], np.tile(constants.mean((0, 1)), [2, 1]), rtol=1e-4)
    assert deltas.shape == (1, 2, 3, 4) and not deltas.numpy().any()


def test_variables_are_three_convolutions_and_every_one_learns(rng):
    head = make_head(class_agnostic=True)
    x = tf.constant(rng.normal(size=(2, 8, 8, 5)), tf.float32)
    boxes = tf.constant([[[0.0, 0, 64, 64]], [[10.0, 20, 100, 120]]])
    with tf.GradientTape() as tape:
        logits, deltas = head(head.prepare({"c5": x}, tf.fill([2, 2], 128.0)), boxes)
        loss = tf.reduce_sum(logits**2) + tf.reduce_sum((deltas - 1) ** 2)
    assert logits.shape == (2, 1, 4) and deltas.shape == (2, 1, 1, 4)
    assert [v.shape for v in head.trainable_variables[::2]] == [
        (1, 1, 5, 6),
        (1, 1, 6, 16),
        (1, 1, 6, 16),
    ]
    assert all(
        np.abs(gradient).sum() > 0 for gradient in tape.gradient(loss, head.trainable_variables)
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_are_taken_in_32_bits(rng, dtype):
    head = make_head(pool_size=16)
    values = rng.uniform(300, 400, [1, 1, 1, 4]).astype(np.float32)
    class_map = tf.cast(tf.tile(values, [1, 40, 40, 256]), dtype)
    logits, _ = head(
        (class_map, tf.zeros([1, 40, 40, 256 * 12])), tf.constant([[[0.0, 0, 512, 512]]])
    )
    np.testing.assert_allclose(logits[0, 0], tf.cast(class_map, tf.float32)[0, 0, 0, :4], rtol=1e-3)
