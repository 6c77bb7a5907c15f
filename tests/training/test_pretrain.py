"""Pretraining: classes are learnt, a run goes on to the same bits, the weights go into a detector,
and wrong folders are named."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from training.tiny_run import arrays_of, assert_same_arrays, lines

from lhrcnn import cli
from lhrcnn import config as configs
from lhrcnn.data import datasets
from lhrcnn.errors import ConfigError, DataError, TrainingError
from lhrcnn.keras import keras
from lhrcnn.models.build import arithmetic, build_backbone, build_detector
from lhrcnn.runs.backbone import load_backbone
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.training import pretrain as pretraining
from lhrcnn.training.pretrain import pretrain
from lhrcnn.training.pretrain_models import (
    Classification,
    Distillation,
    _level_of_stride,
    classifier,
)

OPTIONS = [
    "data.format=folders",
    "data.workers=1",
    "model.backbone.name=small",
    "model.backbone.width=0.25",
    "model.backbone.batch_norm_momentum=0.8",
    "pretrain.crop_size=48",
    "pretrain.test_resize=54",
    "pretrain.min_crop_area=0.2",
    "train.batch_size=10",
    "train.base_batch_size=10",
    "train.epochs=9",
    "train.learning_rate=0.02",
    "train.schedule=cosine",
    "train.warmup_steps=5",
    "train.clip_norm=5",
    "train.log_every=3",
    "train.eval_every=9",
    "eval.batch_size=4",
]
# No batch norm.
PLAIN = ["model.backbone.name=vgg16", "model.backbone.width=0.1"]
KEPT = ["train.checkpoint_every=7", "train.keep_checkpoints=99"]


def make_classes(folder, images, classes=("blue", "green", "red")):
    """Noise of three colours: SPLIT/CLASS/i.png, `images` {split: number per class}."""
    rng = np.random.default_rng(0)
    for split, number in images.items():
        for k, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True)
            for i in range(number):
                image = rng.integers(0, 90, [40, 48, 3], dtype=np.uint8)
                image[..., 2 - k] += 120
                Image.fromarray(image).save(folder / split / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_classes(tmp_path_factory.mktemp("classes"), {"train": 10, "val": 3})


def options(data, *overrides):
    return configs.load(None, [*OPTIONS, f"data.dir={data}", *overrides])


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Run directory and summary of a complete run, with a checkpoint of each epoch."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    return run_dir, pretrain(options(data, *KEPT), run_dir)


def test_colours_are_learnt(whole):
    run_dir, summary = whole
    assert summary["steps"] == summary["total_steps"] == 27 and summary["best_score"] > 0.9
    (validation,) = lines(run_dir, "validation")
    assert validation["top1"] == summary["best_score"] <= validation["top5"] == 1
    losses = [line["class"] for line in lines(run_dir, "train")]
    assert losses[-1] < losses[0]
    assert RunDirectory(run_dir).classes()[0] == ["blue", "green", "red"]


def test_run_goes_on_to_the_same_bits_from_the_middle_of_an_epoch(whole, data, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    for file in (tmp_path / "run" / "checkpoints").iterdir():
        if file.name != "step_00000007.npz":
            file.unlink()
    assert pretrain(options(data, *KEPT), tmp_path / "run", resume="must")["steps"] == 27
    assert_same_arrays(arrays_of(whole[0]), arrays_of(tmp_path / "run"))


def test_every_backbone_variable_goes_into_a_detector(whole, small_config):
    config = small_config(f"model.backbone.weights={whole[0]}")
    detector = build_detector(config, 5)
    restored, missing = load_backbone(detector, config.model)
    variables, arrays = detector.named_variables(), arrays_of(whole[0], "best")
    mine = [name for name in variables if name.startswith("backbone/")]
    assert missing == [] and sorted(restored) == sorted(mine)
    for name in mine:
        np.testing.assert_array_equal(variables[name].numpy(), arrays[f"model/{name}"])


def test_the_imagenet_recipe_is_a_command_that_prints_top_1(data, tmp_path, capsys):
    smaller = [
        "model.backbone.width=0.25",
        "pretrain.crop_size=48",
        "pretrain.test_resize=54",
        "train.batch_size=10",
        "train.epochs=2",
        "train.log_every=1",
        "eval.batch_size=4",
    ]
    flags = ["--config=xception_imagenet", f"--data_dir={data}", f"--run_dir={tmp_path / 'run'}"]
    assert cli.main(["pretrain", *flags, *(f"--set={change}" for change in smaller)]) == 0
    out = capsys.readouterr().out
    validations = lines(tmp_path / "run", "validation")
    assert [line["step"] for line in validations] == [3, 6]
    for line in validations:
        assert f"validation after step {line['step']}: top1 {line['top1']:.3f}  top5 1.000" in out
    assert f"top1 {max(line['top1'] for line in validations):.3f} at step" in out
    assert f"model.backbone.weights={tmp_path / 'run'}" in out


def test_two_devices_train_as_one(data, tmp_path, two_cpus):
    config = options(data, *PLAIN, "train.max_steps=2", "train.ema_decay=0.9")
    for name, strategy in (("one", None), ("two", two_cpus)):
        pretrain(config, tmp_path / name, strategy=strategy)
    runs = tmp_path / "one", tmp_path / "two"
    first, second = map(arrays_of, runs)
    for name in first:
        np.testing.assert_allclose(second[name], first[name], rtol=1e-3, atol=1e-5, err_msg=name)
    losses = ([line["class"] for line in lines(run, "validation")] for run in runs)
    np.testing.assert_allclose(*losses, rtol=1e-4)


def maps(network, backbone, images):
    """What a network on a Backbone makes of uint8 images."""
    return network((images.astype(np.float32) - backbone.pixel_mean) / backbone.pixel_std)


def test_held_out_scores_do_not_count_filling_images(data, rng):
    model = Classification(options(data, *PLAIN), 7)
    images = rng.integers(0, 256, [6, 48, 48, 3], np.uint8)
    logits = maps(model.network, model.backbone, images).numpy()
    order = np.argsort(-logits, axis=1)
    labels = np.array([order[0, 0], order[1, 1], order[2, 4], order[3, 5], -1, -1])
    totals = model.totals({"image": images, "label": tf.constant(labels, tf.int32)})
    totals = {name: float(value) for name, value in totals.items()}
    logits = logits - logits.max(1, keepdims=True)  # random weights may make them large
    log_shares = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -sum(0.9 * log_shares[i, labels[i]] + 0.1 * log_shares[i].mean() for i in range(4))
    assert (totals["top1"], totals["top5"], totals["images"]) == (1, 3, 4)
    np.testing.assert_allclose(totals["class"], expected, rtol=1e-5)


@pytest.fixture
def random_teacher(monkeypatch, tmp_path):
    """Random weights of MobileNetV2 are found as its ImageNet weights."""
    backbone = build_backbone(configs.BackboneConfig(name="mobilenet_v2"))
    arrays = {name: variable.numpy() for name, variable in backbone.named_variables().items()}
    np.savez(tmp_path / "mobilenet_v2_imagenet.npz", **arrays)
    monkeypatch.setenv("LHRCNN_WEIGHTS", str(tmp_path))


DISTILLED = [
    *PLAIN,
    "model.backbone.out_stride=32",
    "pretrain.teacher=mobilenet_v2",
    "pretrain.teacher_levels=[c4, c5]",
    "train.eval_every=3",
]


def test_distillation_comes_closer_to_the_teacher(random_teacher, data, tmp_path):
    summary = pretrain(options(data, *DISTILLED), tmp_path / "run")
    training, validation = lines(tmp_path / "run", "train"), lines(tmp_path / "run", "validation")
    assert [line["step"] for line in validation] == [9, 18, 27]
    first, last = (training[at]["loss"] - training[at]["l2"] for at in (0, -1))
    assert last < 0.8 * first
    for line in validation:
        explained = 1 - (line["match_c4"] + line["match_c5"]) / 2
        assert line["explained"] == pytest.approx(explained, abs=1e-4)
    best = max(line["explained"] for line in validation)
    assert summary["best_score"] == best > validation[0]["explained"]
    arrays = arrays_of(tmp_path / "run")
    # VGG16's c4 has stride 8, as MobileNetV2's c3.
    assert arrays["model/match_c4/kernel"].shape == (1, 1, 51, 32)
    assert arrays["model/teacher_c5/moving_variance"].shape == (96,)
    assert not any(name.startswith("model/backbone/block") for name in arrays)  # the teacher's


def test_loss_is_the_error_of_standardised_maps(random_teacher, data, rng):
    model = Distillation(options(data, *DISTILLED, "pretrain.teacher_levels=[c4]"))
    images = rng.integers(0, 256, [4, 64, 64, 3], np.uint8)
    losses, scores = model.compare({"image": images}, training=True)
    predicted = maps(model.network, model.backbone, images)["c4"].numpy()
    targets = maps(model.teacher.model, model.teacher, images)["c3"].numpy()
    assert targets.shape == (4, 8, 8, 32)
    targets = (targets - targets.mean((0, 1, 2))) / np.sqrt(targets.var((0, 1, 2)) + 1e-3)
    errors = ((predicted - targets) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(losses["match_c4"], errors, rtol=1e-3)
    np.testing.assert_allclose(scores["explained"], 1 - losses["match_c4"], rtol=1e-6)


def test_level_that_is_not_there_is_named(random_teacher, data):
    with pytest.raises(ConfigError, match="the backbone has no map 'c2', only c3, c4, c5"):
        Distillation(options(data, *DISTILLED, "pretrain.teacher_levels=[c2]"))
    mine, theirs = ({"c5": 32}, {"c3": 4, "c4": 8, "c5": 16})
    known = "c3 of 4, c4 of 8, c5 of 16"
    with pytest.raises(
        ConfigError, match=f"vgg16 has no map of stride 32 px for 'c5', only {known}"
    ):
        _level_of_stride("c5", *(SimpleNamespace(strides=one) for one in (mine, theirs)), "vgg16")


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["data.format=coco"], "found coco; classes of whole images come as .*name a teacher"),
        (["data.classes=[red, grey]"], "'grey' is not a class of"),
        (["pretrain.crop_size=60"], "'pretrain.test_resize' 54 is below 'pretrain.crop_size' 60"),
        (["pretrain.teacher=xception"], "'pretrain.teacher': found 'xception'"),
        (["pretrain.min_crop_area=0"], "'pretrain.min_crop_area': found 0"),
        (["train.stages=[{train.epochs: 1}]"], "'train.stages': found .*is pretrained at once"),
        (["train.part=rpn"], "'train.part': found 'rpn'.*set train.part=all"),
        (["data.transforms=[ExactMixUp]"], "'data.transforms': found .'ExactMixUp'.; images"),
        (["train.best_metric=coco/AP50"], "found 'coco/AP50'; .* top1.*; set train.best_metric=$"),
    ],
)
def test_wrong_options_are_named(data, tmp_path, overrides, words):
    with pytest.raises((ConfigError, DataError), match=words):
        pretrain(options(data, *overrides), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    "path, new, words",
    [
        ("train", "training", "train: no such folder of images .*has the folders training, val"),
        ("", "train/white", r"train: 1 class folder\(s\) without an image: white; put images"),
        ("val/red", "val/rot", "val: 1 of its class folders are not in .*train: rot; both"),
        ("train/red/0.png", "train/0.png", "0.png: an image outside of class folders"),
    ],
)
def test_wrong_folders_are_named(tmp_path, path, new, words):
    """One moved to another place, or a new one that is empty."""
    data = make_classes(tmp_path / "data", {"train": 1, "val": 1})
    if path:
        (data / path).rename(data / new)
    else:
        (data / new).mkdir()
    with pytest.raises(DataError, match=words):
        pretrain(options(data), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_classes_of_the_validation_keep_their_numbers(tmp_path):
    data = make_classes(tmp_path, {"train": 1})
    make_classes(tmp_path, {"val": 1}, classes=["green", "red"])
    training, held_out = pretraining.BackboneTraining.open_datasets(options(data))
    assert [record.classes.tolist() for record in held_out.records] == [[1], [2]]
    training, held_out = pretraining.BackboneTraining.open_datasets(
        options(data, "data.classes=[red, green]", "data.val_split=")
    )
    assert [record.classes.tolist() for record in training.records] == [[1], [0]]
    assert held_out is None


@pytest.mark.parametrize("split", ["train", "val"])
def test_unreadable_image_is_named_or_left_out(split, tmp_path, monkeypatch, caplog):
    data = make_classes(tmp_path / "data", {"train": 2, "val": 2})
    image = data / split / "red" / "1.png"
    image.write_bytes(image.read_bytes()[:100])
    training, held_out = pretraining.BackboneTraining.open_datasets(options(data))
    left = len(training.records), len(held_out.records)
    assert left == ((5, 6) if split == "train" else (6, 5))
    assert f"{split}/red/1.png: not decodable" in caplog.text
    monkeypatch.setattr(datasets, "_CHECKED_AT_ONCE", 0)  # as in sets too large to look at before
    named = rf"{split}/red/1.png: not decodable.*data.on_error=skip"
    with pytest.raises(TrainingError, match=rf"(?s)cannot be read:\n  .*{named}"):
        pretrain(options(data, *PLAIN, "train.max_steps=1"), tmp_path / "run")


def test_detector_is_not_trained_on_folders(data, tmp_path):
    from lhrcnn.training.trainer import train

    with pytest.raises(ConfigError, match="folders has no boxes"):
        train(options(data), tmp_path)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_classifier_averages_in_32_bits(rng, precision):
    with arithmetic(precision):
        image = keras.Input([None, None, 3])
        last = keras.layers.Activation("linear")(image)
        backbone = SimpleNamespace(model=keras.Model(image, {"c5": last}), strides={"c5": 1})
        model = classifier(backbone, 3)
    model.set_weights([np.eye(3), np.zeros(3)])
    pixels = rng.uniform(8, 10, [1, 96, 96, 3]).astype(np.float32)
    np.testing.assert_allclose(model(pixels), pixels.mean((1, 2)), rtol=2e-3)
