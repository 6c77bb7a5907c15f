"""Heads of the Faster R-CNN family: how features are laid out, shared and sized."""

import numpy as np
import pytest
import tensorflow as tf
from reference.convolution import grouped_convolution

from lhrcnn import config as configs
from lhrcnn.keras import keras
from lhrcnn.models.backbones import LAST_STAGES
from lhrcnn.models.build import arithmetic
from lhrcnn.models.extractors.fast_rcnn import FCExtractor, SkipPooling, Stage5Extractor


def make_head(head_class=FCExtractor, strides=None, **options):
    options = {
        "kind": "fc",
        "levels": ["c5"],
        "pool_size": 2,
        "fc_channels": 5,
        "fc_layers": 2,
        "roi_impl": "tf",
        **options,
    }
    model = configs.ModelConfig(head=configs.HeadConfig(**options))
    return head_class(model, strides or {"c5": 16})


def test_vgg16_gives_128_rows_of_25088_numbers_to_fc6_of_4096():
    head = make_head(pool_size=7, roi_op="pool", fc_channels=4096)
    boxes = tf.tile(tf.constant([[[0.0, 0, 96, 96]]]), [1, 128, 1])
    prepared = head.prepare({"c5": tf.zeros([1, 8, 8, 512])})
    assert head.pool(prepared, boxes).shape == (128, 7, 7, 512)
    assert head(prepared, boxes).shape == (1, 128, 4096)
    assert [fc.kernel.shape for fc in head.fcs] == [(25088, 4096), (4096, 4096)]


@pytest.mark.parametrize("roi_op", ["align", "pool"])
def test_fully_connected_layers_see_bins_row_by_row_with_relu_between(rng, roi_op):
    head = make_head(roi_op=roi_op)
    prepared = head.prepare({"c5": tf.constant(rng.normal(size=(2, 6, 6, 3)), tf.float32)})
    boxes = tf.constant([[[0.0, 0, 64, 64], [16, 16, 80, 48]], [[0.0, 16, 32, 96], [0, 0, 0, 0]]])
    features = head(prepared, boxes).numpy()
    x = head.pool(prepared, boxes).numpy().reshape(4, 12)
    for fc in head.fcs:
        x = np.maximum(x @ fc.kernel.numpy() + fc.bias.numpy(), 0)
    np.testing.assert_allclose(features.reshape(4, 5), x, rtol=1e-4, atol=1e-6)


def test_convolutions_come_before_the_fully_connected_layers(rng):
    head = make_head(conv_layers=2, conv_channels=4, fc_layers=1)
    prepared = head.prepare({"c5": tf.constant(rng.normal(size=(1, 6, 6, 3)), tf.float32)})
    boxes = tf.constant([[[0.0, 0, 64, 64], [16, 16, 80, 48]]])
    features = head(prepared, boxes).numpy()
    assert [conv.kernel.shape for conv in head.convs] == [(3, 3, 3, 4), (3, 3, 4, 4)]
    x = head.pool(prepared, boxes).numpy()
    for conv in head.convs:
        x = np.maximum(grouped_convolution(x, conv.kernel.numpy(), 1) / np.sqrt(1 + 1e-5), 0)
    (fc,) = head.fcs
    x = np.maximum(x.reshape(2, 16) @ fc.kernel.numpy() + fc.bias.numpy(), 0)
    np.testing.assert_allclose(features[0], x, rtol=1e-4, atol=1e-6)
    moving = head.convs[0].norm.moving_mean.numpy()
    head(prepared, boxes, training=True)
    assert (head.convs[0].norm.moving_mean.numpy() != moving).all(), "as model.backbone.batch_norm"


def test_boxes_are_pooled_from_the_level_of_their_size():
    head = make_head(strides={"p2": 4, "p3": 8}, levels=["p2", "p3"], finest_scale=16)
    maps = {"p2": tf.fill([1, 32, 32, 1], 2.0), "p3": tf.fill([1, 16, 16, 1], 3.0)}
    boxes = tf.constant([[[8.0, 8, 24, 24], [8.0, 8, 48, 48], [0, 0, 0, 0]]])
    np.testing.assert_allclose(head.pool(head.prepare(maps), boxes)[:, 0, 0, 0], [2, 3, 0])


def test_skip_pooling_normalises_scales_and_reduces_all_levels(rng):
    head = make_head(strides={"c4": 8, "c5": 16}, levels=["c4", "c5"], skip_channels=3)
    maps = {
        "c4": tf.constant(rng.normal(size=(1, 16, 16, 2)), tf.float32),
        "c5": tf.constant(rng.normal(size=(1, 8, 8, 5)), tf.float32),
    }
    boxes = tf.constant([[[0.0, 0, 64, 64], [16, 16, 80, 120]]])
    assert head(maps, boxes).shape == (1, 2, 5)
    head.skip.scales[1].assign([1.0, 2, 3, 4, 5])
    parts = [
        make_head(strides={level: stride}, levels=[level]).pool(maps, boxes).numpy()
        for level, stride in (("c4", 8), ("c5", 16))
    ]
    scaled = [
        part / np.linalg.norm(part, axis=-1, keepdims=True) * scale
        for part, scale in zip(parts, (20, np.arange(1, 6)))
    ]
    head.skip.bias.assign([0.5, -0.5, 0])
    reduced = np.concatenate(scaled, -1) @ head.skip.kernel.numpy() + [0.5, -0.5, 0]
    np.testing.assert_allclose(head.pool(maps, boxes), np.maximum(reduced, 0), rtol=1e-3, atol=1e-5)
    gradient_of = [variable.name for variable in head.trainable_variables]
    assert sum("scale" in name for name in gradient_of) == 2


def test_skip_pooling_of_an_empty_box_is_finite():
    head = make_head(strides={"c4": 8, "c5": 16}, levels=["c4", "c5"], skip_channels=3)
    maps = {"c4": tf.ones([1, 4, 4, 2]), "c5": tf.ones([1, 2, 2, 5])}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(maps, tf.zeros([1, 1, 4])))
    assert np.isfinite(loss) and all(
        np.isfinite(gradient).all() for gradient in tape.gradient(loss, head.trainable_variables)
    )


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("value", [0.0, 0.01, 150.0])
def test_skip_pooling_in_16_bits_is_that_in_32(precision, value):
    """Half precision has no square of 300, and 1e-12 is 0 there."""
    maps = [tf.fill([1, 1, 1, 8], value), tf.fill([1, 1, 1, 4], 2 * value)]
    whole = SkipPooling(3, 0.01)
    wanted = whole(maps)
    with arithmetic(precision):
        layer = SkipPooling(3, 0.01)
    layer(maps)
    layer.set_weights(whole.get_weights())
    with tf.GradientTape() as tape:
        found = layer(maps)
        loss = tf.reduce_sum(tf.cast(found, tf.float32))
    np.testing.assert_allclose(tf.cast(found, tf.float32), wanted, rtol=0.05, atol=0.01)
    for gradient in tape.gradient(loss, layer.trainable_variables):
        assert np.isfinite(gradient).all()


@pytest.fixture
def stage5_head(monkeypatch):
    """A function (model [n, P, P, C] -> [n, P / 2, P / 2, F], options) -> the Stage5Extractor of a
    backbone with that last stage."""

    def make(stage5, **options):
        name = configs.BackboneConfig().name
        monkeypatch.setitem(LAST_STAGES, name, lambda config: stage5)
        return make_head(Stage5Extractor, kind="stage5", **options)

    return make


def test_stage5_is_run_on_each_box_and_averaged(stage5_head):
    x = keras.Input([None, None, 3])
    stage5 = keras.Model(x, keras.layers.Conv2D(4, 3, 2, "same", name="c5_1_reduce")(x))
    head = stage5_head(stage5, pool_size=6)
    prepared = head.prepare({"c5": tf.random.stateless_normal([1, 8, 8, 3], [1, 2])})
    boxes = tf.constant([[[0.0, 0, 64, 64], [16, 16, 80, 120]]])
    features = head(prepared, boxes)
    np.testing.assert_allclose(
        features[0], tf.reduce_mean(stage5(head.pool(prepared, boxes)), [1, 2]), rtol=1e-5
    )
    assert [v.name for v in head.weights] == ["c5_1_reduce/kernel:0", "c5_1_reduce/bias:0"]


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_stage5_is_averaged_in_32_bits(rng, precision, stage5_head):
    """Whatever the network computes in: 1,024 cells are more than a sum in 16 bits can take."""
    with arithmetic(precision):
        stage5 = keras.layers.Activation("linear")
        head = stage5_head(stage5, pool_size=32)
    x = tf.cast(rng.uniform(70, 80, [1, 1, 1, 5]) + tf.zeros([1, 40, 40, 5]), stage5.compute_dtype)
    features = head({"c5": x}, tf.constant([[[0.0, 0, 512, 512]]]))
    expected = tf.cast(x, tf.float32)[0, 0, 0]
    np.testing.assert_allclose(tf.cast(features, tf.float32)[0, 0], expected, rtol=1e-3)
