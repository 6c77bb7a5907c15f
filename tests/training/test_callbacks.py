"""Stopping on signals, and what a progress line and a non-finite loss say."""

import os
import signal

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.config import TrainConfig
from lhrcnn.errors import ConfigError, TrainingError
from lhrcnn.keras import keras
from lhrcnn.training import stages
from lhrcnn.training.callbacks import (
    FiniteLosses,
    Interrupted,
    Progress,
    StopOnSignal,
    UserCallbacks,
)
from lhrcnn.training.ema import WeightAverage
from lhrcnn.training.validation import scalars
from lhrcnn.workers import Workers

ALONE = Workers(tf.distribute.get_strategy())


class Model:
    """What callbacks use of a compiled Trainable."""

    counts = ("rpn_foreground", "head_foreground")

    def __init__(self):
        self.optimizer = keras.optimizers.SGD(jit_compile=False)
        self.stop_training = False


class Log:
    def __init__(self):
        self.written = []

    def scalars(self, *line):
        self.written.append(line)


class Clock:
    def waited(self, asked):
        return 0.0


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_ends_fit_after_the_step(number, capfd):
    stop, former = StopOnSignal(ALONE), signal.getsignal(number)
    stop.set_model(Model())
    with stop:
        stop.on_train_batch_end(0, {})
        assert not stop.model.stop_training
        send(number)
        assert stop.requested
        stop.on_train_batch_end(1, {})
        assert stop.model.stop_training
    assert signal.getsignal(number) is former
    told = f"{signal.Signals(number).name} received: finishing the step, then saving"
    assert told in capfd.readouterr().out


def test_second_interrupt_from_the_keyboard_is_immediate():
    with StopOnSignal(ALONE):
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_validation_is_given_up_at_once_and_weights_come_back():
    variable = tf.Variable([1.0])
    average = WeightAverage({"a": variable}, 0.5, tf.Variable(0))
    average.restore({"ema/a": np.array([2.0], np.float32)})
    with StopOnSignal(ALONE) as stop:
        stop.nothing_unsaved = True
        with pytest.raises(Interrupted), average.swapped():
            try:
                send(signal.SIGTERM)
            finally:
                send(signal.SIGTERM)  # before the weights are back
    assert stop.requested and variable.numpy() == [1.0]


def logs(step, **changed):
    counts = {"rpn_foreground": 2.0 * step, "head_foreground": 1.0}
    return {"loss": float(step), "l2": 0.5, **counts, **changed}


def progress_of(all_logs, steps_per_epoch):
    """The Progress of a training, of the logs of its steps."""
    train, log = TrainConfig(batch_size=4, log_every=2), Log()
    schedule = lambda step: 0.1 * (step + 1)  # noqa: E731
    progress = Progress(log, Clock(), schedule, train, steps_per_epoch, len(all_logs))
    progress.set_model(Model())
    for step, logs in enumerate(all_logs, 1):
        progress.on_train_batch_begin(step)
        progress.model.optimizer.iterations.assign(step)
        progress.on_train_batch_end(step, logs)
    return progress


def test_progress_reports_means_of_its_window(capsys):
    progress = progress_of([logs(step) for step in range(1, 8)], 5)
    steps = [line[:3] for line in progress.log.written]
    assert steps == [("train", step, step / 5) for step in (2, 4, 6, 7)]
    values = [line[3] for line in progress.log.written]
    assert [value["loss"] for value in values] == [1.5, 3.5, 5.5, 7.0]
    assert [value["learning_rate"] for value in values] == pytest.approx([0.2, 0.4, 0.6, 0.7])
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].startswith(
        "epoch 0.80  step 4/7  loss 3.5000  l2 0.5000  rpn_foreground 7.0  head_foreground 1.0  "
        "lr 0.4  "
    )
    assert "waiting for data 0%" in printed[1] and "ETA 0:00:00" in printed[3]


@pytest.mark.parametrize("foreground", [0.0, 0.5])
def test_progress_says_when_no_anchor_is_near_an_object(foreground, capsys):
    progress_of([{"loss": 1.0, "rpn_foreground": number} for number in (0.0, foreground)], 2)
    assert ("model.rpn.anchor_scales" in capsys.readouterr().out) == (foreground == 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("-inf")])
def test_non_finite_term_is_named_with_its_images(value, tmp_path):
    class Store:
        def path(self, which):
            return None

    check = FiniteLosses(lambda step: [f"image_of_step_{step}.png"], Store())
    check.set_model(Model())
    check.model.optimizer.iterations.assign(6)
    check.on_train_batch_end(0, logs(6))
    with pytest.raises(
        TrainingError,
        match=rf"(?s)step 6: a loss is not finite: loss 6, l2 {value:.6g}.*image_of_step_5.png.*"
        "checkpoint is none yet",
    ):
        check.on_train_batch_end(0, logs(6, l2=value))


def test_scalars_are_the_numbers_of_all_metrics():
    coco = {"AP": 0.3, "AP50": 0.6, "per_class": {"a": 0.3}}
    voc = {"mAP": 0.7, "per_class": {"a": 0.7}}
    assert scalars({"voc07": voc, "coco": coco}) == {
        "voc07/mAP": 0.7,
        "coco/AP": 0.3,
        "coco/AP50": 0.6,
    }


def test_callbacks_of_another_keras_are_refused():
    with pytest.raises(ConfigError, match="callbacks: found <built-in function print>; allowed"):
        UserCallbacks([print])


def test_callbacks_are_taken_as_by_fit():
    callback = keras.callbacks.Callback()
    given = (None, callback, [callback])
    assert [UserCallbacks(one).given for one in given] == [[], [callback], [callback]]


def test_callbacks_without_an_effect_are_refused():
    for callback in (
        keras.callbacks.ReduceLROnPlateau(),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
    ):
        with pytest.raises(ConfigError, match=f"{type(callback).__name__}.*set train.schedule"):
            UserCallbacks([callback])


def test_a_stage_that_a_callback_ended_is_complete_and_one_that_was_interrupted_is_not(
    tmp_path, monkeypatch, capsys
):
    config = configs.load(None, ["train.stages=[{train.epochs: 1}, {train.epochs: 2}]"])

    def train(config, run, **arguments):
        if config.train.epochs == 2:
            raise KeyboardInterrupt
        return {"steps": 3, "total_steps": 5, "interrupted": False, "signalled": False}

    monkeypatch.setattr(stages.trainer, "train", train)
    monkeypatch.setattr(stages.RunDirectory, "finish", lambda run, summary: finished.append(run))
    finished = []
    with pytest.raises(KeyboardInterrupt):
        stages.train(config, tmp_path / "run")
    assert [str(run) for run in finished] == [str(tmp_path / "run" / "stage_1")]
    assert "stage 1 of 2 is complete with that" in capsys.readouterr().out


def test_callbacks_are_told_of_epochs_as_by_fit():
    callback = keras.callbacks.Callback()
    UserCallbacks([callback]).begin(Model(), 11, 5)
    assert callback.params == {"verbose": 0, "epochs": 3, "steps": 5}
