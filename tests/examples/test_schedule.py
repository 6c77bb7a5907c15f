"""examples/schedule.py in training and evaluation, and its schedule against NumPy."""

import pathlib

import numpy as np
import pytest
from training.tiny_run import lines, make_coco, tiny_config

import lhrcnn

PLUGIN = pathlib.Path(__file__).resolve().parents[2] / "examples" / "schedule.py"


@pytest.mark.slow
def test_schedule_and_optimizer_train_a_detector(tmp_path):
    data, run_dir = make_coco(tmp_path / "data"), tmp_path / "run"
    chosen = ["train.schedule=poly", "train.optimizer=nadam", "train.learning_rate=0.001"]
    config = tiny_config(data, f"plugins=[{PLUGIN}]", *chosen, "train.max_steps=7")
    assert lhrcnn.train(config, run_dir=run_dir)["steps"] == 7
    rates = [line["learning_rate"] for line in lines(run_dir, "train")]
    steps, peak = np.arange(7), 0.001 * config.train.batch_size / config.train.base_batch_size
    warmup = 1 / 3 + 2 / 3 * np.minimum(steps / 4, 1)
    expected = peak * warmup * (1 - np.clip((steps - 4) / 3, 0, 1)) ** 0.9
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    scores = lhrcnn.evaluate(run_dir, split="val")
    assert set(scores) == {"coco"} and 0 <= scores["coco"]["AP"] <= 1
