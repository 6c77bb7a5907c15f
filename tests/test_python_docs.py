"""The blocks of docs/python.md run one after another, on a tiny data set."""

import pathlib
import re

import pytest
from inference.conftest import TINY, make_run
from training.tiny_run import make_coco

import lhrcnn
from lhrcnn import api
from lhrcnn.models.build import build_detector
from lhrcnn.runs import zoo
from lhrcnn.runs.fine_tune import init_from

SMALL = [*TINY, "model.backbone.name=small"]
CONFIG, MODEL = "light_head_mobilenet_v2_bccd", "light_head_mobilenet_v2_voc07_144"
PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_a_training_takes_at_most_twenty_lines():
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 20


@pytest.fixture
def small_models(tmp_path, monkeypatch):
    """What the page names is small: every config, and the pretrained model."""

    def load(name, changes=(), own=api.load_config):
        return own(name, [*SMALL, *api._listed(changes)])

    monkeypatch.setattr(api, "load_config", load)
    make_run(tmp_path / "zoo" / MODEL, SMALL)
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "zoo")


@pytest.mark.slow
def test_blocks_run_as_they_stand(small_models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(lhrcnn.SCHEDULES, "constant", None)  # so that it is taken out again
    photo = make_coco(tmp_path / "fruit", num_train=4) / "val" / "val_0.png"
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    names = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"block {number}", "exec"), names)  # our own page
    assert names["summary"]["best_metric"] == "coco/AP" and 0 <= names["summary"]["best_score"] <= 1
    assert list(names["losses"].by_step) == [1, 2] and names["losses"].by_step[1] > 0
    assert (tmp_path / "fruit_model" / "saved_model.pb").is_file()
    assert set(names["dataset"].class_names) == {"red", "blue"}
    assert (tmp_path / "runs" / "fruit" / "eval" / "val.json").is_file()
    assert "'train.epoch'" in capsys.readouterr().out


def test_the_model_that_the_page_starts_from_fits_its_config():
    assert f'"{CONFIG}"' in BLOCKS[0] and f'init_from="{MODEL}"' in BLOCKS[0]
    detector = build_detector(lhrcnn.load_config(CONFIG), 3)
    said = "\n".join(init_from(detector, ["red", "blue", "green"], MODEL))
    assert "variables reused" in said and "backbone/" not in said, said
