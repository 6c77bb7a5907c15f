"""What a run tells: metrics.jsonl, TensorBoard, and how long it waited for data."""

import collections
import datetime
import json
import math
import os
import platform
import time

import numpy as np
import tensorflow as tf
from tensorboard.plugins.pr_curve import metadata

import lhrcnn
from lhrcnn.files import replacing


class RunLog:
    """Scalars and images of a run, as lines of JSON and for TensorBoard."""

    def __init__(self, run, step, keep_validation=True):
        """The log of a RunDirectory whose training goes on after `step`.

        Lines of later steps are dropped, as these will be made again; so is the validation of
        `step` itself unless `keep_validation`."""
        self.path = run.metrics
        kept = ("start", "train", "validation") if keep_validation else ("start", "train")
        lines = [
            line
            for line in run.logged()
            if line["step"] < step or line["step"] == step and line["phase"] in kept
        ]
        with replacing(self.path, "w") as file:
            file.writelines(map(_json, lines))
        self._writer = tf.summary.create_file_writer(str(run.tensorboard))

    def scalars(self, phase, step, epoch, values):
        """Writes {name: number} of a step; `phase` is train or validation, `epoch` the passes
        done."""
        self.line(phase, step, epoch, values)
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(f"{phase}/{name}", value)
        self._writer.flush()

    def line(self, phase, step, epoch, values):
        """Appends one line to metrics.jsonl alone, with the time of day (UTC)."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        about = {"step": step, "epoch": round(epoch, 4), "phase": phase}
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(_json({**about, **values, "time": now}))
        except OSError as error:
            what = f"{error.strerror} at step {step}; make room and resume from the last checkpoint"
            raise OSError(error.errno, what, str(self.path)) from error

    def validation(self, step, outcome):
        """Writes images, numbers of classes and PR curves of a validation.Outcome to
        TensorBoard."""
        with self._writer.as_default(step=step):
            for name, image in outcome.images.items():
                tf.summary.image(name, np.asarray(image)[None])
            for name, value in outcome.per_class.items():
                tf.summary.scalar(f"per_class/{name}", value)
            for name, curve in outcome.curves.items():
                about = metadata.create_summary_metadata(name, "at IoU 0.5", curve.shape[1])
                tensor = curve.astype(np.float32)
                tf.summary.write(f"pr_curves/{name}", tensor, metadata=about)
        self._writer.flush()

    def close(self):
        """Ends the TensorBoard file."""
        self._writer.close()


class NoLog:
    """The log of a worker that does not speak for the others."""

    def scalars(self, phase, step, epoch, values):
        """Writes nothing, as all of them."""

    def line(self, phase, step, epoch, values):
        """As above."""

    def validation(self, step, outcome):
        """As above."""

    def close(self):
        """As above."""


class DataClock:
    """How long the training loop stood still because its next batch was not ready.

    A batch is stamped when it leaves the input pipeline. Where that is before the loop asks for
    it, nothing was waited for, whatever else is buffered in between; where it is after, the
    difference was waited."""

    def __init__(self):
        self._ready = collections.deque()

    def watch(self, dataset):
        """The same dataset, with each batch stamped; forgets the stamps of a dataset watched
        before."""
        ready = self._ready = collections.deque()

        def stamp():
            ready.append(time.perf_counter())
            return np.int64(0)

        def passed(batch):
            tf.numpy_function(stamp, [], tf.int64)
            return batch

        return dataset.map(passed)

    def waited(self, asked):
        """Seconds waited for the oldest batch not yet accounted for.

        The loop asked for it at time.perf_counter() `asked`."""
        return max(0.0, self._ready.popleft() - asked)


def environment(strategy):
    """Versions, devices and the number of processors, as a dict for the log."""
    devices = tf.config.list_logical_devices()
    return {
        "lhrcnn": lhrcnn.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "devices": [f"{one.device_type}:{one.name.rpartition(':')[2]}" for one in devices],
        "replicas": strategy.num_replicas_in_sync,
        "processors": os.cpu_count(),
    }


def _json(values):
    """One line; numbers that JSON does not know become null."""
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
    return json.dumps(plain, ensure_ascii=False) + "\n"
