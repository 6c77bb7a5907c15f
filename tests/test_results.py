"""What is kept of a run."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from lhrcnn import config as configs
from lhrcnn.config.load import RENAMED

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "path", sorted((ROOT / "results").rglob("config.yaml")), ids=lambda path: path.parent.name
)
def test_kept_configs_are_read_and_name_no_folder_of_a_machine(path):
    config = configs.load(path)
    assert not pathlib.Path(config.data.dir).is_absolute() and not config.data.cache_dir
    for line in (path.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["phase"] in ("start", "train", "validation")


@pytest.mark.parametrize("old", RENAMED)
def test_no_kept_or_shipped_config_has_an_option_under_its_old_name(old):
    for folder in ("configs", "results", "lhrcnn/zoo"):
        for path in (ROOT / folder).rglob("*.yaml"):
            key = rf"\b{old.rsplit('.', 1)[-1]}:"
            assert not re.search(key, path.read_text(encoding="utf-8")), path


def test_a_run_is_kept_in_short(tmp_path):
    run_dir = tmp_path / "run"
    (run_dir / "eval").mkdir(parents=True)
    config = configs.load(
        None,
        [
            "data.dir=/somewhere/else/pets",
            "data.cache_dir=/cache",
            "train.epochs=2",
            "model.rpn.channels=64",
        ],
    )
    configs.save(config, run_dir / "config.yaml")
    (run_dir / "classes.json").write_text('{"names": ["cat"], "category_ids": [1]}')
    lines = [
        {"step": 0, "epoch": 0.0, "phase": "start", "init_from": "/somewhere/cats"},
        *(
            {"step": step, "epoch": step / 4, "phase": "train", "loss": 1 / (3 * step)}
            for step in range(1, 9)
        ),
        {"step": 8, "epoch": 2.0, "phase": "validation", "AP": None},
    ]
    (run_dir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run_dir / "eval" / "val.json").write_text(
        json.dumps({"run_dir": str(run_dir), "data": "/somewhere/else/pets val", "AP": 0.5})
    )
    (run_dir / "eval" / "val_detections.json").write_text("[]")
    script = tmp_path / "results" / "collect.py"
    script.parent.mkdir()
    script.write_text((ROOT / "results" / "collect.py").read_text())
    subprocess.run(
        [sys.executable, script, run_dir, "pets/short"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    kept = script.parent / "pets" / "short"
    assert yaml.safe_load((kept / "config.yaml").read_text()) == {
        "data": {"dir": "pets"},
        "model": {"rpn": {"channels": 64}},
        "train": {"epochs": 2},
    }
    kept_lines = [json.loads(line) for line in (kept / "metrics.jsonl").read_text().splitlines()]
    assert kept_lines[0]["init_from"] == "cats"
    steps = [(line["phase"], line["step"]) for line in kept_lines]
    assert steps == [("start", 0), ("train", 4), ("train", 8), ("validation", 8)]
    assert json.loads((kept / "eval" / "val.json").read_text()) == {
        "run_dir": "pets/short",
        "data": "pets val",
        "AP": 0.5,
    }
    assert [path.name for path in (kept / "eval").iterdir()] == ["val.json"]
