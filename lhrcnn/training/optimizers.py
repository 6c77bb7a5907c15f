"""Optimizers; the only module that imports tensorflow-addons, and only when an option asks."""

import tensorflow as tf

from lhrcnn.choices import resolve
from lhrcnn.errors import ConfigError, DependencyError
from lhrcnn.keras import keras
from lhrcnn.training import OPTIMIZERS


def build_optimizer(train, learning_rate, variables, kernels=(), loss_scale=None):
    """The optimizer of a TrainConfig with its state created for `variables`, of which `kernels`
    decay; call it inside the strategy's scope.

    learning_rate: a function of the step. loss_scale: where the dynamic loss scale of mixed_float16
    starts; None: Keras's default. Raises ConfigError or DependencyError naming the option when it
    cannot be had."""
    optimizer = resolve(OPTIMIZERS[train.optimizer])(train, learning_rate, variables, kernels)
    if train.precision == "mixed_float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer, initial_scale=loss_scale)
        optimizer.build(variables)
    return optimizer


def coupled_weight_decay(train, optimizer):
    """The L2 that belongs into the loss: none when the optimizer decays weights itself."""
    own = getattr(optimizer, "inner_optimizer", optimizer)
    decays = getattr(own, "weight_decay", None) is not None
    return 0.0 if decays else train.weight_decay


class _SGD(keras.optimizers.SGD):
    """Keras's with momentum, in one pass over a variable instead of six."""

    def update_step(self, gradient, variable):
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._index_dict[self._var_key(variable)]].handle,
            lr=tf.cast(self.learning_rate, variable.dtype),
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


class _AdamW(keras.optimizers.AdamW):
    """Keras's, each variable updated as soon as its gradient is there: else the products of all
    momenta would take memory from the start of a step."""

    def update_step(self, gradient, variable):
        with tf.control_dependencies([gradient]):
            return super().update_step(gradient, variable)


def sgd(train, learning_rate, variables, kernels):
    """SGD with momentum."""
    del kernels  # their L2 is part of the loss
    optimizer = _SGD(
        learning_rate,
        momentum=train.momentum,
        nesterov=train.nesterov,
        global_clipnorm=train.clip_norm or None,
        jit_compile=False,  # compiled updates would retrace for each replica
    )
    optimizer.build(variables)
    return optimizer


def adamw(train, learning_rate, variables, kernels):
    """Adam (beta 0.9, 0.999) whose kernels shrink by learning rate times weight_decay per step
    (Loshchilov & Hutter 2019)."""
    optimizer = _AdamW(
        learning_rate,
        weight_decay=train.weight_decay,
        global_clipnorm=train.clip_norm or None,
        jit_compile=False,
    )
    decayed = {variable.ref() for variable in kernels}
    optimizer.exclude_from_weight_decay(
        var_list=[variable for variable in variables if variable.ref() not in decayed]
    )
    optimizer.build(variables)
    return optimizer


def sgdw(train, learning_rate, variables, kernels):
    """SGD whose kernels shrink by learning rate times weight_decay per step, apart from the
    gradient (Loshchilov & Hutter 2019)."""
    if train.precision == "mixed_float16":
        raise ConfigError(
            "'train.optimizer: sgdw' does not scale losses; use 'train.precision: mixed_bfloat16' "
            "with it, or 'train.optimizer: sgd'"
        )
    addons = _addons()
    strategy = tf.distribute.get_strategy()
    # Under MirroredStrategy addons asks for each replica's copy of a variable whether it decays,
    # so the copies have to be listed.
    decayed = [
        copy for variable in kernels for copy in strategy.experimental_local_results(variable)
    ]

    class SGDW(addons.optimizers.SGDW):
        """addons' SGDW that decays kernels only, with the `compute_gradients` that newer Keras
        optimizers have."""

        def compute_gradients(self, loss, var_list, tape):
            return list(zip(tape.gradient(loss, var_list), var_list))

        def apply_gradients(self, grads_and_vars, name=None):
            return super().apply_gradients(grads_and_vars, name=name, decay_var_list=decayed)

    clipping = {"global_clipnorm": train.clip_norm} if train.clip_norm else {}
    optimizer = SGDW(
        weight_decay=learning_rate.times(train.weight_decay),
        learning_rate=learning_rate,
        momentum=train.momentum,
        nesterov=train.nesterov,
        **clipping,
    )
    # This optimizer makes its state with the first step, but a resumed run fills it before: so use
    # the counter, add the momenta.
    optimizer.iterations.assign(0)
    if train.momentum:
        for variable in variables:
            optimizer.add_slot(variable, "momentum")
    return optimizer


def _addons():
    try:
        import tensorflow_addons
    except ImportError as error:
        raise DependencyError(
            "'train.optimizer: sgdw' needs tensorflow-addons, which exists for Python 3.9 to 3.11 "
            "with TensorFlow 2.15; install it there, or use 'train.optimizer: sgd' "
            f"({error})"
        ) from error
    return tensorflow_addons
