"""Convolution and batch norm as one layer, and the centred maximum."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.keras import keras
from lhrcnn.models.backbones.layers import ConvNorm, MaxPool, conv

KINDS = {
    "dense": dict(channels=8, size=3),
    "pointwise, stride 2": dict(channels=8, size=1, strides=2),
    "stem": dict(channels=8, size=7, strides=2),
    "dilated": dict(channels=8, size=3, dilation=2),
    "grouped, stride 2": dict(channels=8, size=3, groups=2, strides=2),
    "depthwise": dict(channels=None, size=3),
    "depthwise, stride 2": dict(channels=None, size=3, strides=2),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def unit(kind, rng):
    """A function (batch_norm of the config) -> ConvNorm on 4 channels whose variables all
    matter."""

    def make(batch_norm):
        layer = ConvNorm(
            configs.BackboneConfig(batch_norm=batch_norm), name="unit", epsilon=1e-3, **kind
        )
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
    """A function (layer, x, training) -> what Keras's own layers give: zeros around the map,
    convolution, batch norm."""
    strides, dilation, groups = (kind.get(name, 1) for name in ("strides", "dilation", "groups"))

    def call(layer, x, training):
        x = keras.layers.ZeroPadding2D(dilation * (kind["size"] // 2))(x)
        if kind["channels"] is None:
            x = tf.nn.depthwise_conv2d(x, layer.kernel, [1, strides, strides, 1], "VALID")
        else:
            parts = zip(tf.split(x, groups, -1), tf.split(layer.kernel, groups, -1))
            x = tf.concat(
                [
                    tf.nn.convolution(part, kernel, strides, "VALID", dilations=dilation)
                    for part, kernel in parts
                ],
                -1,
            )
        return layer.norm(x, training=training)

    return call


@pytest.mark.parametrize(
    "batch_norm, training",
    [("frozen", True), ("frozen", False), ("affine", True), ("affine", False), ("train", False)],
)
def test_fixed_statistics_give_what_the_two_layers_give(unit, twin, x, batch_norm, training):
    layer = unit(batch_norm)
    np.testing.assert_allclose(
        layer(x, training=training), twin(layer, x, training=False), rtol=1e-4, atol=1e-4
    )


def test_a_folded_layer_gives_what_it_gave(unit, x):
    layer = unit("affine")
    before = layer(x)
    for _ in range(2):  # once and for good
        layer.fold()
        np.testing.assert_array_equal(layer(x), before)


def test_statistics_of_the_batch(unit, twin, x):
    layer, other = unit("train"), unit("train")
    other.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        layer(x, training=True), twin(other, x, training=True), rtol=1e-4, atol=1e-5
    )
    for mine, expected in zip(layer.weights, other.weights):
        np.testing.assert_allclose(mine, expected, rtol=1e-5)
    layer.trainable = False  # as in a frozen stage
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False), rtol=1e-6)


@pytest.mark.parametrize("batch_norm, trained", [("frozen", 1), ("affine", 3), ("train", 3)])
def test_gradients_are_those_of_the_two_layers(unit, twin, x, batch_norm, trained):
    layer = unit(batch_norm)
    assert len(layer.trainable_weights) == trained and len(layer.weights) == 5
    found, expected = [], []
    for gradients, call in (
        (found, layer),
        (expected, lambda x, training: twin(layer, x, training)),
    ):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(call(x, training=False) ** 2)
        gradients.extend(tape.gradient(loss, [x, *layer.trainable_weights]))
    for mine, theirs in zip(found, expected):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3)


@pytest.fixture
def graph():
    """(nodes of the graph of two layers with ReLU as it was built, those that TensorFlow ran)."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        x, config = tf.random.uniform([1, 8, 8, 4]), configs.BackboneConfig(batch_norm="frozen")
        for name in "ab":
            x = conv(x, 4, 3, name, config)
        session.run(tf.compat.v1.global_variables_initializer())
        metadata = tf.compat.v1.RunMetadata()
        session.run(
            x, options=tf.compat.v1.RunOptions(output_partition_graphs=True), run_metadata=metadata
        )
    return graph.as_graph_def().node, [
        node for partition in metadata.partition_graphs for node in partition.node
    ]


def test_a_kernel_is_read_once_its_map_is_there(graph):
    """Else a graph would hold the products of kernels and batch norms of all its layers from the
    start."""
    built, _ = graph
    inputs = {node.name: [name.lstrip("^").split(":")[0] for name in node.input] for node in built}

    def comes_after(name, other):
        return name == other or any(comes_after(earlier, other) for earlier in inputs[name])

    products = [node.name for node in built if node.op == "Mul" and node.name.startswith("b/mul")]
    assert products and all(comes_after(name, "a_relu/Relu") for name in products)


def test_activations_are_fused_with_their_convolutions(graph):
    built, run = graph
    assert sum(node.op == "Relu" for node in built) == 2
    assert sum("Fused" in node.op and "Conv2D" in node.op for node in run) == 2 and not any(
        node.op.endswith("Relu") for node in run
    )


def test_no_convolution_has_a_padding_of_its_own(unit):
    """Its gradients in 16 bits would take thirty times as long on CPUs."""
    graph = tf.function(unit("frozen")).get_concrete_function(tf.TensorSpec([1, 7, 9, 4])).graph
    found = [op.get_attr("padding") for op in graph.get_operations() if "onv2" in op.type]
    assert found and set(found) <= {b"SAME", b"VALID"}


def test_names_are_those_of_two_layers():
    config, image = configs.BackboneConfig(), keras.Input([None, None, 3])
    model = keras.Model(image, ConvNorm(config, None, 3, "b")(ConvNorm(config, 4, 3, "a")(image)))
    assert sorted(variable.name for variable in model.weights) == sorted(
        f"{name}:0"
        for layer, kernel in (("a", "a/kernel"), ("b", "b/depthwise_kernel"))
        for name in (
            kernel,
            *(
                f"{layer}_norm/{each}"
                for each in ("gamma", "beta", "moving_mean", "moving_variance")
            ),
        )
    )


@pytest.mark.parametrize("height, width", [(1, 1), (6, 7), (9, 2)])
def test_maximum_is_centred(rng, height, width):
    x = rng.normal(size=[2, height, width, 3]).astype(np.float32)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    expected = [
        [padded[:, i : i + 3, j : j + 3].max((1, 2)) for j in range(0, width, 2)]
        for i in range(0, height, 2)
    ]
    np.testing.assert_array_equal(MaxPool()(x), np.moveaxis(expected, 2, 0))
