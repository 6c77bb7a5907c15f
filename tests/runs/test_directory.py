"""The files of a run: where they are, what may be replaced, and whose folders are left alone."""

import json

import pytest

from lhrcnn import config as configs
from lhrcnn.errors import CheckpointError, OutputError, RunError
from lhrcnn.files import split_name
from lhrcnn.runs.directory import RUN_FILES, RunDirectory

CONFIG = configs.load()


def started(folder, config=CONFIG):
    run = RunDirectory(folder)
    run.start(config, ["a", "b"], [3, 7])
    return run


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_is_read_and_may_be_written_again(tmp_path):
    run = started(tmp_path / "run")
    assert run.config() == CONFIG and run.classes() == (["a", "b"], [3, 7]) and run.exists
    other = configs.changed(CONFIG, {"train.seed": 4})
    assert started(tmp_path / "run", other).config(["train.epochs=3"]).train.seed == 4
    assert run.data() is None
    run.write_data({"digest": "x"})
    run.write_data({"digest": "y"})
    assert run.data() == {"digest": "y"}
    assert run.stage(2).summary() is None
    started(tmp_path / "run" / "stage_2").finish({"steps": 3})
    assert run.stage(2).summary() == {"steps": 3} and started(tmp_path / "run").exists


@pytest.mark.parametrize("name", ["photo.jpg", "classes.json", "metrics.jsonl", "stage_one/a.txt"])
def test_a_folder_of_somebody_is_refused_and_left_as_it_is(tmp_path, name):
    path = tmp_path / "folder" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    (tmp_path / "folder" / "config.yaml").write_text("train: {seed: 3}")
    before = content(tmp_path)
    with pytest.raises(OutputError, match="give another --run_dir"):
        started(tmp_path / "folder")
    assert content(tmp_path) == before


def test_a_log_that_a_shell_writes_there_is_no_obstacle(tmp_path):
    (tmp_path / "log.txt").write_text("line\n")
    assert started(tmp_path).exists and (tmp_path / "log.txt").read_text() == "line\n"


def test_a_config_of_the_user_is_kept_where_it_says_the_same(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("# mine\ntrain: {seed: 3}")
    with pytest.raises(OutputError, match="config.yaml"):
        started(tmp_path)
    started(tmp_path, configs.changed(CONFIG, {"train.seed": 3}))
    assert path.read_text().startswith("# mine") and RunDirectory(tmp_path).exists


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(RunError, match="nothing: not a run directory: no such folder; give the"):
        RunDirectory(tmp_path / "nothing").require(*RUN_FILES)
    with pytest.raises(RunError, match="no config.yaml and no classes.json in it"):
        RunDirectory(tmp_path).require(*RUN_FILES)
    assert not list(tmp_path.iterdir())
    (tmp_path / "step_00000001.npz").write_text("")
    with pytest.raises(RunError, match="npz: not a run directory: it is a file; give"):
        RunDirectory(tmp_path / "step_00000001.npz").require(*RUN_FILES)


@pytest.mark.parametrize("text", ["[1", '{"names": ["a"], "category_ids": []}', '{"names": []}'])
def test_unreadable_classes_are_named(tmp_path, text):
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(CheckpointError, match="classes.json: "):
        RunDirectory(tmp_path).classes()


def test_files_of_different_splits_have_different_names(tmp_path):
    splits = ["train/_annotations.coco.json", "valid/_annotations.coco.json", "val"]
    splits += ["VOC2007/test", "annotations/instances_val.json", "instances_val.json"]
    assert len({RunDirectory(tmp_path).evaluation(split) for split in splits}) == len(splits)
    assert split_name("VOC2007/test") == "VOC2007_test"
    assert RunDirectory("run").evaluation("val", "localisation").name == "val_localisation.json"


def test_evaluations_are_found_without_their_detections(tmp_path):
    run = RunDirectory(tmp_path)
    path = run.evaluation("VOC2007/test")
    path.parent.mkdir()
    path.write_text('{"data": "x"}')
    path.with_name(f"{path.stem}_detections.json").write_text("[]")
    for number, damaged in enumerate(['{"data": "x"', "[1]", "{}", ""]):
        path.with_name(f"damaged_{number}.json").write_text(damaged)
    assert run.evaluations() == {"VOC2007_test.json": {"data": "x"}}


def test_classes_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    run = started(tmp_path)
    monkeypatch.setattr(json, "dumps", lambda *_, **__: b"")  # is no text: fails halfway
    with pytest.raises(TypeError):
        run.start(CONFIG, ["c"], [1])
    assert run.classes() == (["a", "b"], [3, 7])
    assert not list(tmp_path.glob("*.partial"))
