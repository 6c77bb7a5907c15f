"""The learning rate as a pure function of the step, so that a resumed run needs no state for it."""

import math

import tensorflow as tf

from lhrcnn.keras import keras


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from `warmup_factor` to 1 over `warmup_steps`, times a decay, times `peak`.

    kind "step": `decay_factor` for each of `boundaries` (steps) that is reached.
    kind "cosine": half a cosine from 1 at the end of the warm-up to `final_share` at `total_steps` (Loshchilov & Hutter 2017, eq. 5)."""

    def __init__(
        self,
        peak,
        total_steps,
        warmup_steps=0,
        warmup_factor=1.0,
        kind="step",
        boundaries=(),
        decay_factor=0.1,
        final_share=0.0,
    ):
        super().__init__()
        self.peak, self.total_steps, self.kind = peak, total_steps, kind
        self.warmup_steps, self.warmup_factor = warmup_steps, warmup_factor
        self.boundaries, self.decay_factor, self.final_share = (
            list(boundaries),
            decay_factor,
            final_share,
        )

    def __call__(self, step):
        """The learning rate [] float32 of a step [] of any number type, counted from 0."""
        step = tf.cast(step, tf.float32)
        warmup = tf.minimum(step / max(self.warmup_steps, 1), 1.0) if self.warmup_steps else 1.0
        decay = {"step": self._step_decay, "cosine": self._cosine_decay}[self.kind](step)
        return self.peak * (self.warmup_factor + (1.0 - self.warmup_factor) * warmup) * decay

    def get_config(self):
        """The constructor's arguments, as Keras asks of a schedule."""
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
            "kind": self.kind,
            "boundaries": self.boundaries,
            "decay_factor": self.decay_factor,
            "final_share": self.final_share,
        }

    def _step_decay(self, step):
        reached = (
            tf.reduce_sum(tf.cast(step >= tf.constant(self.boundaries, tf.float32), tf.float32))
            if self.boundaries
            else 0.0
        )
        return tf.pow(self.decay_factor, reached)

    def _cosine_decay(self, step):
        span = max(self.total_steps - self.warmup_steps, 1)
        progress = tf.clip_by_value((step - self.warmup_steps) / span, 0.0, 1.0)
        return self.final_share + (1.0 - self.final_share) * 0.5 * (
            1.0 + tf.cos(math.pi * progress)
        )


def learning_rate(train, steps_per_epoch, total_steps, factor=1.0):
    """The schedule of a TrainConfig, times `factor`; the peak grows with batch_size / base_batch_size unless that is switched off
    (Goyal et al. 2017, section 2.1)."""
    scale = train.batch_size / train.base_batch_size if train.scale_learning_rate else 1.0
    return WarmupSchedule(
        train.learning_rate * scale * factor,
        total_steps,
        train.warmup_steps,
        train.warmup_factor,
        train.schedule,
        [round(epoch * steps_per_epoch) for epoch in train.decay_epochs],
        train.decay_factor,
        train.final_learning_rate,
    )
