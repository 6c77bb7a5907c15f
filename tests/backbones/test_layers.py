"""Convolution and batch norm as one layer."""
import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.backbones import layers
from lhrcnn.backbones.grouped_convolution import GroupedConv2D

CONVOLUTIONS = {
    "dense": lambda: tf.keras.layers.Conv2D(8, 3, 2, use_bias=False, name="unit"),
    "dilated": lambda: tf.keras.layers.Conv2D(8, 3, padding="same", dilation_rate=2, use_bias=False, name="unit"),
    "grouped": lambda: GroupedConv2D(8, 3, padding="same", groups=2, use_bias=False, name="unit"),
    "depthwise": lambda: tf.keras.layers.DepthwiseConv2D(3, 1, "same", use_bias=False, name="unit"),
    "depthwise stride 2": lambda: tf.keras.layers.DepthwiseConv2D(3, 2, use_bias=False, name="unit")}


@pytest.fixture(params=CONVOLUTIONS)
def unit(request, rng):
    """A function (batch_norm of the config) -> ConvNorm on 4 channels whose variables all matter."""
    def make(batch_norm):
        layer = layers.batch_norm(configs.BackboneConfig(batch_norm=batch_norm), epsilon=1e-3)(CONVOLUTIONS[request.param]())
        layer(tf.zeros([1, 7, 9, 4]))
        for variable in layer.weights:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        return layer
    return make


@pytest.fixture
def x(rng):
    return tf.constant(rng.normal(size=[2, 7, 9, 4]), tf.float32)


def one_after_the_other(layer, x, **options):
    return layer.norm(layer.convolution(x), **options)


@pytest.mark.parametrize("batch_norm, training", [("frozen", True), ("frozen", False), ("affine", True), ("affine", False), ("train", False)])
def test_fixed_statistics_give_what_the_two_layers_give(unit, x, batch_norm, training):
    layer = unit(batch_norm)
    np.testing.assert_allclose(layer(x, training=training), one_after_the_other(layer, x, training=False), rtol=1e-4, atol=1e-5)


def test_statistics_of_the_batch(unit, x):
    layer = unit("train")
    twin = unit("train")
    twin.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(x, training=True), one_after_the_other(twin, x, training=True), rtol=1e-5, atol=1e-6)
    for mine, other in zip(layer.weights, twin.weights):
        np.testing.assert_allclose(mine, other, rtol=1e-6)
    layer.trainable = False  # as in a frozen stage
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False), rtol=1e-6)


@pytest.mark.parametrize("batch_norm, trained", [("frozen", 1), ("affine", 3), ("train", 3)])
def test_gradients_are_those_of_the_two_layers(unit, x, batch_norm, trained):
    layer = unit(batch_norm)
    assert len(layer.trainable_weights) == trained and len(layer.weights) == 5
    gradients = []
    for call in (layer, lambda x, training: one_after_the_other(layer, x, training=training)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(call(x, training=False) ** 2)
        gradients.append(tape.gradient(loss, layer.trainable_weights))
    for mine, expected in zip(*gradients):
        np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-2)


def test_names_are_those_of_the_two_layers():
    image = tf.keras.Input([None, None, 3])
    norm = layers.batch_norm(configs.BackboneConfig())
    model = tf.keras.Model(image, layers.depthwise(layers.conv(image, 4, 3, "a", norm), 3, "b", norm, strides=2))
    assert sorted(variable.name for variable in model.weights) == sorted(
        f"{name}:0" for layer, kernel in (("a", "a/kernel"), ("b", "b/depthwise_kernel"))
        for name in (kernel, *(f"{layer}_norm/{each}" for each in ("gamma", "beta", "moving_mean", "moving_variance"))))
