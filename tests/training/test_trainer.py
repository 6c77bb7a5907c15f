"""Training runs of a tiny detector on the CPU: whole, stopped, resumed, and going wrong."""

import json
import os
import pathlib
import re
import resource
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from data.reading import images, write
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training.tiny_run import Child, arrays_of, assert_same_arrays, lines, make_coco, tiny_config

from lhrcnn import config as configs
from lhrcnn.data import datasets
from lhrcnn.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    OutputError,
    RunError,
    TrainingError,
)
from lhrcnn.files import held
from lhrcnn.keras import keras
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.runs.directory import RunDirectory, data_of
from lhrcnn.training import validation
from lhrcnn.training.trainer import DetectorTraining, train

LOSSES = ["loss", "rpn_objectness", "rpn_box", "head_class", "head_box", "l2"]


def whole_config(data):
    return tiny_config(data, "train.log_every=2", "eval.metrics=[coco, voc07]")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Run directory and summary of a complete run with validation."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    return run_dir, train(whole_config(data), run_dir)


def test_run_directory_is_complete(whole, data):
    run_dir, summary = whole
    assert summary["steps"] == summary["total_steps"] == 10 and summary["interrupted"] is False
    assert summary["best_step"] in (5, 10) and 0 <= summary["best_score"] <= 1
    assert RunDirectory(run_dir).classes() == (["red", "blue"], [3, 7])
    assert configs.load(run_dir / "config.yaml") == whole_config(data)
    store = CheckpointStore(run_dir)
    arrays, meta = store.load("last")
    assert (meta["step"], meta["epoch"], meta["seed"]) == (10, 2.0, 0)
    assert arrays["optimizer/0000"] == 10  # the count of steps
    assert any(name.startswith("ema/") for name in arrays)
    assert summary["checkpoint"] == str(store.path())
    assert store.best() == (summary["best_step"], summary["best_score"])


@pytest.mark.parametrize("classes", [[], ["red", "blue"], ["blue"]])
def test_validation_images_have_the_classes_of_training_and_may_lack_some(data, tmp_path, classes):
    shutil.copytree(data, tmp_path / "data")
    path = tmp_path / "data" / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    content["annotations"] = [box for box in content["annotations"] if box["category_id"] == 7]
    content["categories"] = [{"id": 7, "name": "blue"}]
    path.write_text(json.dumps(content))
    config = tiny_config(tmp_path / "data", f"data.classes={json.dumps(classes)}")
    training, held_out = DetectorTraining.open_datasets(config)
    assert training.class_names == held_out.class_names == (classes or ["red", "blue"])
    ids = [{"red": 3, "blue": 7}[name] for name in training.class_names]
    assert training.category_ids == held_out.category_ids == ids
    labels = np.concatenate([record.classes for record in held_out.records])
    assert len(labels) > 0 and set(labels.tolist()) == {training.class_names.index("blue")}


def test_metrics_file_has_each_step_once(whole):
    run_dir, summary = whole
    steps = lines(run_dir, "train")
    assert [line["step"] for line in steps] == [2, 4, 6, 8, 10]
    for line in steps:
        assert line["epoch"] == line["step"] / 5
        assert line["loss"] == pytest.approx(sum(line[name] for name in LOSSES[1:]), rel=1e-5)
        rate = 0.0025 * (1 / 3 + 2 / 3 * min((line["step"] - 1) / 4, 1))
        assert line["learning_rate"] == pytest.approx(rate, rel=1e-5)
        assert line["rpn_foreground"] > 0 and 0 <= line["head_foreground"] <= 16
    assert any(line["head_foreground"] > 0 for line in steps)
    assert all(line["images_per_second"] > 0 and 0 <= line["data_wait"] <= 1 for line in steps)
    scores = {line["step"]: line["coco/AP"] for line in lines(run_dir, "validation")}
    assert list(scores) == [5, 10]
    assert scores[summary["best_step"]] == max(scores.values()) == summary["best_score"]
    assert all(0 <= line["voc07/mAP"] <= 1 for line in lines(run_dir, "validation"))
    (start,) = lines(run_dir, "start")
    assert start["environment"]["tensorflow"] == tf.__version__
    assert start["environment"]["replicas"] == 1


def test_tensorboard_has_the_same_scalars_and_images(whole):
    run_dir, _ = whole
    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"tensors": 0}).Reload()
    rates = ["learning_rate", "images_per_second", "data_wait"]
    for name in [*LOSSES, *rates, "rpn_foreground", "head_foreground"]:
        logged = [
            (event.step, pytest.approx(tf.make_ndarray(event.tensor_proto).item()))
            for event in events.Tensors(f"train/{name}")
        ]
        assert logged == [(line["step"], line[name]) for line in lines(run_dir, "train")]
    assert [event.step for event in events.Tensors("validation/coco/AP50")] == [5, 10]
    images = [tag for tag in events.Tags()["tensors"] if tag.startswith("detections/")]
    assert images == ["detections/1", "detections/3"]
    width, height, png = tf.make_ndarray(events.Tensors(images[0])[0].tensor_proto)
    assert tf.io.decode_image(png).shape == (int(height), int(width), 3)


def test_complete_run_says_so(whole, data, capsys):
    run_dir, summary = whole
    before = (run_dir / "metrics.jsonl").read_bytes()
    assert train(whole_config(data), run_dir, resume="must") == summary
    assert "this run is complete: step 10 of 10" in capsys.readouterr().out
    assert (run_dir / "metrics.jsonl").read_bytes() == before


def test_a_run_whose_last_score_is_no_number_is_complete(data, tmp_path, monkeypatch, capsys):
    """As where no image of the validation split has an object."""
    outcome = validation.Outcome("coco/AP", {"coco/AP": float("nan")})
    monkeypatch.setattr(validation, "validate", lambda *_: outcome)
    options = tiny_config(data, "train.max_steps=1", "train.patience=1")
    summary = train(options, tmp_path / "run")
    assert (summary["steps"], summary["best_score"]) == (1, None)
    assert train(options, tmp_path / "run") == summary
    assert "this run is complete: step 1 of 1" in capsys.readouterr().out
    assert len(lines(tmp_path / "run", "validation")) == 1


@pytest.mark.parametrize(
    "overrides, error, message",
    [
        (
            ["train.learning_rate=0.5", "model.rpn.channels=8", "eval.batch_size=1"],
            TrainingError,
            r"(?s)other options.*rpn.channels: 16 in the run, 8 now\n"
            r"  train.learning_rate: 0.01 in the run, 0.5 now\nResume",
        ),
        (
            ["data.classes=[blue, red]"],
            TrainingError,
            r"data.classes: \[\] in the run, \['blue', 'red'\] now",
        ),
        (
            ["train.schedule=cosine", "train.epochs=3"],
            TrainingError,
            "train.epochs: 2 in the run, 3 now",
        ),
        (
            ["data.train_split=nothing"],
            TrainingError,
            "data.train_split: 'train' in the run, 'nothing' now",
        ),
        (["data.dir=/nowhere"], DataError, "/nowhere"),
    ],
)
def test_run_of_another_config_is_not_resumed(whole, data, overrides, error, message):
    with pytest.raises(error, match=message):
        train(tiny_config(data, *overrides), whole[0])


def test_run_of_other_data_is_not_resumed(whole, tmp_path):
    with pytest.raises(TrainingError, match="trains on 9 images; .* now has 8"):
        train(tiny_config(make_coco(tmp_path / "fewer", num_train=8)), whole[0])
    moved = make_coco(tmp_path / "moved")
    path = moved / "annotations" / "instances_train.json"
    annotations = json.loads(path.read_text())
    annotations["annotations"][0]["bbox"][2] -= 1
    path.write_text(json.dumps(annotations))
    with pytest.raises(TrainingError, match="9 images; .* has as many, but not the same: their"):
        train(tiny_config(moved), whole[0])
    renamed = make_coco(tmp_path / "renamed")
    for file in (renamed / "annotations").iterdir():
        file.write_text(file.read_text().replace('"blue"', '"green"'))
    with pytest.raises(
        TrainingError, match="learns the classes red, blue; the data set has red, green"
    ):
        train(tiny_config(renamed), whole[0])


def test_a_run_without_a_digest_goes_on(whole, data, tmp_path, capsys):
    run_dir = shutil.copytree(whole[0], tmp_path / "run")
    (run_dir / "data.json").unlink()
    config = whole_config(data)
    assert train(config, run_dir)["steps"] == 10 and (run_dir / "data.json").is_file()


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(data, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(OutputError, match="photo.jpg; give another --run_dir"):
        train(tiny_config(data), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_wrong_requests_are_refused_before_any_work(whole, data, tmp_path, two_cpus):
    with pytest.raises(
        TrainingError, match="already holds checkpoints .step 10. and --resume=never"
    ):
        train(tiny_config(data), whole[0], resume="never")
    with pytest.raises(
        TrainingError, match="holds no checkpoint to resume from, which --resume=must asks for"
    ):
        train(tiny_config(data), tmp_path / "empty", resume="must")
    with pytest.raises(ValueError, match="--resume=maybe: allowed are auto, never, must"):
        train(tiny_config(data), tmp_path / "empty", resume="maybe")
    with pytest.raises(
        ConfigError, match="'train.batch_size': 3 images cannot be shared evenly by 2 devices"
    ):
        train(tiny_config(data, "train.batch_size=3"), tmp_path / "empty", strategy=two_cpus)
    with pytest.raises(RunError, match="nowhere: not a run directory"):
        train(tiny_config(data, "train.init_from=nowhere"), tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file: not a folder that can be written to.*--run_dir"):
        train(tiny_config(data), tmp_path / "file")
    with (
        held(whole[0]),
        pytest.raises(OSError, match="run: another process is writing there.*--run_dir"),
    ):
        train(tiny_config(data), whole[0])
    assert not (tmp_path / "empty" / "config.yaml").exists()


def test_damaged_newest_checkpoint_falls_back(whole, data, tmp_path, caplog):
    run_dir = tmp_path / "run"
    shutil.copytree(whole[0], run_dir)
    last = CheckpointStore(run_dir).path()
    last.write_bytes(last.read_bytes()[:-1000])
    summary = train(whole_config(data), run_dir)
    assert "step_00000010.npz: damaged" in caplog.text
    assert summary["steps"] == 10 and summary["best_score"] == whole[1]["best_score"]
    assert_same_arrays(arrays_of(run_dir), arrays_of(whole[0]))
    assert [line["step"] for line in lines(run_dir, "train")] == [2, 4, 6, 8, 10]
    assert [line["step"] for line in lines(run_dir, "validation")] == [5, 10]
    assert [line["step"] for line in lines(run_dir, "start")] == [0, 9]


def test_killed_and_stopped_run_has_the_same_bits(data, tmp_path, capsys):
    """An uninterrupted run against one that is killed, resumed, and asked to stop."""
    kept = "train.checkpoint_every=1", "train.keep_checkpoints=10"
    train(tiny_config(data, "data.val_split=", *kept), tmp_path / "whole")
    assert re.findall(r"traced (\d+) time", capsys.readouterr().out) == ["1"]
    killed = Child(tmp_path / "parts", data, "data.val_split=")
    assert killed.signal_at(4, signal.SIGKILL) == -signal.SIGKILL
    stopped = Child(tmp_path / "parts", data, "data.val_split=")
    assert stopped.signal_at(7, signal.SIGTERM) == 0, stopped.output
    assert re.search(r"going on after step [34]\n", stopped.output)
    saved = r"saved: .*parts/checkpoints/step_\d+.npz.*--resume=auto goes on"
    assert re.search(
        rf"SIGTERM received(.|\n)*stopped after step \d+ of 10; {saved}", stopped.output
    )
    summary = json.loads(stopped.output.split("summary ")[1])
    step = summary["steps"]
    assert summary["interrupted"] is True and 7 <= step < 10
    arrays, meta = CheckpointStore(tmp_path / "parts").load()
    assert meta["step"] == step
    at_step = tmp_path / "whole" / "checkpoints" / f"step_{step:08d}.npz"
    assert_same_arrays(arrays, arrays_of(tmp_path / "whole", at_step))
    once, again = lines(tmp_path / "whole", "train"), lines(tmp_path / "parts", "train")
    assert [line["step"] for line in again] == list(range(1, step + 1))
    assert [[line[name] for name in LOSSES] for line in again] == [
        [line[name] for name in LOSSES] for line in once[:step]
    ]


class Seen(keras.callbacks.Callback):
    """What a callback is called with; asks to stop after so many epochs."""

    def __init__(self, epochs=99):
        super().__init__()
        self.calls, self.epochs = [], epochs

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_train_end(self, logs=None):
        self.calls.append("end")

    def on_train_batch_end(self, step, logs=None):
        self.calls.append((step, logs["loss"]))

    def on_test_end(self, logs=None):
        self.calls.append(logs["coco/AP"])

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append({"epoch": epoch, **logs})
        self.model.stop_training = epoch + 1 >= self.epochs


def test_callbacks_see_steps_losses_and_scores_and_may_stop(whole, data, tmp_path, capsys):
    config = whole_config(data)
    seen, last = Seen(epochs=1), Seen()
    first = train(config, tmp_path, callbacks=[seen])
    assert first["steps"] == 5 and first["interrupted"] is False
    assert "a callback stopped it after step 5 of 10" in capsys.readouterr().out
    assert seen.calls[0] == "begin" and seen.calls[-1] == "end"
    assert [step for step, _ in seen.calls[1:6]] == [1, 2, 3, 4, 5]
    score, epoch = seen.calls[6:8]
    assert epoch["epoch"] == 0 and epoch["loss"] == seen.calls[5][1]
    assert score == epoch["coco/AP"] == lines(tmp_path, "validation")[0]["coco/AP"]
    assert train(config, tmp_path, callbacks=[last])["steps"] == 10
    assert [call[0] for call in last.calls if isinstance(call, tuple)] == [6, 7, 8, 9, 10]
    assert_same_arrays(arrays_of(tmp_path), arrays_of(whole[0]))


def test_non_finite_loss_stops_and_names_the_images(data, tmp_path):
    config = tiny_config(
        data,
        "train.learning_rate=1e20",
        "train.warmup_steps=0",
        "train.checkpoint_every=1",
        "data.val_split=",
        "train.ema_decay=0",
    )
    with pytest.raises(TrainingError) as error:
        train(config, tmp_path)
    (step,) = re.findall(r"^step (\d): a loss is not finite: loss (?:nan|inf)", str(error.value))
    assert all(name in str(error.value) for name in LOSSES)
    assert len(set(re.findall(rf"{data}/train/train_\d.png", str(error.value)))) == 2
    good = int(step) - 1
    path = tmp_path / "checkpoints" / f"step_{good:08d}.npz"
    assert f"last good checkpoint is {path}" in str(error.value)
    arrays, meta = CheckpointStore(tmp_path).load()
    assert meta["step"] == good and all(np.isfinite(value).all() for value in arrays.values())


def test_unreadable_image_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_CHECKED_AT_ONCE", 0)  # as in sets too large to look at before
    data = make_coco(tmp_path / "data")
    image = data / "train" / "train_4.png"
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(
        TrainingError,
        match=r"(?s)step \d: images cannot be read:\n  .*train_4.png: .*data.on_error=skip",
    ):
        train(tiny_config(data, "data.val_split="), tmp_path / "run")


def test_full_disk_keeps_the_last_checkpoint(whole, data, tmp_path):
    """A complete run is lengthened while files are limited to less than a checkpoint."""
    run_dir = tmp_path / "run"
    shutil.copytree(whole[0], run_dir)
    before, limits = CheckpointStore(run_dir), resource.getrlimit(resource.RLIMIT_FSIZE)
    files = sorted(os.listdir(before.folder))
    longer = configs.changed(whole_config(data), {"data.val_split": "", "train.epochs": 3})
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before.path().stat().st_size - 1000, limits[1]))
        with pytest.raises(
            CheckpointError,
            match="step_00000012.npz: the checkpoint cannot be written: File too large.*"
            "last good .*step_00000010.npz",
        ):
            train(longer, run_dir)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(os.listdir(before.folder)) == files
    assert_same_arrays(before.load()[0], arrays_of(whole[0]))


def test_two_replicas_do_what_one_does(data, tmp_path, two_cpus):
    """With statistics that do not depend on how a batch is shared: frozen batch norm, sampling by
    image."""
    options = [
        "model.backbone.batch_norm=frozen",
        "model.head.sampler=random",
        "data.val_split=",
        "train.max_steps=2",
        "train.warmup_steps=0",
    ]
    train(tiny_config(data, *options), tmp_path / "one")
    train(tiny_config(data, *options), tmp_path / "two", strategy=two_cpus)
    for one, two in zip(lines(tmp_path / "one", "train"), lines(tmp_path / "two", "train")):
        for name in LOSSES + ["rpn_foreground", "head_foreground"]:
            assert two[name] == pytest.approx(one[name], rel=1e-4, abs=1e-6), name
    assert lines(tmp_path / "two", "start")[0]["environment"]["replicas"] == 2
    one, two = (arrays_of(tmp_path / name) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "option",
    ["train.precision=mixed_bfloat16", "train.precision=mixed_float16", "train.optimizer=sgdw"],
)
def test_other_arithmetic_and_optimizer_train(data, tmp_path, option):
    if "sgdw" in option:
        why = "tensorflow-addons is not made for this Python"
        pytest.importorskip("tensorflow_addons", reason=why)
    config = tiny_config(
        data,
        option,
        "data.val_split=",
        "train.ema_decay=0",
        "train.checkpoint_every=1",
        "train.max_steps=2",
    )
    assert train(config, tmp_path)["steps"] == 2
    files = (tmp_path / "checkpoints" / f"step_{step:08d}.npz" for step in (1, 2))
    first, second = (arrays_of(tmp_path, file) for file in files)
    kernels = [name for name in first if name.startswith("model/") and "kernel" in name]
    assert kernels and all(first[name].dtype == np.float32 for name in kernels)
    assert all((first[name] != second[name]).any() for name in kernels)
    assert keras.mixed_precision.global_policy().name == "float32"
    if option.endswith("float16") and not option.endswith("bfloat16"):
        config = configs.changed(config, {"train.max_steps": 3})
        assert second["optimizer/loss_scale"] >= 1 and train(config, tmp_path)["steps"] == 3


def test_a_run_that_goes_on_has_the_images_that_it_drew_for_validation(tmp_path):
    images(tmp_path, *(f"{number}.jpg" for number in range(10)))
    write(tmp_path, {"boxes.csv": "".join(f"{n}.jpg,10,20,40,60,ant\n" for n in range(10))})
    config = configs.load(None, ["data.format=auto", f"data.dir={tmp_path}"])
    training, held_out = DetectorTraining.open_datasets(config, ("3.jpg", "7.jpg"))
    names = [pathlib.Path(record.path).name for record in held_out.records]
    assert names == ["3.jpg", "7.jpg"] and len(training.records) == 8
    assert data_of(training)["held_out"] == names
