"""The fully connected layer: Keras's numbers, and gradients of biases that 16 bits do not lose."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models import dense as module
from lhrcnn.models.dense import Dense


def learnt(layer, x, upstream):
    """(outputs, {name: gradient}) as float32 arrays."""

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            y = layer(x)
        gradients = tape.gradient(y, [layer.kernel, layer.bias], tf.cast(upstream, y.dtype))
        return [tf.cast(value, tf.float32) for value in (y, *gradients)]

    y, kernel, bias = (value.numpy() for value in step())
    return y, {"kernel": kernel, "bias": bias}


def both(precision, x, activation):
    """Keras's layer in 32 bits and ours in a precision, with the same weights."""
    ours = Dense(8, activation=activation, dtype=keras.mixed_precision.Policy(precision))
    theirs = keras.layers.Dense(8, activation=activation)
    ours(x), theirs(x)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_gradients_in_16_bits_are_those_in_32(rng, precision, activation):
    x = rng.normal(size=[2, 2048, 5]).astype(np.float32)
    upstream = rng.uniform(0.5, 1.5, [2, 2048, 8]).astype(np.float32)
    ours, theirs = both(precision, x, activation)
    (y, found), (wanted_y, wanted) = learnt(ours, x, upstream), learnt(theirs, x, upstream)
    np.testing.assert_allclose(y, wanted_y, atol=0.05)
    np.testing.assert_allclose(found["bias"], wanted["bias"], rtol=0.02)
    np.testing.assert_allclose(found["kernel"], wanted["kernel"], atol=40)
    assert np.abs(wanted["bias"]).min() > 1000 and ours.weights[1].name.endswith("bias:0")


@pytest.mark.parametrize("precision, gpu", [("float32", False), ("mixed_bfloat16", True)])
def test_elsewhere_it_is_keras(rng, monkeypatch, precision, gpu):
    monkeypatch.setattr(module, "on_gpu", lambda: gpu)
    x = rng.normal(size=[3, 4, 5]).astype(np.float32)
    ours, _ = both(precision, x, "relu")
    theirs = keras.layers.Dense(8, activation="relu", dtype=keras.mixed_precision.Policy(precision))
    theirs(x)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(*(tf.cast(layer(x), tf.float32) for layer in (ours, theirs)))
