"""Alternating training of a tiny detector: stages, what lies between them, stopping and going on,
and the run directory that comes out."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
from training.tiny_run import arrays_of, tiny_config

from lhrcnn import cli
from lhrcnn import config as configs
from lhrcnn.data.proposals import open_proposals
from lhrcnn.errors import ConfigError, DataError, TrainingError
from lhrcnn.inference.predictor import Detector, load_run
from lhrcnn.models.heads import box_targets
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.runs.state import weights_of
from lhrcnn.training import callbacks, stages

pytestmark = pytest.mark.slow

FOUR = (
    "{train.part: rpn, train.max_steps: 2}, "
    "{start: pretrained, train.part: head, train.max_steps: 3}, "
    "{train.part: rpn, model.backbone.frozen_stages: 99}, "
    "{train.part: head, model.backbone.frozen_stages: 99}"
)
VGG = [
    "model.backbone.name=vgg16",
    "model.backbone.width=0.03125",
    "model.rpn.levels=[c5]",
    "train.max_steps=1",
    "train.ema_decay=0",
    "eval.metrics=[voc07]",
]


def tiny_stages(data, text=FOUR, *overrides):
    return tiny_config(data, *VGG, f"train.stages=[{text}]", *overrides)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Run directory and summary of four stages without an interruption."""
    run_dir = tmp_path_factory.mktemp("stages") / "run"
    return run_dir, stages.train(tiny_stages(data), run_dir)


def weights(folder, prefix=""):
    arrays = weights_of(arrays_of(folder), prefer_ema=False)
    return {name: array for name, array in arrays.items() if name.startswith(prefix)}


def same(first, second):
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_each_stage_changes_its_part_and_starts_where_it_should(whole):
    run_dir, summary = whole
    assert (summary["stage"], summary["steps"], summary["run_dir"]) == ("4 of 4", 1, str(run_dir))
    first, second, third, fourth = (run_dir / f"stage_{number}" for number in (1, 2, 3, 4))
    assert not same(weights(first, "backbone/"), weights(second, "backbone/"))
    for part in ("backbone/", "head/"):
        assert same(weights(second, part), weights(third, part))
    for part in ("backbone/", "rpn/"):
        assert same(weights(third, part), weights(fourth, part))
    assert not same(weights(second, "rpn/"), weights(third, "rpn/"))
    assert not same(weights(third, "head/"), weights(fourth, "head/"))
    assert same(weights(run_dir), weights(fourth))
    files = ("proposals_1", "train"), ("proposals_1", "val"), ("proposals_3", "train")
    made = [open_proposals(run_dir / folder, split, []) for folder, split in files]
    one, of_val, three = (each.fingerprint for each in made)
    assert one == of_val != three
    used = [
        CheckpointStore(stage).load()[1]["proposals"] for stage in (first, second, third, fourth)
    ]
    assert used == [None, one, None, three]
    assert CheckpointStore(second).best() and not CheckpointStore(first).best()


def test_run_directory_evaluates_with_its_own_rpn(whole, capsys):
    run_dir, summary = whole
    config = configs.load(run_dir / "config.yaml")
    assert config.data.proposals == "" and not (run_dir / "evaluation.txt").exists()
    assert cli.main(["eval", "--run_dir", str(run_dir), "--split", "val"]) == 0
    score = json.loads((run_dir / "eval" / "val.json").read_text())["voc07"]["mAP"]
    assert score == pytest.approx(summary["best_score"], abs=1e-6)
    found = Detector.from_run(run_dir).predict(f"{config.data.dir}/val/val_0.png")
    assert 0 < len(found) <= config.model.postprocess.max_detections
    assert set(found.names) <= {"red", "blue"} and (np.diff(found.scores) <= 0).all()
    assert (found.boxes[:, :2] <= found.boxes[:, 2:]).all() and found.boxes.max() <= 64


def unfinish(source, target, data):
    """A copy of a run in which stage 1 is done and the file of validation proposals was being
    written."""
    shutil.copytree(source, target)
    for name in ("stage_2", "stage_3", "stage_4", "proposals_3", "checkpoints"):
        shutil.rmtree(target / name)
    (target / "proposals_1" / "val.json").unlink()
    (target / "proposals_1" / "val.npy").rename(target / "proposals_1" / "val.npy.partial")


def test_stopped_within_the_second_stage_it_ends_with_the_same_bits(
    whole, data, tmp_path, monkeypatch, capsys
):
    run_dir = tmp_path / "run"
    unfinish(whole[0], run_dir, data)

    def stop_once(self, step, report=callbacks.Progress._report):
        report(self, step)
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(callbacks.Progress, "_report", stop_once)
    summary = stages.train(tiny_stages(data), run_dir)
    assert summary["interrupted"] and summary["run_dir"] == str(run_dir)
    assert (summary["stage"], summary["steps"]) == ("2 of 4", 1)
    assert not (run_dir / "checkpoints").exists()
    shown = capsys.readouterr().out
    folder = run_dir / "proposals_1"
    assert "stage 1 of 4 is complete" in shown
    assert f"proposals of train are in {folder}" in shown
    assert f"proposals of val written to {folder}" in shown
    again = stages.train(tiny_stages(data), run_dir, resume="must")
    assert again["stage"] == "4 of 4" and "going on after step 1" in capsys.readouterr().out
    assert same(weights(run_dir), weights(whole[0]))
    assert again["best_score"] == whole[1]["best_score"]


def test_a_finished_run_is_recognised_and_another_one_refused(whole, data, capsys):
    run_dir, summary = whole
    assert stages.train(tiny_stages(data), run_dir) == summary
    assert "stage 4 of 4 is complete" in capsys.readouterr().out
    with pytest.raises(TrainingError, match="train.stages"):
        stages.train(tiny_stages(data, FOUR.replace("max_steps: 2", "max_steps: 1")), run_dir)
    with pytest.raises(TrainingError, match="train.max_steps: 1 in the run, 2 now"):
        stages.train(tiny_stages(data, FOUR, "train.max_steps=2"), run_dir)
    with pytest.raises(TrainingError, match="train.stages"):
        stages.train(tiny_config(data, *VGG), run_dir)
    with pytest.raises(TrainingError, match="--resume=never"):
        stages.train(tiny_stages(data), run_dir, resume="never")


def test_unshared_features_need_the_proposals_of_the_other_model(whole, data, tmp_path, capsys):
    run_dir = tmp_path / "run"
    for name in ("stage_1", "stage_2", "proposals_1"):
        shutil.copytree(whole[0] / name, run_dir / name)
    config = tiny_stages(data, FOUR.partition("}, {train.part: rpn, model")[0] + "}")
    configs.save(config, run_dir / "config.yaml")
    assert stages.train(config, run_dir)["stage"] == "2 of 2"
    text = (run_dir / "evaluation.txt").read_text()
    assert f"--run_dir {run_dir}/stage_1 --split SPLIT --output {run_dir}/proposals_1" in text
    assert text in capsys.readouterr().out
    assert configs.load(run_dir / "config.yaml").data.proposals == f"{run_dir}/proposals_1"
    with pytest.raises(ValueError, match="takes the proposals of known images from there"):
        Detector.from_run(run_dir)
    evaluate = ["eval", "--run_dir", str(run_dir), "--split", "val"]
    assert cli.main(evaluate) == 0
    metrics = json.loads((run_dir / "eval" / "val.json").read_text())
    assert metrics["voc07"]["mAP"] == pytest.approx(CheckpointStore(run_dir).best()[1], abs=1e-6)
    (run_dir / "proposals_1" / "val.json").unlink()
    assert cli.main(evaluate) == 1
    told = "val.json: no such file of proposals; `lhrcnn proposals --run_dir RUN --split val"
    assert told in capsys.readouterr().err
    flags = [f"--run_dir={run_dir}/stage_1", "--split=val", f"--output={run_dir}/proposals_1"]
    assert cli.main(["proposals", *flags]) == 0
    assert "up to 16 proposals for each of 3 images written" in capsys.readouterr().out
    assert len(open_proposals(run_dir / "proposals_1", "val", []).rows) == 3


def test_errors_name_the_stage_and_other_proposals_are_refused(whole, data, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(whole[0], run_dir)
    (run_dir / "stage_4" / "finished.json").unlink()
    (run_dir / "stage_3" / "checkpoints" / "index.json").unlink()
    for path in (run_dir / "stage_3" / "checkpoints").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="(?s)stage 4 of 4: no checkpoint of this run is readable"):
        stages.train(tiny_stages(data), run_dir)
    shutil.rmtree(run_dir / "stage_3")
    shutil.copytree(whole[0] / "stage_1", run_dir / "stage_3")
    with pytest.raises(
        TrainingError, match="stage 4 of 4: .* the run trains on proposals with the fingerprint"
    ):
        stages.train(tiny_stages(data), run_dir)
    with pytest.raises(DataError, match="stage 1 of 4: /nowhere"):
        stages.train(tiny_stages("/nowhere"), tmp_path / "new")


def test_measured_targets_belong_to_the_weights(data, tmp_path, monkeypatch):
    monkeypatch.setattr(box_targets, "LEAST_BOXES", 2)
    text = "{train.part: rpn}, {train.part: head}, {train.part: head}"
    run_dir = tmp_path / "run"
    options = ["model.head.target_statistics=measured", "data.val_split="]
    stages.train(tiny_stages(data, text, *options), run_dir)
    names = [f"head/targets/{name}" for name in ("mean", "std")]
    stages_weights = (weights(run_dir / stage) for stage in ("stage_2", "stage_3"))
    first, second = ([arrays[name] for name in names] for arrays in stages_weights)
    assert np.isfinite(first).all()
    assert not np.isclose(first[1], np.tile([0.1, 0.1, 0.2, 0.2], 2)).all()
    # A head that goes on keeps what its outputs are in units of.
    np.testing.assert_array_equal(first, second)
    variables = load_run(run_dir, overrides=["data.proposals="]).model.named_variables()
    np.testing.assert_array_equal([variables[name].numpy() for name in names], second)


def test_measured_targets_need_proposals(data, tmp_path):
    with pytest.raises(ConfigError, match="measured needs the proposals of 'data.proposals'"):
        stages.train(tiny_config(data, "model.head.target_statistics=measured"), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()
