"""The schedule against a plain NumPy twin."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config
from lhrcnn.training.schedules import WarmupSchedule


def twin(train, steps_per_epoch, total_steps, step):
    peak = train.learning_rate
    if train.scale_learning_rate:
        peak = peak * train.batch_size / train.base_batch_size
    if step < train.warmup_steps:
        peak = peak * (train.warmup_factor + (1 - train.warmup_factor) * step / train.warmup_steps)
    if train.schedule == "step":
        for epoch in train.decay_epochs:
            if step >= round(epoch * steps_per_epoch):
                peak = peak * train.decay_factor
        return peak
    if step <= train.warmup_steps:
        return peak
    progress = (step - train.warmup_steps) / (total_steps - train.warmup_steps)
    end = train.final_learning_rate
    return peak * (end + (1 - end) * (1 + np.cos(np.pi * min(progress, 1))) / 2)


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "step", "decay_epochs": [2, 2.5], "warmup_steps": 5},
        {"schedule": "step", "decay_epochs": [], "warmup_steps": 0},
        {"decay_epochs": [0.3], "warmup_steps": 10, "scale_learning_rate": False},
        {
            "schedule": "cosine",
            "final_learning_rate": 0.05,
            "warmup_steps": 7,
            "warmup_factor": 0.1,
        },
        {"schedule": "cosine", "warmup_steps": 0, "batch_size": 32},
    ],
)
def test_equals_the_twin(options):
    train = config.TrainConfig(
        learning_rate=0.02, batch_size=options.pop("batch_size", 4), **options
    )
    schedule = WarmupSchedule(train, steps_per_epoch=10, total_steps=40)
    steps = np.arange(45)
    got = np.array([schedule(tf.constant(step, tf.int64)) for step in steps])
    wanted = [twin(train, 10, 40, step) for step in steps]
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-9)


def test_known_values():
    train = config.TrainConfig(
        learning_rate=0.01, batch_size=16, warmup_steps=500, decay_epochs=[8, 11]
    )
    schedule = WarmupSchedule(train, steps_per_epoch=100, total_steps=1200)
    found = [round(float(schedule(step)), 7) for step in (0, 250, 500, 799, 800, 1100)]
    assert found == [0.0066667, 0.0133333, 0.02, 0.02, 0.002, 0.0002]


def test_factor_scales_everything():
    train = config.TrainConfig(schedule="cosine", warmup_steps=3)
    plain = WarmupSchedule(train, 5, 20)
    scaled = plain.times(0.5).times(0.5)
    np.testing.assert_allclose(
        [scaled(i) for i in range(20)], [0.25 * plain(i) for i in range(20)], rtol=1e-6
    )


def test_runs_in_a_graph_and_round_trips_its_config():
    train = config.TrainConfig(schedule="cosine", warmup_steps=2, final_learning_rate=0.1)
    schedule = WarmupSchedule(train, 5, 10)
    again = WarmupSchedule.from_config(schedule.get_config())
    inside = tf.function(again)
    for step in range(12):
        assert float(inside(tf.constant(step))) == pytest.approx(float(schedule(step)), rel=1e-6)
