"""The log file over resumes, and the measure of waiting for data."""

import datetime
import json
import time

import numpy as np
import pytest
import tensorflow as tf
from scenes import random_dataset, random_detections
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lhrcnn.runs.directory import RunDirectory
from lhrcnn.training import validation
from lhrcnn.training.logs import DataClock, RunLog


def steps(log):
    lines = map(json.loads, log.path.read_text().splitlines())
    return [(line["phase"], line["step"]) for line in lines]


def test_resumed_log_drops_what_will_be_made_again(tmp_path):
    log = RunLog(RunDirectory(tmp_path), 0)
    for step in range(1, 5):
        log.scalars("train", step, step / 2, {"loss": 1.0 / step})
        if step % 2 == 0:
            log.scalars("validation", step, step / 2, {"coco/AP": 0.5, "coco/APs": float("nan")})
    log.close()
    with open(log.path, "a") as file:
        file.write('{"step": 5, "pha')  # a kill in the middle of a write
    trained = [("train", 1), ("train", 2)]
    assert steps(RunLog(RunDirectory(tmp_path), 2)) == [*trained, ("validation", 2)]
    assert steps(RunLog(RunDirectory(tmp_path), 2, keep_validation=False)) == trained
    assert steps(RunLog(RunDirectory(tmp_path), 0)) == []


def test_lines_are_plain_json_with_the_time_of_day(tmp_path):
    log = RunLog(RunDirectory(tmp_path), 0)
    log.scalars("validation", 3, 1 / 3, {"coco/AP": 0.25, "coco/APs": float("nan")})
    line, written = log.path.read_text().split(', "time": ')
    about = '{"step": 3, "epoch": 0.3333, "phase": "validation"'
    assert line == about + ', "coco/AP": 0.25, "coco/APs": null'
    then = datetime.datetime.fromisoformat(json.loads(written.replace("}", "")))
    age = datetime.datetime.now(datetime.timezone.utc) - then
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5)


def test_tensorboard_has_curves_and_numbers_of_classes(tmp_path):
    rng = np.random.default_rng(0)
    dataset = random_dataset(rng)
    curves = validation.pr_curves(dataset, random_detections(rng, dataset))
    log = RunLog(RunDirectory(tmp_path), 0)
    log.validation(5, validation.Outcome("m", {}, per_class={"class 0": 0.25}, curves=curves))
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    (event,) = events.Tensors("per_class/class 0")
    assert event.step == 5 and tf.make_ndarray(event.tensor_proto).item() == 0.25
    (event,) = events.Tensors("pr_curves/class 0")
    curve = tf.make_ndarray(event.tensor_proto)
    np.testing.assert_allclose(curve, curves["class 0"], rtol=1e-6)
    np.testing.assert_allclose(curve[0] + curve[3], curve[0, 0] + curve[3, 0], rtol=1e-5)
    assert events.SummaryMetadata("pr_curves/class 0").plugin_data.plugin_name == "pr_curves"
    assert "pr_curves/class 4" not in events.Tags()["tensors"]  # there is no object of it


def source(number, seconds):
    def wait(i):
        time.sleep(seconds)
        return i

    return tf.data.Dataset.range(number).map(lambda i: tf.numpy_function(wait, [i], tf.int64))


def consume(clock, dataset, seconds):
    waited, iterator = [], iter(clock.watch(dataset))
    while True:
        asked = time.perf_counter()
        if next(iterator, None) is None:
            return waited
        waited.append(clock.waited(asked))
        time.sleep(seconds)


def test_wait_is_that_of_the_loop_not_of_the_pipeline():
    clock = DataClock()
    slow = consume(clock, source(4, 0.05), seconds=0)
    assert len(slow) == 4 and min(slow) >= 0.04
    ready = consume(
        clock, source(4, 0.05).prefetch(4), seconds=0.25
    )  # a new dataset starts a new account
    assert len(ready) == 4 and sum(ready[1:]) < sum(slow[1:])


@pytest.mark.parametrize("replicas", [1, 2])
def test_one_stamp_a_batch_however_it_is_shared(two_cpus, replicas):
    clock = DataClock()
    strategy = two_cpus if replicas == 2 else tf.distribute.get_strategy()
    batches = clock.watch(tf.data.Dataset.range(12).batch(4, drop_remainder=True))
    count = 0
    for _ in strategy.experimental_distribute_dataset(batches):
        assert clock.waited(time.perf_counter() - 60) >= 0
        count += 1
    assert count == 3
    with pytest.raises(IndexError):
        clock.waited(0)
