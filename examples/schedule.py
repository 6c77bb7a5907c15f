r"""A learning rate and an optimizer of one's own, for `plugins: [examples/schedule.py]`.

    lhrcnn train --set plugins=[examples/schedule.py] \
        --set train.schedule=poly --set train.optimizer=nadam
"""

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.training import OPTIMIZERS, SCHEDULES

POWER = 0.9


def poly(train, steps_per_epoch, total_steps):
    """(1 - progress)^0.9 after the warm-up, as DeepLab has it (arXiv 1606.00915, section 4.1)."""
    span = max(total_steps - train.warmup_steps, 1)

    def share(step):
        progress = tf.clip_by_value((step - train.warmup_steps) / span, 0.0, 1.0)
        return tf.pow(1.0 - progress, POWER)

    return share


def nadam(train, learning_rate, variables, kernels):
    """Adam with Nesterov momentum; train.weight_decay is part of the loss, as with SGD."""
    optimizer = keras.optimizers.Nadam(
        learning_rate, global_clipnorm=train.clip_norm or None, jit_compile=False
    )
    optimizer.build(variables)
    return optimizer


SCHEDULES["poly"] = poly
OPTIMIZERS["nadam"] = nadam
