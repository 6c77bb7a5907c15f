"""Convolution and batch norm as one layer, and the centred maximum."""
import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.backbones.layers import ConvNorm, MaxPool

KINDS = {"dense": dict(channels=8, size=3), "pointwise, stride 2": dict(channels=8, size=1, strides=2),
         "stem": dict(channels=8, size=7, strides=2), "dilated": dict(channels=8, size=3, dilation=2),
         "grouped, stride 2": dict(channels=8, size=3, groups=2, strides=2), "depthwise": dict(channels=None, size=3),
         "depthwise, stride 2": dict(channels=None, size=3, strides=2)}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def unit(kind, rng):
    """A function (batch_norm of the config) -> ConvNorm on 4 channels whose variables all matter."""
    def make(batch_norm):
        layer = ConvNorm(configs.BackboneConfig(batch_norm=batch_norm), name="unit", epsilon=1e-3, **kind)
        layer(tf.zeros([1, 7, 9, 4]))
        for variable in layer.weights:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        return layer
    return make


@pytest.fixture
def x(rng):
    return tf.constant(rng.normal(size=[2, 7, 9, 4]), tf.float32)


@pytest.fixture
def twin(kind):
    """A function (layer, x, training) -> what Keras's own layers give: zeros around the map, convolution, batch norm."""
    strides, dilation, groups = (kind.get(name, 1) for name in ("strides", "dilation", "groups"))

    def call(layer, x, training):
        x = tf.keras.layers.ZeroPadding2D(dilation * (kind["size"] // 2))(x)
        if kind["channels"] is None:
            x = tf.nn.depthwise_conv2d(x, layer.kernel, [1, strides, strides, 1], "VALID")
        else:
            parts = zip(tf.split(x, groups, -1), tf.split(layer.kernel, groups, -1))
            x = tf.concat([tf.nn.convolution(part, kernel, strides, "VALID", dilations=dilation) for part, kernel in parts], -1)
        return layer.norm(x, training=training)
    return call


@pytest.mark.parametrize("batch_norm, training", [("frozen", True), ("frozen", False), ("affine", True), ("affine", False), ("train", False)])
def test_fixed_statistics_give_what_the_two_layers_give(unit, twin, x, batch_norm, training):
    layer = unit(batch_norm)
    np.testing.assert_allclose(layer(x, training=training), twin(layer, x, training=False), rtol=1e-4, atol=1e-4)


def test_statistics_of_the_batch(unit, twin, x):
    layer, other = unit("train"), unit("train")
    other.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(x, training=True), twin(other, x, training=True), rtol=1e-4, atol=1e-5)
    for mine, expected in zip(layer.weights, other.weights):
        np.testing.assert_allclose(mine, expected, rtol=1e-5)
    layer.trainable = False  # as in a frozen stage
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False), rtol=1e-6)


@pytest.mark.parametrize("batch_norm, trained", [("frozen", 1), ("affine", 3), ("train", 3)])
def test_gradients_are_those_of_the_two_layers(unit, twin, x, batch_norm, trained):
    layer = unit(batch_norm)
    assert len(layer.trainable_weights) == trained and len(layer.weights) == 5
    found, expected = [], []
    for gradients, call in ((found, layer), (expected, lambda x, training: twin(layer, x, training))):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(call(x, training=False) ** 2)
        gradients.extend(tape.gradient(loss, [x, *layer.trainable_weights]))
    for mine, theirs in zip(found, expected):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3)


def test_a_kernel_is_multiplied_once_its_map_is_there(unit):
    """Else a graph would hold the products of all its layers from the start: the kernel is read no sooner."""
    graph = tf.function(unit("frozen")).get_concrete_function(tf.TensorSpec([1, 7, 9, 4])).graph
    kernels = [op for op in graph.get_operations() if op.type == "ReadVariableOp" and op.outputs[0].shape.rank == 4]
    assert kernels and all(graph.inputs[0].op in op.control_inputs for op in kernels)


def test_names_are_those_of_two_layers():
    config, image = configs.BackboneConfig(), tf.keras.Input([None, None, 3])
    model = tf.keras.Model(image, ConvNorm(config, None, 3, "b")(ConvNorm(config, 4, 3, "a")(image)))
    assert sorted(variable.name for variable in model.weights) == sorted(
        f"{name}:0" for layer, kernel in (("a", "a/kernel"), ("b", "b/depthwise_kernel"))
        for name in (kernel, *(f"{layer}_norm/{each}" for each in ("gamma", "beta", "moving_mean", "moving_variance"))))


@pytest.mark.parametrize("height, width", [(1, 1), (6, 7), (9, 2)])
def test_maximum_is_centred(rng, height, width):
    x = rng.normal(size=[2, height, width, 3]).astype(np.float32)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    expected = [[padded[:, i:i + 3, j:j + 3].max((1, 2)) for j in range(0, width, 2)] for i in range(0, height, 2)]
    np.testing.assert_array_equal(MaxPool()(x), np.moveaxis(expected, 2, 0))
