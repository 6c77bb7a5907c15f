"""Pretrained models: small run directories, found by name."""

import json
import shutil

import numpy as np
import pytest
from inference.conftest import NAMES, draw_image
from PIL import Image

import lhrcnn
from lhrcnn import cli
from lhrcnn import config as configs
from lhrcnn.errors import CheckpointError
from lhrcnn.runs import checkpoints, state, zoo
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.runs.fine_tune import read_run
from lhrcnn.runs.pack import pack


@pytest.fixture(scope="module")
def packed(run_dir, tmp_path_factory):
    """A folder of pretrained models with one of them, "tiny"."""
    folder = tmp_path_factory.mktemp("zoo")
    pack(run_dir, folder / "tiny")
    return folder


@pytest.fixture(autouse=True)
def package(packed, monkeypatch):
    monkeypatch.setattr(zoo, "FOLDER", packed)
    monkeypatch.setattr(zoo, "DEFAULT", "tiny")


def test_a_packed_run_is_small_and_detects_the_same(packed, run_dir):
    arrays, meta = checkpoints.CheckpointStore(packed / "tiny").load()
    assert meta["step"] == 7 and {name.split("/")[0] for name in arrays} == {"model"}
    assert {array.dtype for array in arrays.values() if array.ndim > 1} == {np.dtype(np.float16)}
    assert {array.dtype for array in arrays.values() if array.ndim == 1} == {np.dtype(np.float32)}
    found, expected = (
        lhrcnn.Detector.from_run(folder).predict(draw_image(50, 80))
        for folder in (packed / "tiny", run_dir)
    )
    np.testing.assert_allclose(found.scores, expected.scores, atol=5e-3)
    averaged = read_run(run_dir)
    for name, array in state.weights_of(arrays).items():
        np.testing.assert_allclose(array, averaged[name], rtol=1e-3, atol=1e-7, err_msg=name)


def test_a_packed_run_names_no_folder_of_this_machine(run_dir, tmp_path):
    paths = {
        "data.dir": "/home/someone/VOCdevkit",
        "data.cache_dir": "/home/someone/cache",
        "data.proposals": "/home/someone/proposals_3",
        "data.train_split": "/home/someone/train.json",
        "data.val_split": "VOC2007/val",
        "model.backbone.weights": "/home/someone/vgg16.npz",
        "train.stages": [{"train.part": "head", "data.proposals": "/home/someone/proposals_1"}],
    }
    config = configs.load(run_dir / "config.yaml", paths)
    source = shutil.copytree(run_dir, tmp_path / "source")
    configs.save(config, source / "config.yaml")
    data = {"name": "/home/someone/VOCdevkit VOC2007/trainval", "images": 1, "digest": "0"}
    RunDirectory(source).write_data(data)
    pack(source, tmp_path / "packed")
    expected = {**data, "name": "VOCdevkit VOC2007/trainval"}
    assert RunDirectory(tmp_path / "packed").data() == expected
    packed = configs.load(tmp_path / "packed" / "config.yaml")
    assert (packed.data.dir, packed.data.cache_dir) == ("VOCdevkit", "")
    last_parts = {
        "data.dir": "VOCdevkit",
        "data.cache_dir": "",
        "data.proposals": "proposals_3",
        "data.train_split": "train.json",
        "model.backbone.weights": "vgg16.npz",
        "train.stages": [{"train.part": "head", "data.proposals": "proposals_1"}],
    }
    assert packed == configs.changed(config, last_parts)


def test_a_name_stands_for_a_run_directory(packed):
    by_name = lhrcnn.Detector.from_pretrained("tiny").predict(draw_image(50, 80))
    by_folder = lhrcnn.Detector.from_run(packed / "tiny").predict(draw_image(50, 80))
    np.testing.assert_array_equal(by_name.boxes, by_folder.boxes)
    assert read_run("tiny").keys() == read_run(packed / "tiny").keys()


def test_a_run_directory_goes_before_a_name(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny" / "eval").mkdir(parents=True)  # as an evaluation of the model makes it
    assert zoo.find_run("tiny").folder == packed / "tiny"
    assert zoo.find_run("tiny/").folder == packed / "tiny"
    (tmp_path / "tiny" / "config.yaml").write_text("{}")
    assert zoo.find_run("tiny").folder.resolve() == tmp_path / "tiny"


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(FileNotFoundError, match="no such folder.*pretrained model: tiny"):
        lhrcnn.Detector.from_pretrained("tyni")


def test_damaged_weights_are_refused(packed, run_dir, monkeypatch, tmp_path):
    path = pack(run_dir, tmp_path / "broken")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match="sha256"):
        lhrcnn.Detector.from_pretrained("broken")


def test_commands(packed, run_dir, tmp_path, capsys):
    assert cli.main(["pack", f"--run_dir={run_dir}", f"--output={tmp_path / 'small'}"]) == 0
    assert cli.main(["pack", f"--run_dir={run_dir}", f"--output={tmp_path / 'small'}"]) == 1
    assert "already holds checkpoints" in capsys.readouterr().err
    evaluation = packed / "tiny" / "eval" / "VOC2007_test.json"
    evaluation.parent.mkdir()
    evaluation.write_text(json.dumps({"data": "VOC2007/test", "voc07": {"mAP": 0.61234}}))
    assert cli.main(["zoo"]) == 0
    printed = capsys.readouterr().out
    assert (
        printed.startswith("In the package:\n  tiny  ")
        and f"{len(NAMES)} classes: {', '.join(NAMES)}" in printed
        and "VOC2007/test: voc07 mAP 0.612" in printed
    )


def test_predict_takes_the_default_model(tmp_path, capsys):
    Image.fromarray(draw_image(50, 80)).save(tmp_path / "photo.png")
    assert (
        cli.main(
            [
                "predict",
                str(tmp_path / "photo.png"),
                f"--output={tmp_path / 'out'}",
                "--score_threshold=0",
            ]
        )
        == 0
    )
    assert "1 images" in capsys.readouterr().out and (tmp_path / "out" / "photo.jpg").is_file()


def test_predict_asks_for_a_run_where_the_default_model_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr(zoo, "DEFAULT", "huge")
    assert cli.main(["predict", "photo.jpg"]) == 2
    assert "--run_dir is missing" in capsys.readouterr().err
