"""A run of the format before variables had names of their own loads, resumes and is trained on.

older_run/ was made by the version of 2026-11-28 (VGG16 of 1 to 8 channels, a light head with batch
norm, LocNet), expected.json by the same: losses of its next steps, and detections.
"""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from training.tiny_run import lines, make_coco

from lhrcnn import config as configs
from lhrcnn.inference.predictor import load_run
from lhrcnn.models.build import build_detector
from lhrcnn.runs import state
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.runs.fine_tune import init_from
from lhrcnn.runs.resume import check_same_experiment
from lhrcnn.training.optimizers import build_optimizer
from lhrcnn.training.schedules import WarmupSchedule
from lhrcnn.training.trainer import train

OLDER = pathlib.Path(__file__).with_name("older_run")
NAMES = {
    "thin_map/tall_in/kernel": "head/thin_map/tall_in/kernel",
    "thin_map/norm/moving_variance": "head/thin_map/norm/moving_variance",
    "head/light_head/fc/kernel": "head/fc/kernel",
    "head/light_head/fc_norm/beta": "head/fc_norm/beta",
    "locnet/conv1/kernel": "head/locnet/conv1/kernel",
    "locnet/locnet_columns/bias": "head/locnet/columns/bias",
    "head/class_boxes/bias": "head/class_boxes/bias",
    "backbone/conv5_3/kernel": "backbone/conv5_3/kernel",
    "rpn/objectness/kernel": "rpn/objectness/kernel",
}


@pytest.fixture(scope="module")
def stored():
    """{name in the file: array}."""
    with np.load(OLDER / "checkpoints" / "step_00000003.npz") as file:
        return dict(file)


@pytest.fixture
def expected():
    return json.loads((OLDER / "expected.json").read_text())


def test_every_array_comes_back_to_the_bit(stored):
    detector = build_detector(configs.load(OLDER / "config.yaml"), 2)
    arrays, _ = CheckpointStore(OLDER).load()
    for prefer_ema, kind in ((False, "model"), (True, "ema")):
        state.restore_model(detector, arrays, prefer_ema)
        variables = detector.named_variables()
        for older, name in NAMES.items():
            array = stored.get(f"{kind}/{older}", stored[f"model/{older}"])
            np.testing.assert_array_equal(variables[name].numpy(), array)
    kinds = [name.split("/")[0] for name in stored]
    assert len(variables) == kinds.count("model") and kinds.count("ema") > 20


def test_the_optimizer_goes_on_where_it_was(stored):
    config = configs.load(OLDER / "config.yaml")
    detector = build_detector(config, 2)
    variables = detector.trainable_variables
    schedule = WarmupSchedule(config.train, 2, 3)
    optimizer = build_optimizer(config.train, schedule, variables, detector.kernels)
    state.restore_optimizer(optimizer, CheckpointStore(OLDER).load()[0])
    older = [array for name, array in sorted(stored.items()) if name.startswith("optimizer/")]
    assert optimizer.iterations.numpy() == 3 and len(older) > len(variables)
    for variable, array in zip(optimizer.variables, older):
        np.testing.assert_array_equal(variable.numpy(), array)


def test_it_detects_what_it_did(expected):
    image = np.random.default_rng(7).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    found = load_run(OLDER).model.detect(tf.constant(image), tf.constant([[64.0, 64.0]]))
    for name, values in expected["detections"].items():
        np.testing.assert_allclose(found[name][0, :20], values, rtol=1e-4, atol=1e-3)


def test_its_training_goes_on_as_it_would_have(tmp_path, monkeypatch, expected):
    shutil.copytree(OLDER, tmp_path / "run")
    make_coco(tmp_path / "data", num_train=4, num_val=2)
    monkeypatch.chdir(tmp_path)
    config = configs.load(tmp_path / "run" / "config.yaml", {"train.max_steps": 6})
    assert list(config.train.gradient_multipliers) == ["thin_map"]  # as it was called
    today = configs.changed(config, {"train.gradient_multipliers": {"head/thin_map": 3}})
    check_same_experiment(today, RunDirectory(tmp_path / "run"))
    assert train(config, tmp_path / "run", resume="must")["steps"] == 6
    for line in lines(tmp_path / "run", "train"):
        for name, value in expected["losses"][str(line["step"])].items():
            assert line[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_another_training_starts_from_it(stored):
    detector = build_detector(configs.load(OLDER / "config.yaml"), 2)
    said = init_from(detector, ["red", "green"], OLDER)
    np.testing.assert_array_equal(
        detector.named_variables()["head/locnet/rows/bias"][: 3 * 6],
        stored["ema/locnet/locnet_rows/bias"][: 3 * 6],
    )
    assert "0 new" in said[0] and "  classes known: red" in said
