"""What ends a training before its last step: no better score for long, or no time left.

Both follow from what checkpoints hold, so that a resumed training ends where one in one go does.
"""

import math
import time

from lhrcnn.keras import keras


class Limits(keras.callbacks.Callback):
    """train.patience and train.hours; as a callback it ends a `fit` when the time is over.

    The chief of the workers decides for all: clocks differ."""

    def __init__(self, train, store, workers, eval_steps, spent_s):
        """`train` is the TrainConfig, `store` the CheckpointStore, `eval_steps` the steps between
        two validations, `spent_s` the seconds that earlier starts have taken."""
        super().__init__()
        self.patience, self.limit_s = train.patience, 3600 * train.hours
        self.store, self.workers, self.eval_steps = store, workers, eval_steps
        self.spent_s, self.began = spent_s, time.monotonic()

    @property
    def seconds(self):
        """What this training has taken, in all starts together."""
        return self.spent_s + time.monotonic() - self.began

    def last_step(self, step, total_steps):
        """The step after which the training ends: `step` where a limit is reached, with a line that
        says why, else `total_steps`."""
        if step >= total_steps:
            return total_steps
        reason = self._reached(step) if self.workers.chief else ""
        if not self.workers.any(bool(reason)):
            return total_steps
        print(f"ends after step {step} of {total_steps}: {reason}", flush=True)
        return step

    def on_train_batch_end(self, batch, logs=None):
        if self.workers.chief and self._out_of_time:
            self.model.stop_training = True  # which StopOnSignal tells the other workers

    def _reached(self, step):
        if self._out_of_time:
            return f"train.hours={self.limit_s / 3600:g} are over"
        score = self.store.metric(step)
        if not self.patience or score is None or math.isnan(score):
            return ""
        best_step, _ = self.store.best()
        without = (step - best_step) // self.eval_steps
        if without < self.patience:
            return ""
        return f"{without} validations without a better score than that of step {best_step}"

    @property
    def _out_of_time(self):
        return bool(self.limit_s) and self.seconds >= self.limit_s
