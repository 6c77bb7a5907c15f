"""A run directory as training writes it: a tiny detector with random, but decided, weights."""

import json

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn import config
from lhrcnn.inference.export.write import export
from lhrcnn.keras import keras
from lhrcnn.models import build
from lhrcnn.runs import checkpoints, state

TINY = [
    "data.short_side=[64]",
    "data.long_side=128",
    "data.pad_multiple=16",
    "model.backbone.name=small",
    "model.backbone.width=0.25",
    "model.rpn.channels=16",
    "model.rpn.anchor_scales=[16, 32]",
    "model.rpn.pre_nms_test=50",
    "model.rpn.post_nms_test=12",
    "model.head.mid_channels=4",
    "model.head.fc_channels=16",
    "model.postprocess.max_detections=8",
    "train.precision=float32",
]
NAMES = ["circle", "größe Ω", "hot dog"]


def make_run(folder, overrides=(), seed=0):
    """Writes config.yaml, classes.json and one checkpoint; the weights of the last layers are large
    enough that scores differ."""
    keras.utils.set_random_seed(seed)
    settings = config.load(overrides=[*TINY, *overrides])
    model = build.build_detector(settings, len(NAMES))
    rng = np.random.default_rng(seed)
    arrays = {
        name: value + rng.normal(0, 0.05, value.shape).astype(value.dtype)
        if value.ndim > 1
        else value
        for name, value in state.model_arrays(model).items()
    }
    (folder / "checkpoints").mkdir(parents=True)
    config.save(settings, folder / "config.yaml")
    (folder / "classes.json").write_text(
        json.dumps({"names": NAMES, "category_ids": [3, 5, 17]}), encoding="utf-8"
    )
    checkpoints.CheckpointStore(folder).save(arrays, {"step": 7})
    return folder


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def saved(run_dir, tmp_path_factory):
    """The SavedModel of `run_dir`."""
    return export(run_dir, tmp_path_factory.mktemp("exports") / "new" / "saved")


def draw_image(height, width, seed=0):
    """A uint8 image [height, width, 3] of smooth colours with a bright rectangle."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, [5, 7, 3]).astype(np.float32)
    image = (
        tf.image.resize(coarse, [height, width], "bicubic").numpy().clip(0, 255).astype(np.uint8)
    )
    image[height // 4 : height // 2 + 1, width // 3 : 2 * width // 3 + 1] = rng.integers(0, 256, 3)
    return image
