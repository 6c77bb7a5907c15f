"""Losses and gradients of a batch that is spread over replicas, and over parts worked through one after the other.

Every loss is a sum over examples divided by their number in the whole batch, so neither kind of spreading changes it.
"""
import tensorflow as tf


def over_replicas(value):
    """The sum of each replica's value."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def shares(sums, foreground, counts, pictures):
    """{name: this share of the global value}, of {name: LossSum} and {name: foreground boxes}; the boxes are told a picture.

    counts {name: number} and `pictures` are of the whole batch."""
    return {**{name: loss.total / counts[name] for name, loss in sums.items()},
            **{name: number / pictures for name, number in foreground.items()}}


def total(scalars):
    """The loss: the sum of all scalars that are no counts."""
    return tf.add_n([value for name, value in scalars.items() if not name.endswith("foreground")])


def in_parts(detector, batch, number):
    """(scalars, [(gradient, variable)]) of a compiled TwoStageDetector's batch in `number` parts, of which only one needs memory at a time.

    They are those of the whole batch to rounding where batch norm is frozen. Losses are divided by what the whole batch sampled, which
    a pass without gradients finds out first: a third more arithmetic."""
    step, variables = detector.optimizer.iterations, detector.trainable_variables
    pictures = tf.shape(batch["image"])[0]
    size, names, without = pictures // number, [], set()

    def sums_of(part, training):
        content = {name: value[part * size:][:size] for name, value in batch.items()}
        return detector.sums_of(content, training, step, part, number)

    def count(part, counts):
        sums, _ = sums_of(part, training=False)
        names[:] = sums
        return part + 1, counts + tf.stack([loss.count for loss in sums.values()])

    _, counts = _loop(count, number, tf.zeros([]))
    counts = tf.maximum(over_replicas(tf.ensure_shape(counts, [len(names)])), 1.0)
    counts, all_pictures = dict(zip(names, tf.unstack(counts))), over_replicas(tf.cast(pictures, tf.float32))

    def add(part, scalars, gradients):
        with tf.GradientTape() as tape:
            own = shares(*sums_of(part, training=True), counts, all_pictures)
            loss = total(own)
        names[:] = own
        pairs = detector.optimizer.compute_gradients(loss, variables, tape)
        without.update(index for index, (gradient, _) in enumerate(pairs) if gradient is None)
        added = [so_far if gradient is None else so_far + gradient for so_far, (gradient, _) in zip(gradients, pairs)]
        return part + 1, scalars + tf.stack(list(own.values())), added

    _, scalars, gradients = _loop(add, number, tf.zeros([]), [tf.zeros(variable.shape, variable.dtype) for variable in variables])
    scalars = dict(zip(names, tf.unstack(tf.ensure_shape(scalars, [len(names)]))))
    gradients = [None if index in without else gradient for index, gradient in enumerate(gradients)]
    return scalars, list(zip(gradients, variables))


def _loop(body, number, vector, *groups):
    """(number, vector, *groups) after `number` calls of body(index, vector, *groups); a vector of unknown length starts as a scalar."""
    shapes = [tf.TensorShape([]), tf.TensorShape(None), *([value.shape for value in group] for group in groups)]
    return tf.while_loop(lambda index, *_: index < number, body, [0, vector, *groups], shapes, parallel_iterations=1)
