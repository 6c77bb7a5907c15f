"""The models that come with the package: whole, small, and as good as they say."""

import json

import pytest
from inference.conftest import draw_image

import lhrcnn
from lhrcnn import config as configs
from lhrcnn.data.datasets import open_dataset
from lhrcnn.evaluation.detect import evaluate
from lhrcnn.evaluation.shards import share_of
from lhrcnn.inference.predictor import load_run
from lhrcnn.runs import checkpoints, zoo


def test_the_default_model_is_there():
    assert zoo.DEFAULT in zoo.names()


def test_all_together_are_small_and_one_is_smaller():
    sizes = [file.stat().st_size for file in zoo.FOLDER.glob("*/checkpoints/*.npz")]
    assert min(sizes) <= 8e6 and sum(sizes) <= 60e6


@pytest.mark.parametrize("name", zoo.names())
def test_a_model_is_whole_and_small(name):
    folder = zoo.FOLDER / name
    (path,) = folder.glob("checkpoints/*.npz")
    assert path.stat().st_size <= 30e6
    (entry,) = json.loads((folder / "checkpoints" / "index.json").read_text())["files"]
    assert len(entry["sha256"]) == 64 and checkpoints.read(path, entry["sha256"])
    config = configs.load(folder / "config.yaml")
    assert not config.data.dir.startswith("/") and not config.data.cache_dir
    (scores,) = [entry.scores for entry in zoo.entries() if entry.name == name]
    assert any(config.data.test_split in score for score in scores)
    assert "were trained on" in (folder / "NOTICE.txt").read_text(encoding="utf-8"), (
        "where the weights come from, and on what terms"
    )


def test_the_default_model_finds_nothing_outside_a_image():
    found = lhrcnn.Detector.from_pretrained().predict(draw_image(90, 160))
    assert len(found) and found.boxes.min() >= 0 and (found.boxes <= [90, 160, 90, 160]).all()
    assert set(found.names) <= set(
        json.loads((zoo.FOLDER / zoo.DEFAULT / "classes.json").read_text())["names"]
    )


def test_the_default_model_is_about_as_good_as_it_says_in_some_images(shared):
    run = load_run(
        zoo.DEFAULT,
        overrides=[
            f"data.dir={shared / 'data' / 'voc2007_192' / 'VOCdevkit'}",
            "eval.metrics=[voc07]",
        ],
    )
    dataset = open_dataset(run.config.data, run.config.data.test_split)
    metrics, _ = evaluate(run.model, share_of(dataset, 1, 36), run.config)
    stated = json.loads((zoo.FOLDER / zoo.DEFAULT / "eval" / "VOC2007_test.json").read_text())
    # Every 36th image scores more than all do: both numbers are measured, and go together.
    assert stated["voc07"]["mAP"] == pytest.approx(0.711, abs=5e-4)
    assert metrics["voc07"]["mAP"] == pytest.approx(0.785, abs=0.02)
