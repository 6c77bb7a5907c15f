"""What a part outside the package has to work in: train, eval, predict, export and from_run."""

import json
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image
from training.tiny_run import OPTIONS, make_coco

from lhrcnn import cli
from lhrcnn.data.readers import READERS
from lhrcnn.data.transforms import TRANSFORMS
from lhrcnn.evaluation.metrics import METRICS
from lhrcnn.inference.predictor import Detector
from lhrcnn.models.backbones import BACKBONES
from lhrcnn.models.extractors import EXTRACTORS
from lhrcnn.models.heads import HEADS
from lhrcnn.training import OPTIMIZERS, SCHEDULES

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
DICTS = (BACKBONES, EXTRACTORS, HEADS, METRICS, OPTIMIZERS, READERS, SCHEDULES, TRANSFORMS)


@pytest.fixture(autouse=True)
def dicts_as_before():
    """Afterwards the dicts are what they were: other tests compare them with the docs."""
    before, modules = [dict(entries) for entries in DICTS], set(sys.modules)
    yield
    for entries, own in zip(DICTS, before):
        entries.clear()
        entries.update(own)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(EXAMPLES)):
            del sys.modules[name]


@pytest.fixture
def work_with(tmp_path, monkeypatch):
    """A function (example's file, options) -> the Detector of a run that all commands worked on.

    prepare(folder) may rewrite the COCO folder that they work with."""
    monkeypatch.chdir(tmp_path)

    def work(example, *overrides, prepare=lambda folder: None):
        make_coco(tmp_path / "data", num_train=4, num_val=2)
        prepare(tmp_path / "data")
        config = {"plugins": [str(EXAMPLES / example)]}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
        options = [*OPTIONS, "model.backbone.name=small", "train.max_steps=2", *overrides]
        sets = [word for option in options for word in ("--set", option)]
        lhrcnn("train", "--config=mine.yaml", "--data_dir=data", "--run_dir=run", *sets)
        lhrcnn("eval", "--run_dir=run", "--split=val")
        scores = json.loads((tmp_path / "run" / "eval" / "val.json").read_text())
        assert 0 <= scores["coco"]["AP"] <= 1 and scores["step"] == 2
        photo = next((tmp_path / "data" / "val").rglob("val_0.png"))
        lhrcnn("predict", "--run_dir=run", "--output=found", "--score_threshold=0", str(photo))
        lhrcnn("export", "--run_dir=run", "--output=exported")
        found = json.loads((tmp_path / "found" / "detections.json").read_text())["annotations"]
        pixels = np.asarray(Image.open(photo))
        served = tf.saved_model.load(str(tmp_path / "exported")).signatures["image_tensor"](
            image_tensor=tf.constant(pixels[None])
        )
        assert len(found) == served["num_detections"][0] > 0
        scores = [one["score"] for one in found]
        np.testing.assert_allclose(served["scores"][0, : len(found)], scores, atol=1e-4)
        return Detector.from_run(tmp_path / "run")

    return work


def lhrcnn(*arguments):
    """Runs a command line in this process."""
    assert cli.main(arguments) == 0, arguments
