"""What happens between two steps of Keras `fit`: checks, progress, checkpoints, stopping on a
signal, and what the user adds.

The optimizer's `iterations` is the one count of steps; after a step it is that step's number
counted from 1."""

import datetime
import os
import signal
import threading
import time

import numpy as np
import tensorflow as tf

from lhrcnn.errors import ConfigError, TrainingError
from lhrcnn.keras import keras

NO_ANCHORS = (
    "no anchor of these steps is near an object, so the RPN learns nothing: compare "
    "model.rpn.anchor_scales (in anchor_unit) with the sizes of the boxes; anchors more than "
    "model.rpn.border_px px outside the image are left out, unless it is negative"
)
RATE_SETTERS = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


class Interrupted(Exception):
    """A signal asked to stop while nothing was unsaved."""


def step_of(model):
    """Steps a compiled model has done."""
    return int(model.optimizer.iterations.numpy())


class FiniteLosses(keras.callbacks.Callback):
    """Raises TrainingError at the first loss that is not a finite number.

    It names the step, all terms and the images."""

    def __init__(self, paths_of_step, store):
        """`paths_of_step(step)` lists the image files of a step counted from 0; `store` holds the
        last good checkpoint."""
        super().__init__()
        self.paths_of_step, self.store = paths_of_step, store

    def on_train_batch_end(self, batch, logs=None):
        if all(np.isfinite(value) for value in logs.values()):
            return
        step, last = step_of(self.model), self.store.path("last")
        terms = ", ".join(f"{name} {value:.6g}" for name, value in logs.items())
        paths = "\n  ".join(self.paths_of_step(step - 1))
        raise TrainingError(
            f"step {step}: a loss is not finite: {terms}\nThe images of this step:\n  {paths}\n"
            f"Nothing was saved; the last good checkpoint is {last or 'none yet'}. Lower "
            "train.learning_rate, lengthen train.warmup_steps or set train.clip_norm; if it is "
            "always the same images, look at their boxes"
        )


class Progress(keras.callbacks.Callback):
    """A line and the log's scalars every `log_every` steps: mean losses, learning rate, images per
    second, waiting for data."""

    def __init__(self, log, clock, schedule, train, steps_per_epoch, total_steps):
        """`log` is a RunLog, `clock` the DataClock that watches the input, `schedule` the learning
        rate by step, `train` the TrainConfig."""
        super().__init__()
        self.log, self.clock, self.schedule = log, clock, schedule
        self.batch_size, self.log_every = train.batch_size, train.log_every
        self.steps_per_epoch, self.total_steps = steps_per_epoch, total_steps
        self.warm = False
        self._reset()

    def on_train_batch_begin(self, batch, logs=None):
        self.asked = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        waited, elapsed = self.clock.waited(self.asked), time.perf_counter() - self.asked
        if self.warm:  # the first step also builds the graph, which would spoil the rates
            self.times.append((elapsed, waited))
        self.warm = True
        self.losses.append(logs)
        step = step_of(self.model)
        if step % self.log_every == 0 or step == self.total_steps:
            self._report(step)
            self._reset()

    def _reset(self):
        self.losses, self.times = [], []

    def _report(self, step):
        values = {
            name: float(np.mean([losses[name] for losses in self.losses]))
            for name in self.losses[0]
        }
        terms = "  ".join(
            f"{name} {value:.{1 if name in self.model.counts else 4}f}"
            for name, value in values.items()
        )
        values["learning_rate"] = float(self.schedule(step - 1))
        epoch, rate = step / self.steps_per_epoch, values["learning_rate"]
        line = f"epoch {epoch:.2f}  step {step}/{self.total_steps}  {terms}  lr {rate:.3g}"
        if self.times:
            elapsed, waited = np.sum(self.times, axis=0)
            speed = self.batch_size * len(self.times) / elapsed
            values.update(images_per_second=float(speed), data_wait=float(waited / elapsed))
            remaining = datetime.timedelta(
                seconds=round((self.total_steps - step) * self.batch_size / speed)
            )
            line += (
                f"  {speed:.1f} images/s  waiting for data {waited / elapsed:.0%}  ETA {remaining}"
            )
        self.log.scalars("train", step, epoch, values)
        print(line, flush=True)
        if values.get("rpn_foreground") == 0:
            print(NO_ANCHORS, flush=True)


class PeriodicCheckpoint(keras.callbacks.Callback):
    """Calls `save()` every so many steps, for each of the numbers given."""

    def __init__(self, save, *every):
        super().__init__()
        self.save, self.every = save, every

    def on_train_batch_end(self, batch, logs=None):
        step = step_of(self.model)
        if any(step % every == 0 for every in self.every):
            self.save()


class StopOnSignal(keras.callbacks.Callback):
    """SIGTERM, or SIGINT (Ctrl-C), ends `fit` after the running step, on all workers; a second
    SIGINT interrupts at once.

    A context manager: outside it, and in threads other than the main one, signals do what they
    did before."""

    def __init__(self, workers):
        super().__init__()
        self.workers = workers
        self.requested, self.nothing_unsaved = False, False
        self._former = {}

    def agreed(self):
        """Whether any worker was asked to stop; all of them call this at the same point."""
        self.requested = self.workers.any(self.requested)
        return self.requested

    def on_train_batch_end(self, batch, logs=None):
        # The last of the callbacks: another one may have asked to stop, on one worker alone.
        self.model.stop_training = self.workers.any(self.requested, self.model.stop_training)

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._former = {
                number: signal.signal(number, self._receive)
                for number in (signal.SIGTERM, signal.SIGINT)
            }
        return self

    def __exit__(self, *failure):
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        # Not print(), which may be what the signal interrupted.
        os.write(
            1,
            f"\n{signal.Signals(number).name} received: finishing the step, then saving\n".encode(),
        )
        if self.nothing_unsaved and self.workers.number == 1:
            self.nothing_unsaved = False  # one more signal must not end what puts weights back
            raise Interrupted


class UserCallbacks:
    """Keras callbacks of the user's own, for which a training is one long call of `fit`.

    on_train_batch_begin and _end get the number of the step, counted from 1, and the latter its
    losses; on_test_end gets the scores of a validation; on_epoch_end the epoch, counted from 0, and
    the losses of its last step with the scores. Setting `model.stop_training` ends the training;
    of alternating training, the stage.
    A context manager for the time of the training, once `begin` has told of which."""

    def __init__(self, callbacks):
        """callbacks: one, a list of them, or None, as `fit` takes them. Raises ConfigError for what
        is no callback of the Keras that lhrcnn uses, and for those that set the learning rate, to
        which Keras does not listen where it is a schedule."""
        self.given, self.losses = tf.nest.flatten(callbacks or []), {}
        for callback in self.given:
            if isinstance(callback, RATE_SETTERS):
                raise ConfigError(
                    f"callbacks: found a {type(callback).__name__}, whose learning rates would "
                    "have no effect: here it is a function of the step; set train.schedule, maybe "
                    "to an entry of your own in lhrcnn.SCHEDULES"
                )
            if not isinstance(callback, keras.callbacks.Callback):
                raise ConfigError(
                    f"callbacks: found {callback!r}; allowed are callbacks of Keras 2, as in "
                    "`from lhrcnn.keras import keras`: keras.callbacks.Callback and its subclasses"
                )
        self.in_fit = [_StepByStep(self)] if self.given else []

    def begin(self, model, total_steps, steps_per_epoch):
        """Tells the compiled model, and what `fit` tells callbacks as their `params`."""
        epochs = -(-total_steps // steps_per_epoch)
        params = {"verbose": 0, "epochs": epochs, "steps": steps_per_epoch}
        self.model = model
        self.calls = keras.callbacks.CallbackList(self.given, model=model, **params)

    @property
    def stopped(self):
        """Whether a callback asked to stop."""
        return bool(self.given) and self.model.stop_training

    def epoch_ended(self, epoch, scores):
        """After an epoch counted from 1 and its validation, where there was one."""
        if self.losses or scores:
            self.calls.on_epoch_end(epoch - 1, {**self.losses, **scores})
        self.losses = {}

    def __enter__(self):
        self.calls.on_train_begin()
        return self

    def __exit__(self, kind, error, traceback):
        if error is None:
            self.calls.on_train_end()


class _StepByStep(keras.callbacks.Callback):
    """Hands the steps of each `fit` on to the user's callbacks."""

    def __init__(self, users):
        super().__init__()
        self.users = users

    def on_train_batch_begin(self, batch, logs=None):
        step = step_of(self.model)
        if not self.users.losses:
            self.users.calls.on_epoch_begin(self.params["epochs"] - 1)
        self.users.calls.on_train_batch_begin(step + 1)

    def on_train_batch_end(self, batch, logs=None):
        self.users.losses = dict(logs)
        self.users.calls.on_train_batch_end(step_of(self.model), logs)
