"""What a checkpoint holds of a model and its optimizer comes back to the bit, or is refused
whole."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.errors import CheckpointError
from lhrcnn.keras import keras
from lhrcnn.runs import state


class TwoVariables:
    """What checkpoints need of a detector."""

    def __init__(self):
        self.variables = {"a/kernel": tf.Variable([[1.0, 2.0]]), "a/mean": tf.Variable([3.0])}

    def named_variables(self):
        return self.variables


def test_model_is_restored_and_averages_win():
    detector = TwoVariables()
    named = detector.variables
    saved = state.model_arrays(detector)
    assert {name: value.tolist() for name, value in saved.items()} == {
        "model/a/kernel": [[1, 2]],
        "model/a/mean": [3],
    }
    saved["ema/a/kernel"] = np.array([[5.0, 6.0]], np.float32)
    named["a/mean"].assign([0.0])
    state.restore_model(detector, saved)
    assert named["a/kernel"].numpy().tolist() == [[5, 6]] and named["a/mean"].numpy().tolist() == [
        3
    ]
    state.restore_model(detector, saved, prefer_ema=False)
    assert named["a/kernel"].numpy().tolist() == [[1, 2]]


def test_model_that_does_not_fit_is_refused_whole():
    detector = TwoVariables()
    values = {"model/a/kernel": np.zeros([2, 1], np.float32), "model/b": np.zeros(1, np.float32)}
    with pytest.raises(CheckpointError) as error:
        state.restore_model(detector, values)
    assert "a/kernel: [2, 1] in the checkpoint, [1, 2] here" in str(error.value)
    assert "a/mean: missing in the checkpoint" in str(
        error.value
    ) and "b: in the checkpoint, unknown here" in str(error.value)
    assert detector.variables["a/kernel"].numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("scaled", [False, True])
def test_optimizer_goes_on_where_it_was(two_cpus, replicas, scaled):
    strategy = two_cpus if replicas == 2 else tf.distribute.get_strategy()

    def make(loss_scale=None):
        variable = tf.Variable([1.0, 2.0], name="a/kernel")
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, jit_compile=False)
        if scaled:
            optimizer = keras.mixed_precision.LossScaleOptimizer(
                optimizer, initial_scale=loss_scale or 8.0, dynamic_growth_steps=3
            )
        optimizer.build([variable])
        return variable, optimizer

    def advance(variable, optimizer):
        strategy.run(
            tf.function(lambda: optimizer.apply_gradients([(tf.constant([1.0, -1.0]), variable)]))
        )

    with strategy.scope():
        variable, optimizer = make()
    for _ in range(4):
        advance(variable, optimizer)
    weights, saved = variable.numpy(), state.optimizer_arrays(optimizer)
    with strategy.scope():
        resumed_variable, resumed = make(state.saved_loss_scale(saved))
    state.restore_optimizer(resumed, saved)
    resumed_variable.assign(weights)
    if scaled:
        assert state.saved_loss_scale(saved) == 16.0 and resumed.dynamic_counter.numpy() == 1
    advance(variable, optimizer)
    advance(resumed_variable, resumed)
    assert resumed.iterations.numpy() == 5
    np.testing.assert_array_equal(resumed_variable.numpy(), variable.numpy())


def test_optimizer_of_other_options_is_refused():
    variable = tf.Variable([1.0], name="a/kernel")
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, jit_compile=False)
    optimizer.build([variable])
    saved = state.optimizer_arrays(optimizer)
    adam = keras.optimizers.Adam(0.1, jit_compile=False)
    adam.build([variable])
    with pytest.raises(CheckpointError, match="(?s)does not fit this optimizer.*0002: missing"):
        state.restore_optimizer(adam, saved)
    with pytest.raises(CheckpointError, match="loss scale is 4.0, this optimizer's None"):
        state.restore_optimizer(optimizer, {**saved, "optimizer/loss_scale": np.float32(4)})
