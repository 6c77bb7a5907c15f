"""An exponential moving average of the weights, for evaluation and export."""

import contextlib

import tensorflow as tf


class WeightAverage:
    """Shadow copies of variables; make it inside the strategy's scope.

    `variables` maps names to the trained variables, `step` is the optimizer's iteration counter.
    The decay after t updates is min(decay, (1 + t) / (10 + t)), so that the random initial weights
    are forgotten soon."""

    def __init__(self, variables, decay, step):
        self.decay, self.step = decay, step
        self.variables = dict(variables)
        self.shadows = {name: _shadow(name, variable) for name, variable in self.variables.items()}

    def update(self):
        """Moves the averages towards the variables; called in replica context after each optimizer
        step."""
        steps = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + steps) / (10.0 + steps))
        for name, variable in self.variables.items():
            shadow = self.shadows[name]
            shadow.assign_sub((1.0 - tf.cast(decay, shadow.dtype)) * (shadow - variable))

    @contextlib.contextmanager
    def swapped(self):
        """The trained variables hold their averages inside this context, and their own values again
        after it."""
        own = {name: variable.numpy() for name, variable in self.variables.items()}
        try:
            for name, variable in self.variables.items():
                variable.assign(self.shadows[name].numpy())
            yield
        finally:
            for name, variable in self.variables.items():
                variable.assign(own[name])

    def arrays(self):
        """The averages as `ema/NAME` -> ndarray, for a checkpoint."""
        return {f"ema/{name}": shadow.numpy() for name, shadow in self.shadows.items()}

    def restore(self, arrays):
        """Sets the averages from a checkpoint's arrays; from the variables where it has none (a run
        that started without an average)."""
        for name, shadow in self.shadows.items():
            shadow.assign(arrays.get(f"ema/{name}", self.variables[name].numpy()))


def _shadow(name, variable):
    """Each replica keeps and updates a copy of its own, which saves synchronising: all see the same
    weights."""
    return tf.Variable(
        tf.convert_to_tensor(variable),
        trainable=False,
        name=f"ema/{name}",
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
