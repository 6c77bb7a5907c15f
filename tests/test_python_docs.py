"""The blocks of docs/python.md run one after another, on a tiny data set."""

import pathlib
import re

import pytest
from training.tiny_run import make_coco

import lhrcnn

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_a_training_takes_at_most_twenty_lines():
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 20


@pytest.mark.slow
def test_blocks_run_as_they_stand(tmp_path, monkeypatch, capsys):
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
