"""A run made with a plugin is evaluated, used and exported with it, from another folder."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from tiny import TINY_RUN

from lhrcnn.data.tools.shapes import make_shapes

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = '''
"""A metric, a transform, a form of files, and what stays of boxes of several tiles."""
from lhrcnn.data.transforms import TRANSFORMS
from lhrcnn.evaluation.metrics import METRICS, Metric
from lhrcnn.inference import MERGES, SAVES


def number(dataset, detections, options):
    return {"found": float(len(detections)), "images": float(len(dataset.records))}


def inverted(data_config):
    return lambda batch, seed: {**batch, "image": 255 - batch["image"]}


def written(found, classes, output):
    return output.write("found.txt", str(len(found)))


SAVES["own"], MERGES["all"] = written, lambda boxes, scores, iou: (boxes, scores)
METRICS["number"] = Metric("how many detections there are", number, main="images")
TRANSFORMS["inverted"] = inverted
'''
USE = """
import lhrcnn
from lhrcnn import cli
run = ["--run_dir", {run!r}]
assert cli.main(["eval", *run]) == 0
own = ["--save", "own", "--tiles", "64", "--tile_merge", "all"]
assert cli.main(["predict", {image!r}, *run, "--output", "seen", *own]) == 0
assert open("seen/found.txt").read() == "1"
assert cli.main(["export", *run, "--output", "exported"]) == 0
detector = lhrcnn.Detector.from_run({run!r})
assert detector.config.eval.metrics == ["number"] and len(detector.class_names) == 4
"""
MOVED = """
import pathlib
from lhrcnn import cli
pathlib.Path({old!r}).rename({new!r})
run = ["eval", "--run_dir", {run!r}]
assert cli.main(run) == 2
assert cli.main([*run, "--set", "plugins=[{new}]"]) == 0
"""


def python(arguments, folder):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_run_with_a_plugin_is_used_from_another_folder(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    make_shapes(tmp_path / "shapes", num_train=4, num_val=2)
    (tmp_path / "here" / "own.py").write_text(PLUGIN)
    (tmp_path / "here" / "own.yaml").write_text(
        "plugins: [own.py]\ndata: {transforms: [inverted]}\neval: {metrics: [number]}\n"
    )
    overrides = [*TINY_RUN, f"data.dir={tmp_path / 'shapes'}", "train.max_steps=1"]
    words = [word for override in overrides for word in ("--set", override)]
    trained = python(
        ["-m", "lhrcnn", "train", "--config", "here/own.yaml", "--run_dir", "run", *words], tmp_path
    )
    assert trained.returncode == 0, trained.stderr
    assert "number/images 2.000 at step 1" in trained.stdout
    run, image = tmp_path / "run", tmp_path / "shapes" / "val" / "000001.jpg"
    used = python(["-c", USE.format(run=str(run), image=str(image))], tmp_path / "there")
    assert used.returncode == 0, used.stderr + used.stdout
    assert json.loads((run / "eval" / "val.json").read_text())["number"]["images"] == 2
    assert (tmp_path / "there" / "exported" / "saved_model.pb").is_file()

    old, new = (str(tmp_path / "here" / name) for name in ("own.py", "other.py"))
    moved = python(["-c", MOVED.format(run=str(run), old=old, new=new)], tmp_path / "there")
    assert moved.returncode == 0, moved.stderr
    assert "'plugins'" in moved.stderr and "own.py" in moved.stderr
    assert "Traceback" not in moved.stderr
