"""How fast a training is on this machine, found out before it begins."""

import math
import time
import typing

import tensorflow as tf

from lhrcnn.data.batches.pipeline import training_batches
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.distribution import on_gpu
from lhrcnn.keras import keras
from lhrcnn.models.build import arithmetic, build_detector

STEPS = 4
EVALUATION = 0.5  # of an image, times the seconds of training on it: it has no backward pass


class Pace(typing.NamedTuple):
    """Seconds of a training."""

    start: float  # until its first step is done; the first validation takes about as long
    step: float
    image: float  # of a validation

    def seconds(self, steps, images):
        """Of a training of so many steps that validates so many images in all."""
        return 2 * self.start + steps * self.step + images * self.image

    def describe(self, steps, images):
        """The same in words."""
        minutes = math.ceil(self.seconds(steps, images) / 60)
        return f"about {minutes} min here: {steps} steps of {self.step:.2f} s, start, validation"

    def steps(self, seconds, images):
        """Those that fit into so many seconds, `measure` among them; at least one."""
        left = seconds - self.start - self.seconds(STEPS, images)
        return max(1, int(left / self.step))


def measure(config, dataset):
    """The `Pace` of training the Config's detector on a Dataset: that of a few real steps.

    Batches are read before the steps: read beside the first one, which takes long, they would seem
    to cost nothing. Where the CPU trains, it has both to do in each step."""
    plan = BatchPlan(dataset, config.data, config.train.batch_size, config.train.seed)
    batches = training_batches(plan, config.data, 0, STEPS)  # fills data.cache_dir, once for all
    begun = time.perf_counter()
    with arithmetic(config.train.precision):
        detector = build_detector(config, dataset.num_classes)
        detector.compile(keras.optimizers.SGD(0.0))
    built = time.perf_counter()
    kept = list(batches)
    ends = [time.perf_counter()]
    reading = (ends[0] - built) / STEPS
    step = tf.function(detector.train_step, input_signature=[batches.element_spec])
    for batch in kept:
        step(batch)["loss"].numpy()
        ends.append(time.perf_counter())
    training = (ends[-1] - ends[1]) / (STEPS - 1)
    seconds = max(reading, training) if on_gpu() else reading + training
    return Pace(ends[1] - begun, seconds, EVALUATION * seconds / config.train.batch_size)
