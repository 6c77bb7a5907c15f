"""The learning rate as a pure function of the step, so that a resumed run needs no state for it."""

import math

import tensorflow as tf

from lhrcnn.choices import resolve
from lhrcnn.keras import keras
from lhrcnn.training import SCHEDULES


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Peak times linear warm-up from `warmup_factor` to 1 over `warmup_steps`, times the decay that
    a TrainConfig names, times `factor`.

    The peak grows with batch_size / base_batch_size unless that is switched off (Goyal et al. 2017,
    section 2.1)."""

    def __init__(self, train, steps_per_epoch, total_steps, factor=1.0):
        super().__init__()
        self.arguments = (train, steps_per_epoch, total_steps)
        scale = train.batch_size / train.base_batch_size if train.scale_learning_rate else 1.0
        self.train, self.factor = train, factor
        self.peak = train.learning_rate * scale * factor
        self.decay = resolve(SCHEDULES[train.schedule])(train, steps_per_epoch, total_steps)

    def __call__(self, step):
        """The learning rate [] float32 of a step [] of any number type, counted from 0."""
        step, start = tf.cast(step, tf.float32), self.train.warmup_factor
        steps = self.train.warmup_steps
        warmup = tf.minimum(step / steps, 1.0) if steps else 1.0
        return self.peak * (start + (1.0 - start) * warmup) * self.decay(step)

    def times(self, factor):
        """The same schedule, times `factor`."""
        return WarmupSchedule(*self.arguments, self.factor * factor)

    def get_config(self):
        """The constructor's arguments, as Keras asks of a schedule."""
        names = ("train", "steps_per_epoch", "total_steps")
        return {**dict(zip(names, self.arguments)), "factor": self.factor}


def step_decay(train, steps_per_epoch, total_steps):
    """`decay_factor` for each of `decay_epochs` that is reached."""
    del total_steps
    boundaries = [float(round(epoch * steps_per_epoch)) for epoch in train.decay_epochs]

    def share(step):
        if not boundaries:
            return 1.0
        reached = tf.reduce_sum(tf.cast(step >= tf.constant(boundaries), tf.float32))
        return tf.pow(train.decay_factor, reached)

    return share


def cosine_decay(train, steps_per_epoch, total_steps):
    """Half a cosine from 1 at the end of the warm-up to `final_learning_rate` at the last step
    (Loshchilov & Hutter 2017, eq. 5)."""
    del steps_per_epoch
    span, end = max(total_steps - train.warmup_steps, 1), train.final_learning_rate

    def share(step):
        progress = tf.clip_by_value((step - train.warmup_steps) / span, 0.0, 1.0)
        return end + (1.0 - end) * 0.5 * (1.0 + tf.cos(math.pi * progress))

    return share
