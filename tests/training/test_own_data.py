"""`lhrcnn train --data_dir` alone: where it starts, and that it trains with what is derived."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import lhrcnn
from lhrcnn import cli
from lhrcnn import config as configs
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.errors import ConfigError
from lhrcnn.evaluation.detections import Detections
from lhrcnn.runs import zoo
from lhrcnn.training import derive, own_data, pace


@pytest.fixture
def folder(tmp_path):
    """Ten images with VOC files in one folder, without lists."""
    for number in range(10):
        Image.fromarray(np.full([90, 120, 3], number, np.uint8)).save(tmp_path / f"{number}.jpg")
        (tmp_path / f"{number}.xml").write_text(
            f"<annotation><filename>{number}.jpg</filename><size><width>120</width><height>90"
            "</height><depth>3</depth></size><object><name>thing</name><bndbox><xmin>11</xmin>"
            "<ymin>11</ymin><xmax>60</xmax><ymax>70</ymax></bndbox></object></annotation>"
        )
    return tmp_path


def test_train_with_a_data_folder_alone(folder, tmp_path, monkeypatch, capsys):
    seen = {}

    def train(config, run_dir, resume, **others):
        seen.update(config=config)
        return {"steps": 1, "total_steps": 1, "interrupted": False, "best_score": None,
                "run_dir": run_dir, "best_checkpoint": None, "checkpoint": None}  # fmt: skip

    monkeypatch.setattr("lhrcnn.training.stages.train", train)
    monkeypatch.setattr(pace, "measure", lambda config, dataset: pace.Pace(10, 0.5, 0.1))
    words = ["train", "--data_dir", str(folder), "--run_dir", str(tmp_path / "run")]
    assert cli.main([*words, "--set", "train.epochs=2", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    config = seen["config"]
    assert "derived from the data" in out and "model.rpn.anchor_scales: [" in out
    assert "time: about 1 min here: 4 steps of 0.50 s" in out
    assert (config.data.format, config.data.train_split) == ("auto", "train")
    assert config.train.epochs == 2 and config.train.seed == 5 and config.data.short_side == [288]
    assert config.train.init_from == zoo.START and "0% of the objects are found" in out
    assert cli.main([*words, "--set", "train.epoch=2"]) == 2
    assert cli.main([*words, "--config", "light_head_mobilenet_v2_bccd"]) == 0
    assert "derived" not in capsys.readouterr().out
    assert cli.main([*words, "--minutes", "2"]) == 0
    fitting = pace.Pace(10, 0.5, 0.1).steps(120, derive.EVALUATIONS * 2)  # two images validate
    assert seen["config"].train.epochs == math.ceil(fitting / 2)  # of two steps each
    assert cli.main([*words, "--config", "light_head_mobilenet_v2_bccd", "--minutes", "2"]) == 2


def test_the_same_command_starts_from_the_same_weights_before_there_is_a_checkpoint(
    folder, tmp_path, monkeypatch
):
    """A run stopped before its first checkpoint has a config, and still needs the shipped model."""
    started = []

    def train(config, run_dir, resume, **others):
        started.append(config)
        run_dir.mkdir(exist_ok=True)
        configs.save(config, run_dir / "config.yaml")
        return {"steps": 0, "total_steps": 1, "interrupted": True, "best_score": None,
                "run_dir": run_dir, "best_checkpoint": None, "checkpoint": None}  # fmt: skip

    monkeypatch.setattr("lhrcnn.training.stages.train", train)
    monkeypatch.setattr(pace, "measure", lambda config, dataset: pace.Pace(10, 0.5, 0.1))
    words = ["train", "--data_dir", str(folder), "--run_dir", str(tmp_path / "run"), "--seed", "5"]
    assert cli.main(words) == cli.main(words) == 0
    assert started[0] == started[1] and started[1].train.init_from == zoo.START
    assert started[1].train.seed == 5


@pytest.mark.parametrize("share, start", [(0.6, zoo.DEFAULT), (0.4, zoo.START)])
def test_the_start_is_the_better_model_where_objects_are_known(
    share, start, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(own_data, "share_found", lambda run, dataset: share)
    monkeypatch.setattr(pace, "measure", lambda config, dataset: pace.Pace(10, 0.5, 0.1))
    config = own_data.config_for({"data.dir": str(folder)}, tmp_path / "run")
    assert config.train.init_from == start and config.data.dir == str(folder)
    named = {"data.dir": str(folder), "train.init_from": "light_head_mobilenet_v2_voc07_144"}
    config = own_data.config_for(named, tmp_path / "run")
    assert config.train.init_from == named["train.init_from"]
    assert config.train.learning_rate == (0.015 if share == 0.6 else 0.03)


def test_a_share_is_that_of_the_objects_with_a_box_of_any_class(monkeypatch):
    """Two images: both objects of the first are found, one by a box too weak to count; the ignored
    one of the second does not count, the other is missed by too small a box."""

    def record(image_id, boxes, ignore):
        boxes = np.array(boxes, np.float32)
        zeros = np.zeros(len(boxes), np.int32)
        return Record(image_id, "", 100, 100, boxes, zeros, np.array(ignore), boxes[:, 0])

    records = [
        record(0, [[0, 0, 40, 40], [50, 50, 90, 90]], [False, False]),
        record(1, [[0, 0, 40, 40], [50, 50, 90, 90]], [False, True]),
    ]
    found = Detections(
        np.array([0, 0, 1, 1]),
        np.array([[0, 0, 40, 30], [50, 50, 90, 90], [0, 0, 19, 40], [50, 50, 90, 90]], np.float32),
        np.array([0.2, 0.05, 0.9, 0.9]),
        np.array([7, 7, 0, 0]),
    )
    monkeypatch.setattr(own_data, "detect_dataset", lambda *arguments, **options: found)
    run = SimpleNamespace(model=None, config=None)
    assert own_data.share_found(run, Dataset("", records, ["thing"], [1])) == 1 / 3


def test_from_python(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("lhrcnn.training.stages.train", lambda config, *others: config)
    monkeypatch.setattr(pace, "measure", lambda config, dataset: pace.Pace(10, 0.5, 0.1))
    config = lhrcnn.train({"train.epochs": 7}, folder, tmp_path / "run")
    assert (config.data.format, config.data.dir) == ("auto", str(folder))
    assert config.train.epochs == 7 and config.train.init_from == zoo.START
    with pytest.raises(ConfigError, match="data: None; name the folder"):
        lhrcnn.train(run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match="minutes: for a derived config"):
        lhrcnn.train(configs.Config(), folder, minutes=2)
    assert len(lhrcnn.open_dataset(folder).records) == 8  # of 10; the rest is drawn to validate
