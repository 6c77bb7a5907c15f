"""One step of training, the same for every model that says what its losses are."""

import math

import tensorflow as tf

from lhrcnn.keras import keras


class Trainable(keras.Model):
    """A Keras model for `fit` on batch dicts with an "image" [B, H, W, 3].

    A subclass has `named_variables()`, {name: variable} of all that is stored, and `sums_of(batch, training, step, part=0, parts=1)`,
    ({name: LossSum}, {name: number of foreground boxes}) of one part of this replica's batch."""

    def compile(
        self,
        optimizer,
        weight_decay=0.0,
        gradient_multipliers=None,
        ema=None,
        seed=0,
        accumulate_steps=1,
    ):
        """Sets up training: coupled L2 of kernels, {name prefix: factor} on gradients, an average to update, the seed, and in how many
        parts per replica works through its batch."""
        super().compile(optimizer=optimizer)
        self.weight_decay, self.ema, self.seed, self.accumulate_steps = (
            weight_decay,
            ema,
            seed,
            accumulate_steps,
        )
        names = {variable.ref(): name for name, variable in self.named_variables().items()}
        self.gradient_factors = [
            math.prod(
                factor
                for prefix, factor in (gradient_multipliers or {}).items()
                if names[variable.ref()].startswith(prefix)
            )
            for variable in self.trainable_variables
        ]

    def losses_of(self, batch, training, step):
        """Scalars of a batch on this replica, whose sum over replicas is the value for the whole batch.

        The losses, and of a detector "rpn_foreground" and "head_foreground", the foreground boxes that carried loss per image."""
        sums, foreground = self.sums_of(batch, training, step)
        counts = {name: tf.maximum(over_replicas(loss.count), 1.0) for name, loss in sums.items()}
        return shares(
            sums,
            foreground,
            counts,
            over_replicas(tf.cast(tf.shape(batch["image"])[0], tf.float32)),
        )

    def train_step(self, batch):
        """One update; returns this replica's part of the losses and counts, which Keras `fit` sums up."""
        variables, l2 = self.trainable_variables, self._l2()
        if self.accumulate_steps > 1:
            scalars, gradients = in_parts(self, batch, self.accumulate_steps)
        else:
            with tf.GradientTape() as tape:
                scalars = self.losses_of(batch, training=True, step=self.optimizer.iterations)
                loss = total(scalars)
            gradients = self.optimizer.compute_gradients(loss, variables, tape)
        gradients = [
            (self._decayed(gradient, variable), variable) for gradient, variable in gradients
        ]
        self.optimizer.apply_gradients(
            [
                (gradient if factor == 1 else gradient * factor, variable)
                for (gradient, variable), factor in zip(gradients, self.gradient_factors)
            ]
        )
        if self.ema is not None:
            self.ema.update()
        return {"loss": total(scalars) + l2, **scalars, "l2": l2}

    def test_step(self, batch):
        """Like `train_step`, without an update."""
        scalars = self.losses_of(batch, training=False, step=0)
        return {"loss": total(scalars), **scalars}

    def _l2(self):
        """This replica's share of half the squared norm of the decayed variables, times weight_decay."""
        kernels = [variable for variable in self.trainable_variables if _decays(variable)]
        return self._decay_share() * tf.add_n(
            [tf.nn.l2_loss(tf.cast(kernel, tf.float32)) for kernel in kernels]
        )

    def _decayed(self, gradient, variable):
        """The gradient with that of `_l2` added: only once it is there, or products with all kernels would wait for it in memory."""
        if not _decays(variable) or not self.weight_decay:
            return gradient
        with tf.control_dependencies([gradient]):
            return gradient + self._decay_share() * tf.cast(variable, gradient.dtype)

    def _decay_share(self):
        return self.weight_decay / tf.distribute.get_replica_context().num_replicas_in_sync


def _decays(variable):
    """Kernels decay, not batch norm or biases."""
    return "kernel" in variable.name


def over_replicas(value):
    """The sum of each replica's value."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def shares(sums, foreground, counts, images):
    """{name: this share of the global value}, of {name: LossSum} and {name: foreground boxes}; the boxes are told per image.

    counts {name: number} and `images` are of the whole batch."""
    return {
        **{name: loss.total / counts[name] for name, loss in sums.items()},
        **{name: number / images for name, number in foreground.items()},
    }


def total(scalars):
    """The loss: the sum of all scalars that are no counts."""
    return tf.add_n([value for name, value in scalars.items() if not name.endswith("foreground")])


def in_parts(detector, batch, number):
    """(scalars, [(gradient, variable)]) of a compiled TwoStageDetector's batch in `number` parts, of which only one needs memory at a time.

    They are those of the whole batch to rounding where batch norm is frozen. Losses are divided by what the whole batch sampled, which
    a pass without gradients finds out first: a third more arithmetic."""
    step, variables = detector.optimizer.iterations, detector.trainable_variables
    images = tf.shape(batch["image"])[0]
    size, names, without = images // number, [], set()

    def sums_of(part, training):
        content = {name: value[part * size :][:size] for name, value in batch.items()}
        return detector.sums_of(content, training, step, part, number)

    def count(part, counts):
        sums, _ = sums_of(part, training=False)
        names[:] = sums
        return part + 1, counts + tf.stack([loss.count for loss in sums.values()])

    _, counts = _loop(count, number, tf.zeros([]))
    counts = tf.maximum(over_replicas(tf.ensure_shape(counts, [len(names)])), 1.0)
    counts, all_images = (
        dict(zip(names, tf.unstack(counts))),
        over_replicas(tf.cast(images, tf.float32)),
    )

    def add(part, scalars, gradients):
        with tf.GradientTape() as tape:
            own = shares(*sums_of(part, training=True), counts, all_images)
            loss = total(own)
        names[:] = own
        pairs = detector.optimizer.compute_gradients(loss, variables, tape)
        without.update(index for index, (gradient, _) in enumerate(pairs) if gradient is None)
        added = [
            so_far if gradient is None else so_far + gradient
            for so_far, (gradient, _) in zip(gradients, pairs)
        ]
        return part + 1, scalars + tf.stack(list(own.values())), added

    _, scalars, gradients = _loop(
        add,
        number,
        tf.zeros([]),
        [tf.zeros(variable.shape, variable.dtype) for variable in variables],
    )
    scalars = dict(zip(names, tf.unstack(tf.ensure_shape(scalars, [len(names)]))))
    gradients = [None if index in without else gradient for index, gradient in enumerate(gradients)]
    return scalars, list(zip(gradients, variables))


def _loop(body, number, vector, *groups):
    """(number, vector, *groups) after `number` calls of body(index, vector, *groups); a vector of unknown length starts as a scalar."""
    shapes = [
        tf.TensorShape([]),
        tf.TensorShape(None),
        *([value.shape for value in group] for group in groups),
    ]
    return tf.while_loop(
        lambda index, *_: index < number, body, [0, vector, *groups], shapes, parallel_iterations=1
    )
