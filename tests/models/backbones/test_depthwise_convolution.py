"""Depthwise convolution: gradients in pieces are those of the whole kernel."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.models.backbones import depthwise_convolution as module
from lhrcnn.models.backbones.depthwise_convolution import depthwise_convolution


def gradients(function, x, kernel, upstream):
    """(value, gradient of x, of the kernel)."""
    x, kernel = tf.constant(x), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
    return y, *tape.gradient(y, [x, kernel], tf.cast(upstream, y.dtype))


@pytest.mark.parametrize("size", [4, 5, 7])
@pytest.mark.parametrize(
    "stride, padding", [(1, "SAME"), (1, "VALID"), (2, "VALID"), (3, "VALID"), (2, "SAME")]
)
@pytest.mark.parametrize("height", [9, 10])
def test_gradients_are_those_of_the_whole_kernel(rng, size, stride, padding, height):
    x, kernel = rng.normal(size=[2, height, 8, 3]), rng.normal(size=[size, size, 3, 1])
    strides = [1, stride, stride, 1]
    shape = tf.nn.depthwise_conv2d(x, kernel, strides, padding).shape
    upstream = rng.normal(size=shape)
    expected = gradients(
        lambda x, kernel: tf.nn.depthwise_conv2d(x, kernel, strides, padding), x, kernel, upstream
    )
    actual = gradients(
        tf.function(lambda x, kernel: depthwise_convolution(x, kernel, stride, padding)),
        x,
        kernel,
        upstream,
    )
    for values, wanted in zip(actual, expected):
        assert np.abs(wanted).max() > 0.1
        np.testing.assert_allclose(values, wanted, atol=1e-10)


def test_sixteen_bits(rng):
    x, upstream = rng.normal(size=[2, 2, 9, 9, 16]).astype(np.float32)
    kernel = rng.normal(size=[5, 5, 16, 1]).astype(np.float32)
    _, _, expected = gradients(depthwise_convolution, x, kernel, upstream)
    _, _, actual = gradients(
        lambda x, kernel: depthwise_convolution(
            tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16)
        ),
        x,
        kernel,
        upstream,
    )
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize("size, gpu, pieces", [(3, False, 1), (5, False, 4), (5, True, 1)])
def test_only_large_kernels_on_a_cpu_are_taken_apart(rng, monkeypatch, size, gpu, pieces):
    monkeypatch.setattr(module, "on_gpu", lambda: gpu)
    x, kernel = tf.zeros([1, 6, 6, 2]), tf.zeros([size, size, 2, 1])
    graph = tf.function(
        lambda: tf.gradients(depthwise_convolution(x, kernel), kernel)
    ).get_concrete_function()
    kinds = [op.type for op in graph.graph.get_operations()]
    assert kinds.count("DepthwiseConv2dNativeBackpropFilter") == pieces


def test_unknown_sizes(rng):
    x, kernel = rng.normal(size=[1, 7, 6, 2]), rng.normal(size=[5, 5, 2, 1])
    learn = tf.function(
        lambda x, kernel: tf.gradients(depthwise_convolution(x, kernel), [x, kernel]),
        input_signature=[
            tf.TensorSpec([None, None, None, 2], tf.float64),
            tf.TensorSpec([5, 5, 2, 1], tf.float64),
        ],
    )
    expected = gradients(
        lambda x, kernel: tf.nn.depthwise_conv2d(x, kernel, [1] * 4, "SAME"),
        x,
        kernel,
        np.ones([1, 7, 6, 2]),
    )
    for values, wanted in zip(learn(x, kernel), expected[1:]):
        np.testing.assert_allclose(values, wanted, atol=1e-10)
