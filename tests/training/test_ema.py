"""The weight average against its recurrence, on one and on two replicas."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.training.ema import WeightAverage


def make(strategy, decay=0.9):
    with strategy.scope():
        variable = tf.Variable([1.0, 2.0], name="a/kernel")
        optimizer = keras.optimizers.SGD(0.5, jit_compile=False)
        optimizer.build([variable])
        average = WeightAverage({"a/kernel": variable}, decay, optimizer.iterations)

    @tf.function
    def advance():
        def replica():
            gradient = variable / strategy.num_replicas_in_sync
            optimizer.apply_gradients([(gradient, variable)])
            average.update()

        strategy.run(replica)

    return variable, average, advance


def twin(steps, decay):
    weights, shadow = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    for step in range(1, steps + 1):
        weights = weights * 0.5
        now = min(decay, (1 + step) / (10 + step))
        shadow = now * shadow + (1 - now) * weights
    return weights, shadow


def test_average_follows_its_recurrence(strategy):
    variable, average, advance = make(strategy, decay=0.25)
    for _ in range(5):
        advance()
    weights, shadow = twin(5, 0.25)
    np.testing.assert_allclose(variable.numpy(), weights, rtol=1e-6)
    np.testing.assert_allclose(average.arrays()["ema/a/kernel"], shadow, rtol=1e-6)


def test_swap_and_back_to_the_bit(strategy):
    variable, average, advance = make(strategy)
    advance()
    own = variable.numpy()
    with average.swapped():
        np.testing.assert_array_equal(variable.numpy(), average.arrays()["ema/a/kernel"])
        assert not np.array_equal(variable.numpy(), own)
    np.testing.assert_array_equal(variable.numpy(), own)
    with pytest.raises(RuntimeError, match="evaluation failed"), average.swapped():
        raise RuntimeError("evaluation failed")
    np.testing.assert_array_equal(variable.numpy(), own)


def test_restored_average_goes_on_the_same(strategy):
    variable, average, advance = make(strategy)
    for _ in range(3):
        advance()
    saved, weights = average.arrays(), variable.numpy()
    advance()
    later = average.arrays()["ema/a/kernel"]
    average.restore(saved)
    variable.assign(weights)
    average.step.assign(3)
    advance()
    np.testing.assert_array_equal(average.arrays()["ema/a/kernel"], later)
    average.restore({})
    np.testing.assert_array_equal(average.arrays()["ema/a/kernel"], variable.numpy())
