"""One step of training, the same for every model that says what its losses are."""

import collections
import math

import tensorflow as tf
from absl import logging

from lhrcnn.autograph import without_autograph
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.names import present

# Attributes of layers: the variables that L2 and decay are on, unlike batch norm and biases.
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel")

# Of a batch: {name: this replica's share of the loss}, and of the number per image.
Scalars = collections.namedtuple("Scalars", "losses counts")


class Trainable(keras.Model):
    """A Keras model for `fit` on batch dicts with an "image" [B, H, W, 3].

    A subclass has `named_variables()`, {name: variable} of all that is stored, and
    `sums_of(batch, training, step, part=0, parts=1)`, ({name: LossSum}, {name: number of boxes}) of
    one part of this replica's batch; `counts` are the names of the latter."""

    counts = ()

    def compile(
        self,
        optimizer,
        weight_decay=0.0,
        gradient_multipliers=None,
        ema=None,
        seed=0,
        accumulate_steps=1,
    ):
        """Sets up training: coupled L2 of kernels, {beginning of names: factor} on gradients, an
        average to update, the seed, and in how many parts each replica works through its batch.

        Raises ConfigError for a factor that meets no variable."""
        super().compile(optimizer=optimizer)
        self.weight_decay, self.ema, self.seed = weight_decay, ema, seed
        self.accumulate_steps = accumulate_steps
        self.decayed = {variable.ref() for variable in self.kernels}
        self.gradient_factors = _factors(self, gradient_multipliers or {})

    @property
    def kernels(self):
        """The trained variables that decay."""
        found = {
            getattr(layer, name).ref()
            for layer in self._flatten_layers()
            for name in KERNELS
            if hasattr(getattr(layer, name, None), "ref")
        }
        return [variable for variable in self.trainable_variables if variable.ref() in found]

    def losses_of(self, batch, training, step):
        """The Scalars of a batch on this replica, whose sums over replicas are those of the batch.

        A detector counts foreground boxes that carried loss: "rpn_foreground" and
        "head_foreground", per image."""
        sums, numbers = self.sums_of(batch, training, step)
        counts = {name: tf.maximum(over_replicas(loss.count), 1.0) for name, loss in sums.items()}
        images = over_replicas(tf.cast(tf.shape(batch["image"])[0], tf.float32))
        return shares(sums, numbers, counts, images)

    @without_autograph
    def train_step(self, batch):
        """One update; returns this replica's part of the losses and counts, which Keras `fit` sums
        up."""
        variables, l2 = self.trainable_variables, self._l2()
        if self.accumulate_steps > 1:
            scalars, pairs = in_parts(self, batch, self.accumulate_steps)
        else:
            with tf.GradientTape() as tape:
                scalars = self.losses_of(batch, training=True, step=self.optimizer.iterations)
                loss = total(scalars)
            pairs = self.optimizer.compute_gradients(loss, variables, tape)
        pairs = [(self._decayed(gradient, variable), variable) for gradient, variable in pairs]
        self.optimizer.apply_gradients(
            [
                (gradient if gradient is None or factor == 1 else gradient * factor, variable)
                for (gradient, variable), factor in zip(pairs, self.gradient_factors)
            ]
        )
        if self.ema is not None:
            self.ema.update()
        return {"loss": total(scalars) + l2, **scalars.losses, **scalars.counts, "l2": l2}

    @without_autograph
    def test_step(self, batch):
        """Like `train_step`, without an update."""
        scalars = self.losses_of(batch, training=False, step=0)
        return {"loss": total(scalars), **scalars.losses, **scalars.counts}

    def _l2(self):
        """This replica's share of half the squared norm of the kernels, times weight_decay."""
        norms = [tf.nn.l2_loss(tf.cast(kernel, tf.float32)) for kernel in self.kernels]
        return self._decay_share() * (tf.add_n(norms) if norms else 0.0)

    def _decayed(self, gradient, variable):
        """The gradient with that of `_l2` added: only once it is there, or products with all
        kernels would wait for it in memory. None stands for that of a variable no loss meets."""
        if variable.ref() not in self.decayed or not self.weight_decay:
            return gradient
        if gradient is None:
            gradient = tf.zeros_like(variable)
        with tf.control_dependencies([gradient]):
            return gradient + self._decay_share() * tf.cast(variable, gradient.dtype)

    def _decay_share(self):
        return self.weight_decay / tf.distribute.get_replica_context().num_replicas_in_sync


def over_replicas(value):
    """The sum of each replica's value."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def shares(sums, numbers, counts, images):
    """The Scalars of {name: LossSum} and {name: number of boxes}, which is told per image.

    counts {name: what the loss is divided by} and `images` are of the whole batch."""
    return Scalars(
        {name: loss.total / counts[name] for name, loss in sums.items()},
        {name: number / images for name, number in numbers.items()},
    )


def total(scalars):
    """The loss: the sum of all that Scalars have."""
    return tf.add_n(list(scalars.losses.values()))


def in_parts(model, batch, number):
    """(Scalars, [(gradient, variable)]) of a compiled Trainable's batch in `number` parts, of which
    only one needs memory at a time.

    They are those of the whole batch to rounding where batch norm is frozen. Losses are divided by
    what the whole batch sampled, which a pass without gradients finds out first: a third more
    arithmetic."""
    step, variables = model.optimizer.iterations, model.trainable_variables
    images = tf.shape(batch["image"])[0]

    def sums_of(part, training):
        size = images // number
        content = {name: value[part * size :][:size] for name, value in batch.items()}
        return model.sums_of(content, training, step, part, number)

    counts = _counts_in_parts(sums_of, number)
    all_images = over_replicas(tf.cast(images, tf.float32))
    shape, without = [], set()

    def add(part, numbers, gradients):
        with tf.GradientTape() as tape:
            own = shares(*sums_of(part, training=True), counts, all_images)
            loss = total(own)
        shape[:] = [own]
        pairs = model.optimizer.compute_gradients(loss, variables, tape)
        without.update(index for index, (gradient, _) in enumerate(pairs) if gradient is None)
        added = [
            so_far if gradient is None else so_far + gradient
            for so_far, (gradient, _) in zip(gradients, pairs)
        ]
        return part + 1, numbers + tf.stack(tf.nest.flatten(own)), added

    zeros = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
    _, numbers, gradients = _loop(add, number, tf.zeros([]), zeros)
    length = len(tf.nest.flatten(shape))
    numbers = tf.unstack(tf.ensure_shape(numbers, [length]))
    gradients = [None if index in without else gradient for index, gradient in enumerate(gradients)]
    return tf.nest.pack_sequence_as(shape[0], numbers), list(zip(gradients, variables))


def _counts_in_parts(sums_of, number):
    """{name of a loss: what it is divided by} over the whole batch."""
    names = []

    def count(part, counts):
        sums, _ = sums_of(part, training=False)
        names[:] = sums
        return part + 1, counts + tf.stack([loss.count for loss in sums.values()])

    _, counts = _loop(count, number, tf.zeros([]))
    counts = tf.maximum(over_replicas(tf.ensure_shape(counts, [len(names)])), 1.0)
    return dict(zip(names, tf.unstack(counts)))


def _loop(body, number, vector, *groups):
    """(number, vector, *groups) after `number` calls of body(index, vector, *groups); a vector of
    unknown length starts as a scalar."""
    shapes = [
        tf.TensorShape([]),
        tf.TensorShape(None),
        *([value.shape for value in group] for group in groups),
    ]
    return tf.while_loop(
        lambda index, *_: index < number, body, [0, vector, *groups], shapes, parallel_iterations=1
    )


def _factors(model, multipliers):
    """The factor on the gradient of each trained variable, of {beginning of names: factor}."""
    names = {variable.ref(): name for name, variable in model.named_variables().items()}
    factors = {}
    for key, factor in multipliers.items():
        beginning = key
        if not any(name.startswith(key) for name in names.values()):
            beginning = present(key)
            if not any(name.startswith(beginning) for name in names.values()):
                known = sorted({name.split("/")[0] for name in names.values()})
                raise ConfigError(
                    "'train.gradient_multipliers': no variable of this model has a name that "
                    "begins "
                    f"with '{key}'; names begin with {', '.join(known)}, then the layers' names"
                )
            logging.warning("'train.gradient_multipliers': '%s' is called '%s' now", key, beginning)
        factors[beginning] = factor
    return [
        math.prod(f for beginning, f in factors.items() if names[v.ref()].startswith(beginning))
        for v in model.trainable_variables
    ]
