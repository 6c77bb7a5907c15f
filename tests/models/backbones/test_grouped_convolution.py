"""Grouped convolution: values, gradients, precisions, unknown sizes, exports."""

import numpy as np
import pytest
import tensorflow as tf
from reference import convolution as twin

from lhrcnn.models.backbones import grouped_convolution as module
from lhrcnn.models.backbones.grouped_convolution import grouped_convolution


@pytest.mark.parametrize(
    "groups, inputs, outputs", [(16, 64, 64), (2, 80, 80), (3, 6, 12), (6, 6, 6), (32, 64, 32)]
)
def test_equals_the_twin(rng, groups, inputs, outputs):
    x, kernel = (
        rng.normal(size=[2, 4, 5, inputs]),
        rng.normal(size=[3, 3, inputs // groups, outputs]),
    )
    expected = twin.grouped_convolution(x, kernel, groups)
    np.testing.assert_allclose(
        grouped_convolution(x, tf.constant(kernel), groups), expected, atol=1e-9
    )


@pytest.mark.parametrize("height, stride, dilation", [(7, 2, 1), (8, 2, 1), (7, 1, 2), (8, 1, 2)])
def test_stride_and_dilation(rng, height, stride, dilation):
    x, kernel = rng.normal(size=[1, height, 6, 40]), rng.normal(size=[3, 3, 4, 40])
    padded = np.pad(x, [(0, 0), (dilation,) * 2, (dilation,) * 2, (0, 0)])
    y = grouped_convolution(padded, tf.constant(kernel), 10, stride, "VALID", dilation)
    np.testing.assert_allclose(
        y, twin.grouped_convolution(x, kernel, 10, stride, dilation), atol=1e-9
    )


def test_groups_merge_up_to_the_limit_and_never_leave_a_rest(rng, monkeypatch):
    x, kernel = rng.normal(size=[1, 3, 3, 12]), rng.normal(size=[3, 3, 1, 12])
    expected = twin.grouped_convolution(x, kernel, 12)
    for limit, parts in ((1, 12), (4, 3), (5, 12), (100, 3)):
        monkeypatch.setattr(module, "MERGED_CHANNELS", limit)
        graph = (
            tf.function(lambda: grouped_convolution(x, tf.constant(kernel), 12))
            .get_concrete_function()
            .graph
        )
        assert sum(op.type == "Conv2D" for op in graph.get_operations()) == parts
        np.testing.assert_allclose(
            grouped_convolution(x, tf.constant(kernel), 12), expected, atol=1e-9
        )


@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (1, 2)])
def test_gradients(rng, monkeypatch, stride, dilation):
    monkeypatch.setattr(module, "MERGED_CHANNELS", 4)  # two parts of two groups
    x, kernel = rng.normal(size=[1, 3, 4, 8]), rng.normal(size=[3, 3, 2, 8])
    convolve = tf.function(
        lambda x, kernel: grouped_convolution(x, kernel, 4, stride, "SAME", dilation)
    )
    for theory, numbers in zip(*tf.test.compute_gradient(convolve, [x, kernel])):
        assert np.abs(theory).max() > 0.1
        np.testing.assert_allclose(theory, numbers, atol=1e-6)


def test_gradients_equal_those_of_one_convolution_a_group(rng):
    x, kernel = (
        tf.constant(rng.normal(size=[2, 6, 7, 128])),
        tf.constant(rng.normal(size=[3, 3, 4, 128])),
    )
    upstream = rng.normal(size=[2, 6, 7, 128])

    def group_by_group(x, kernel):
        return tf.concat(
            [
                tf.nn.conv2d(*part, 1, "SAME")
                for part in zip(tf.split(x, 32, -1), tf.split(kernel, 32, -1))
            ],
            -1,
        )

    gradients = []
    for function in (group_by_group, lambda x, kernel: grouped_convolution(x, kernel, 32)):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = function(x, kernel)
        gradients.append(tape.gradient(y, [x, kernel], upstream))
    for expected, actual in zip(*gradients):
        np.testing.assert_allclose(actual, expected, atol=1e-9)


def test_gpus_take_the_native_convolution(rng, monkeypatch):
    x, kernel = (
        rng.normal(size=[1, 4, 5, 128]).astype(np.float32),
        tf.constant(rng.normal(size=[3, 3, 4, 128]).astype(np.float32)),
    )
    merged = grouped_convolution(x, kernel, 32)
    monkeypatch.setattr(module, "on_gpu", lambda: True)
    native = tf.function(lambda: grouped_convolution(x, kernel, 32))
    assert [op.type for op in native.get_concrete_function().graph.get_operations()].count(
        "Conv2D"
    ) == 1
    np.testing.assert_allclose(native(), merged, atol=1e-5)


@pytest.mark.parametrize("dtype, tolerance", [("float16", 1e-2), ("bfloat16", 1e-1)])
def test_mixed_precision(rng, dtype, tolerance):
    x = rng.uniform(-1, 1, [1, 5, 6, 64]).astype(np.float32)
    kernel = tf.Variable(rng.normal(0, 0.1, [3, 3, 4, 64]), dtype=tf.float32)
    with tf.GradientTape() as tape:
        y = grouped_convolution(tf.cast(x, dtype), tf.cast(kernel, dtype), 16)
    assert y.dtype == dtype
    np.testing.assert_allclose(
        tf.cast(y, tf.float32), twin.grouped_convolution(x, kernel.numpy(), 16), atol=tolerance
    )
    gradient = tape.gradient(y, kernel)
    assert (
        gradient.dtype == tf.float32 and np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    )


def test_exports_with_unknown_sizes(rng, tmp_path):
    kernel = tf.constant(rng.normal(size=[3, 3, 4, 64]), tf.float32)
    exported = tf.Module()
    exported.run = tf.function(
        lambda x: grouped_convolution(x, kernel, 16),
        input_signature=[tf.TensorSpec([None, None, None, 64])],
    )
    tf.saved_model.save(exported, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for shape in ([1, 3, 7, 64], [2, 1, 1, 64]):
        x = rng.normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(loaded.run(x), grouped_convolution(x, kernel, 16), atol=1e-5)
