"""No command replaces, changes or deletes a file that it did not write itself."""

import hashlib
import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image
from tiny import TINY_RUN

import lhrcnn
from lhrcnn import cli
from lhrcnn.data.tools import shapes
from lhrcnn.errors import OutputError


def tree(folder):
    """{path: digest} of all files below a folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    }


def lost(before, folder):
    """Paths of files that are gone or changed since `before`."""
    after = tree(folder)
    return [path for path in before if after.get(path) != before[path]]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run of one step on a data set of shapes, with its data set beside it."""
    folder = tmp_path_factory.mktemp("experiment")
    overrides = [*TINY_RUN, f"data.dir={folder / 'shapes'}", "train.max_steps=1"]
    shapes.make_shapes(folder / "shapes", num_train=4, num_val=2)
    flags = [f"--run_dir={folder / 'run'}", *(f"--set={override}" for override in overrides)]
    assert cli.main(["train", *flags]) == 0
    return folder / "run"


@pytest.fixture
def users_data(tmp_path):
    """A user's data set with the names that the embedded one has, in no format that is said."""
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for name in ("000001.jpg", "000002.jpg"):
            Image.new("RGB", [50, 40]).save(tmp_path / split / name)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "via.csv").write_text("filename,x\n")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["data", "check"],
        ["data", "browse", "--output", "{out}"],
        ["train", "--run_dir", "{out}"],
        ["train", "--run_dir", "{data}"],
    ],
)
def test_the_embedded_data_set_is_never_drawn_among_other_files(
    call, users_data, tmp_path_factory, command
):
    out, before = tmp_path_factory.mktemp("out"), tree(users_data)
    words = (word.format(out=out, data=users_data) for word in command)
    status, stdout, stderr = call(*words, "--data_dir", users_data)
    assert status == 1 and "data.format" in stdout + stderr and "Traceback" not in stderr
    assert not lost(before, users_data)


def test_data_check_writes_nothing(call, tmp_path):
    nothing, shapes = tmp_path / "nothing", ["--set", "data.format=shapes"]
    status, stdout, _ = call("data", "check", "--data_dir", nothing, *shapes)
    assert status == 1 and "make-shapes" in stdout and not nothing.exists()


@pytest.mark.parametrize("command", [["train"], ["data", "check"], ["data", "browse"]])
def test_a_data_folder_that_is_not_there_is_no_wish_for_shapes(call, tmp_path, command):
    (tmp_path / "empty").mkdir()
    for name, found in (("nothing", "no such data folder"), ("empty", "an empty data folder")):
        status, _, stderr = call(*command, "--data_dir", tmp_path / name)
        assert status == 1 and found in stderr and "make-shapes" in stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_make_shapes_draws_anew_only_what_it_drew(call, tmp_path):
    words = ["data", "make-shapes", "--output", tmp_path / "s", "--num_train", 2, "--num_val", 1]
    assert call(*words)[0] == 0 and call(*words)[0] == 0
    Image.fromarray(np.zeros([40, 50, 3], np.uint8)).save(tmp_path / "s" / "train" / "000002.jpg")
    before = tree(tmp_path)
    status, _, stderr = call(*words)
    assert status == 1 and "train/000002.jpg" in stderr and not lost(before, tmp_path)


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_predict_never_writes_over_its_images(call, run_dir, tmp_path, overwrite):
    for name in ("photo.jpg", "other.png"):
        Image.fromarray(np.full([60, 80, 3], 99, np.uint8)).save(tmp_path / name)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "photo.jpg")
    before, flags = tree(tmp_path), ["--run_dir", run_dir, "--output", tmp_path]
    for given in ("photo.jpg", "link.jpg", ""):
        status, _, stderr = call("predict", tmp_path / given, *flags, *overwrite)
        assert status == 1 and "give another --output" in stderr and tree(tmp_path) == before
    assert call("predict", tmp_path / "other.png", *flags)[0] == 0
    assert not lost(before, tmp_path)
    assert call("predict", tmp_path / "other.png", *flags)[0] == 0  # its own are replaced


def test_outputs_of_the_name_of_a_users_file_are_refused(call, run_dir, tmp_path):
    data, notes = run_dir.parent / "shapes", {"note": "mine"}
    shutil.copytree(data, tmp_path / "data")
    names = "detections.json metrics.json val_table.json classes.json speed.json sheet_001.png"
    for name in names.split():
        (tmp_path / name).write_text(json.dumps(notes))
    run, folder = ["--run_dir", run_dir], tmp_path / "data" / "annotations"
    (folder / "annotations_instances_val.json").write_text(json.dumps(notes))
    before = tree(tmp_path)
    config = ["--config", "light_head_xception_shapes"]
    split = ["--data_dir", folder.parent, "--split", "annotations/instances_val.json"]
    for words in (
        ["predict", data / "val" / "000001.jpg", *run, "--output", tmp_path],
        ["data", "browse", "--data_dir", data, "--output", tmp_path],
        ["eval", *run, "--output", tmp_path / "metrics.json"],
        ["localisation", *run, "--output", tmp_path / "val_table.json"],
        ["benchmark", *config, "--output", tmp_path / "speed.json"],
        ["pack", *run, "--output", tmp_path],
        ["train", *config, "--data_dir", data, "--run_dir", tmp_path],
        ["proposals", *run, *split, "--output", folder],
        ["data", "make-shapes", "--output", tmp_path],
        ["data", "make-text", "--images", data / "train", "--output", tmp_path],
        ["data", "voc-to-det", "--data_dir", data, "--list", "train=train", "--output", tmp_path],
    ):
        status, _, stderr = call(*words)
        assert status == 1 and str(tmp_path) in stderr and "Traceback" not in stderr, stderr
        assert not lost(before, tmp_path), words
    image = data / "val" / "000001.jpg"
    assert call("predict", image, *run, "--output", tmp_path, "--overwrite")[0] == 0
    assert [pathlib.Path(path).name for path in lost(before, tmp_path)] == ["detections.json"]


def test_an_evaluation_whose_detections_have_no_place_does_not_begin(
    run_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr("lhrcnn.evaluation.detect.evaluate", None)
    (tmp_path / "scores_detections.json").write_text("mine")
    with pytest.raises(OutputError, match="scores_detections.json: exists, and lhrcnn did not"):
        lhrcnn.evaluate(run_dir, split="val", output=tmp_path / "scores.json")


def test_a_savedmodel_with_a_users_file_in_it_is_not_replaced(call, run_dir, tmp_path):
    output = tmp_path / "export"
    (output / "variables").mkdir(parents=True)
    (output / "saved_model.pb").write_bytes(b"")
    (output / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    status, _, stderr = call("export", "--run_dir", run_dir, "--output", output, "--overwrite")
    assert status == 1 and "notes.txt" in stderr and not lost(before, tmp_path)


def test_a_config_that_a_user_put_into_a_run_directory_keeps_its_comments(call, run_dir, tmp_path):
    data = run_dir.parent / "shapes"
    config, words = tmp_path / "config.yaml", ["train", "--run_dir", tmp_path, "--data_dir", data]
    config.write_text("# mine\n" + (run_dir / "config.yaml").read_text())
    assert call(*words)[0] == 0
    assert config.read_text().startswith("# mine")
    (tmp_path / "classes.json").unlink()
    shutil.rmtree(tmp_path / "checkpoints")
    status, _, stderr = call(*words, "--set", "train.seed=3")
    assert status == 1 and "give another --run_dir" in stderr
    assert config.read_text().startswith("# mine")
