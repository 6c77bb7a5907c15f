"""Optimizers against the update written out, on one and on two replicas."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config
from lhrcnn.errors import DependencyError
from lhrcnn.runs import state
from lhrcnn.training import optimizers
from lhrcnn.training.schedules import WarmupSchedule

KERNEL, BIAS = np.array([[1.0, -2.0]]), np.array([0.5])


def options(name="sgd", **changes):
    """The TrainConfig of an optimizer whose rate falls at step 4."""
    if name == "sgdw":
        why = "tensorflow-addons is not made for this Python"
        pytest.importorskip("tensorflow_addons", reason=why)
    usual = {"learning_rate": 0.05, "weight_decay": 0.3, "warmup_steps": 0, "decay_epochs": [1]}
    return config.TrainConfig(optimizer=name, **{**usual, **changes})


def make(train, strategy):
    with strategy.scope():
        kernel = tf.Variable(KERNEL.astype(np.float32), name="a/kernel")
        variables = [kernel, tf.Variable(BIAS.astype(np.float32), name="a/bias")]
        schedule = WarmupSchedule(train, 4, 8)
        optimizer = optimizers.build_optimizer(train, schedule, variables, [kernel])

    @tf.function
    def advance():
        def replica():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(kernel * [[3.0, 4.0]])
                loss += 2.0 * tf.reduce_sum(variables[1] ** 2)
                loss /= strategy.num_replicas_in_sync
            optimizer.apply_gradients(optimizer.compute_gradients(loss, variables, tape))

        strategy.run(replica)

    return variables, optimizer, advance


def twin(train, steps):
    """Momentum SGD by hand; `decoupled` weight decay of the kernel when the config says sgdw."""
    kernel, bias, momenta = KERNEL.copy(), BIAS.copy(), [0.0, 0.0]
    for step in range(steps):
        rate = train.learning_rate * (0.1 if step >= 4 else 1.0)
        gradients = [np.array([[3.0, 4.0]]), 4.0 * bias]
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        if train.clip_norm:
            gradients = [gradient * min(1.0, train.clip_norm / norm) for gradient in gradients]
        if train.optimizer == "sgdw":
            kernel = kernel * (1 - rate * train.weight_decay)
        momenta = [
            train.momentum * momentum - rate * gradient
            for momentum, gradient in zip(momenta, gradients)
        ]
        ahead = [
            train.momentum * momentum - rate * gradient if train.nesterov else momentum
            for momentum, gradient in zip(momenta, gradients)
        ]
        kernel, bias = kernel + ahead[0], bias + ahead[1]
    return kernel, bias


def adam_twin(train, steps):
    """AdamW by hand, the kernel alone decays."""
    values, first, second = [KERNEL.copy(), BIAS.copy()], [0.0, 0.0], [0.0, 0.0]
    for step in range(steps):
        rate = train.learning_rate * (0.1 if step >= 4 else 1.0)
        gradients = [np.array([[3.0, 4.0]]), 4.0 * values[1]]
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        if train.clip_norm:
            gradients = [gradient * min(1.0, train.clip_norm / norm) for gradient in gradients]
        values[0] = values[0] * (1 - rate * train.weight_decay)
        for i, gradient in enumerate(gradients):
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            values[i] = values[i] - rate * first[i] / (1 - 0.9 ** (step + 1)) / (
                np.sqrt(second[i] / (1 - 0.999 ** (step + 1))) + 1e-7
            )
    return values


@pytest.mark.parametrize("changes", [{}, {"clip_norm": 1.5}])
def test_adamw_equals_the_twin(changes, strategy):
    train = options("adamw", **changes)
    variables, optimizer, advance = make(train, strategy)
    assert optimizers.coupled_weight_decay(train, optimizer) == 0
    for _ in range(6):
        advance()
    for variable, expected in zip(variables, adam_twin(train, 6)):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"nesterov": True}, {"clip_norm": 1.5}, {"momentum": 0.0}])
@pytest.mark.parametrize("name", ["sgd", "sgdw"])
def test_update_equals_the_twin(name, changes, strategy):
    train = options(name, **changes)
    variables, optimizer, advance = make(train, strategy)
    for _ in range(6):
        advance()
    assert optimizer.iterations.numpy() == 6
    kernel, bias = twin(train, 6)
    np.testing.assert_allclose(variables[0].numpy(), kernel, rtol=1e-5)
    np.testing.assert_allclose(variables[1].numpy(), bias, rtol=1e-5)


@pytest.mark.parametrize("name", ["sgdw", "adamw"])
def test_state_resumes_to_the_bit(name, strategy):
    train = options(name)
    variables, optimizer, advance = make(train, strategy)
    for _ in range(3):
        advance()
    saved = state.optimizer_arrays(optimizer)
    weights = [variable.numpy() for variable in variables]
    resumed, other, advance_other = make(train, strategy)
    state.restore_optimizer(other, saved)
    for variable, value in zip(resumed, weights):
        variable.assign(value)
    advance()
    advance_other()
    for variable, same in zip(variables, resumed):
        np.testing.assert_array_equal(same.numpy(), variable.numpy())


@pytest.mark.parametrize("name, products", [("sgd", 0), ("adamw", 2)])
def test_momenta_are_multiplied_once_the_gradient_is_there(name, products):
    """Else a step would hold the products of all of them from the start."""
    variables, optimizer, _ = make(config.TrainConfig(optimizer=name), tf.distribute.get_strategy())
    kernel = variables[0]
    update = tf.function(lambda gradient: optimizer.update_step(gradient, kernel))
    graph = update.get_concrete_function(tf.TensorSpec(kernel.shape)).graph
    state = {v.handle.ref() for v in optimizer.variables if v.shape == kernel.shape}
    captured = {inner.ref() for outer, inner in graph.captures if outer.ref() in state}
    reads = [
        op
        for op in graph.get_operations()
        if op.type == "ReadVariableOp" and op.inputs[0].ref() in captured
    ]
    assert len(captured) >= 1 and len(reads) >= products
    assert all(graph.inputs[0].op in op.control_inputs for op in reads)


def test_float16_scales_the_loss_and_starts_where_told():
    train = options(precision="mixed_float16", weight_decay=1e-4)
    variables, optimizer, advance = make(train, tf.distribute.get_strategy())
    assert float(optimizer.loss_scale) == 2**15
    advance()
    kernel, _ = twin(train, 1)
    np.testing.assert_allclose(variables[0].numpy(), kernel, rtol=1e-6)
    again = optimizers.build_optimizer(
        train, WarmupSchedule(train, 4, 8), variables, loss_scale=64.0
    )
    assert float(again.loss_scale) == 64 and optimizers.coupled_weight_decay(train, again) == 1e-4


@pytest.mark.parametrize("name, coupled", [("sgd", 0.1), ("sgdw", 0), ("adamw", 0)])
def test_weight_decay_is_coupled_or_not(name, coupled):
    train = options(name, weight_decay=0.1)
    _, optimizer, _ = make(train, tf.distribute.get_strategy())
    assert optimizers.coupled_weight_decay(train, optimizer) == coupled


def test_sgdw_without_addons_names_the_option(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    with pytest.raises(
        DependencyError,
        match="'train.optimizer: sgdw' needs tensorflow-addons.*use 'train.optimizer: sgd'",
    ):
        optimizers.build_optimizer(config.TrainConfig(optimizer="sgdw"), None, [])


def test_sgdw_refuses_float16():
    with pytest.raises(ValueError, match="sgdw' does not scale losses"):
        optimizers.build_optimizer(
            config.TrainConfig(optimizer="sgdw", precision="mixed_float16"), None, []
        )
