"""How long a training will take: of a few real steps, and how many steps fit."""

import time

import pytest
import tensorflow as tf
from training.tiny_run import tiny_config

from lhrcnn.data.datasets import open_dataset
from lhrcnn.training import pace


def test_steps_that_fit_leave_time_for_all_else():
    found = pace.Pace(start=10, step=0.5, image=0.1)
    assert found.seconds(steps=100, images=30) == pytest.approx(20 + 50 + 3)
    steps = found.steps(300, images=30)
    spent = found.start + pace.STEPS * found.step  # on the measurement
    assert 299 < spent + found.seconds(steps, images=30) <= 300
    assert found.steps(5, images=30) == 1
    assert found.describe(100, 30).startswith("about 2 min here: 100 steps of 0.50 s")


def test_the_pace_is_that_of_real_steps(data):
    config = tiny_config(data)
    found = pace.measure(config, open_dataset(config.data, "train", training=True))
    assert 0 < found.image < found.step < found.start


def test_reading_slow_images_counts(data, monkeypatch):
    config = tiny_config(data)
    dataset = open_dataset(config.data, "train", training=True)
    real = pace.training_batches

    def slow(*arguments):
        def wait(image):
            time.sleep(0.7)
            return image

        def delayed(batch):
            image = tf.numpy_function(wait, [batch["image"]], tf.uint8)
            return {**batch, "image": tf.ensure_shape(image, batch["image"].shape)}

        return real(*arguments).map(delayed).prefetch(pace.STEPS)

    monkeypatch.setattr(pace, "training_batches", slow)
    assert pace.measure(config, dataset).step > 0.7
