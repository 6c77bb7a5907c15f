"""lhrcnn.config: inheritance, overrides, round trip, and what is refused with which words."""

import numpy as np
import pytest

from lhrcnn import config
from lhrcnn.data.transforms import TRANSFORMS, Joining, transform_of
from lhrcnn.errors import ConfigError

ANCHORS = [f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, 8)]
BOMB = "\n".join(["x0: &x0 [1]", *ANCHORS])


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_file_inherits_and_command_line_wins(tmp_path):
    write(tmp_path, "base.yaml", "train: {epochs: 3, momentum: 0.8}\ndata: {classes: [cat, dog]}")
    child = write(tmp_path, "child.yaml", "base: base.yaml\ntrain: {epochs: 5}")
    loaded = config.load(child, ["train.momentum=0.7", "data.short_side=[300, 400]"])
    assert (loaded.train.epochs, loaded.train.momentum) == (5, 0.7)
    assert loaded.data.classes == ["cat", "dog"] and loaded.data.short_side == [300, 400]


def test_saved_config_loads_to_the_same(tmp_path):
    original = config.load(
        None,
        [
            "train.learning_rate=1e-3",
            "train.gradient_multipliers={head/thin_map: 3}",
            "data.classes=['größe']",
        ],
    )
    config.save(original, tmp_path / "config.yaml")
    assert config.load(tmp_path / "config.yaml") == original
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    "override, words",
    [
        ("train.batchsize=4", ["unknown option 'train.batchsize'", "did you mean 'batch_size'"]),
        ("trian.epochs=4", ["unknown option 'trian'", "did you mean 'train'"]),
        ("train.epochs=many", ["'train.epochs'", "expected int", "'many'"]),
        ("train.epochs=2.5", ["expected int"]),
        ("data.flip=1", ["expected bool"]),
        ("train.epochs=true", ["expected int"]),
        ("train.learning_rate=fast", ["expected float"]),
        ("train.learning_rate=.nan", ["finite"]),
        ("train.batch_size=0", ["'train.batch_size'", "found 0, allowed: from 1"]),
        (
            "model.backbone.name=xcepton",
            ["'model.backbone.name'", "did you mean 'xception'", "mobilenet_v2"],
        ),
        ("data.short_side=[]", ["'data.short_side': found [], allowed: at least one: from 1"]),
        ("data.short_side=[0]", ["'data.short_side': found [0]"]),
        ("data.short_side=800", ["expected a list"]),
        ("data.stretch_size=[3]", ["'data.stretch_size': found [3], allowed: 2 numbers: from 1"]),
        ("model=3", ["'model' is a section"]),
        ("epochs", ["expected section.key=value"]),
        ("train.epochs=[", ["not readable as YAML"]),
        ("train.ema_decay=1", ["found 1.0, allowed: from 0 to below 1"]),
        ("data.classes=[a, a]", ["stands twice"]),
        ("train.part=backbone", ["'train.part'", "all, rpn, head"]),
        ("model.backbone.last_level=c4", ["'model.backbone.last_level'", "resnet50"]),
        ("model.head.kind=stage5", ["'model.head.kind' stage5", "ends at c4"]),
        ("model.head.sampling_ratio=0", ["'model.head.sampling_ratio'", "found 0"]),
        ("model.head.sampling_ratio=17", ["'model.head.sampling_ratio'", "1 to 16", "found 17"]),
        ("model.head.pool_size=33", ["'model.head.pool_size'", "1 to 32", "found 33"]),
        (
            "model.head.skip_channels=8",
            ["'model.head.skip_channels'", "a light head pools from one map"],
        ),
        ("model.rpn.kernel_sizes=[3, 3]", ["'model.rpn.kernel_sizes'", "each once"]),
        ("model.head.levels=[]", ["'model.head.levels'", "at least one"]),
        ("model.fpn.levels=[]", ["'model.fpn.levels'", "at least one"]),
        ("eval.metrics=[]", ["'eval.metrics': found [], allowed: at least one: coco, voc07"]),
        ("model.backbone.pixel_mean=[1]", ["'model.backbone.pixel_mean'", "0 or 3 numbers"]),
        ("model.backbone.pixel_std=[1, 2, 0]", ["'model.backbone.pixel_std'", "above 0"]),
        ("model.head.foreground_iou=0", ["found 0.0, allowed: above 0 to 1"]),
        ("model.locnet.foreground_iou=0", ["'model.locnet.foreground_iou'", "found 0"]),
        ("model.head.background_iou_low=0.5", ["'model.head.background_iou_low' 0.5", "below"]),
        ("model.head.label_smoothing=1", ["'model.head.label_smoothing'", "below 1"]),
        ("train.seed=4294967296", ["'train.seed'", "allowed: from 0 to 4294967295"]),
    ],
)
def test_wrong_override(override, words):
    with pytest.raises(ConfigError) as error:
        config.load(None, [override])
    assert all(word in str(error.value) for word in words), error.value


def test_values_of_python_and_numpy_become_plain_ones(tmp_path):
    """Else they are taken, and what has them cannot be written."""
    numbers = {"train.learning_rate": np.float64(0.02), "train.epochs": np.int64(3)}
    changes = {**numbers, "data.dir": tmp_path, "data.short_side": (np.int32(64),)}
    loaded = config.load(None, changes)
    config.save(loaded, tmp_path / "config.yaml")
    assert config.load(tmp_path / "config.yaml") == loaded
    assert (loaded.train.learning_rate, loaded.data.dir) == (0.02, str(tmp_path))
    assert config.changed(loaded, [("train.seed", 3), "train.epochs=1"]).train.seed == 3


def test_proposals_cannot_follow_mixed_images():
    with pytest.raises(ConfigError, match="cannot follow ExactMixUp, ExactMosaic, MixUp, Mosaic"):
        config.load(None, ["data.proposals=folder", "data.transforms=[RandomHue, Mosaic]"])


def test_proposals_cannot_follow_a_transform_of_ones_own_that_mixes(monkeypatch):
    monkeypatch.setitem(TRANSFORMS, "Collage", Joining(print))
    monkeypatch.setitem(TRANSFORMS, "Blur", print)
    assert transform_of("Collage") is transform_of("Blur") is print
    config.load(None, ["data.proposals=folder", "data.transforms=[Blur]"])
    with pytest.raises(ConfigError, match="cannot follow Collage, ExactMixUp"):
        config.load(None, ["data.proposals=folder", "data.transforms=[Collage]"])


def test_stages_change_options_of_the_whole(tmp_path):
    path = write(
        tmp_path,
        "staged.yaml",
        "train: {epochs: 7, stages: [{train.part: rpn}, {train.epochs: 3, start: pretrained}, {}]}",
    )
    loaded = config.load(path, ["train.momentum=0.5"])
    stages = [config.stage(loaded, number) for number in (1, 2, 3)]
    assert [continues for _, continues in stages] == [False, False, True]
    assert [
        (own.train.part, own.train.epochs, own.train.momentum, own.train.stages)
        for own, _ in stages
    ] == [("rpn", 7, 0.5, []), ("all", 3, 0.5, []), ("all", 7, 0.5, [])]
    config.save(loaded, tmp_path / "config.yaml")
    assert config.load(tmp_path / "config.yaml") == loaded and loaded.train.epochs == 7


@pytest.mark.parametrize(
    "text, words",
    [
        (
            "{train.prt: rpn}",
            ["'train.stages', stage 1", "unknown option 'train.prt'", "did you mean 'part'"],
        ),
        (
            "{train.part: rpn}, {train.epochs: few}",
            ["'train.stages', stage 2", "'train.epochs'", "expected int"],
        ),
        (
            "{train.part: rpn}, {model.head.levels: []}",
            ["'train.stages', stage 2", "'model.head.levels'"],
        ),
        ("{train.part: none}", ["'train.stages', stage 1", "'train.part'", "all, rpn, head"]),
        ("{start: again}", ["'train.stages', stage 1", "'start': found 'again'", "pretrained"]),
        (
            "{train.part: head}",
            ["'train.stages', stage 1", "trains the RPN that a head learns from"],
        ),
        ("{'train.stages': [{train.part: rpn}]}", ["stage 1", "no stages of its own"]),
        ("3", ["'train.stages'", "expected dict"]),
    ],
)
def test_wrong_stages_are_named_when_the_config_is_read(text, words):
    with pytest.raises(ConfigError) as error:
        config.load(None, [f"train.stages=[{text}]"])
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    "text, words",
    [
        ("train: {epoch: 3}", ["bad.yaml", "'train.epoch'", "did you mean 'epochs'"]),
        ("- a list", ["bad.yaml", "expected `section:` keys"]),
        ("a: [", ["bad.yaml", "not readable as YAML"]),
        (f"a: {'[' * 100}{']' * 100}", ["bad.yaml", "line 1: nested deeper than 100 levels"]),
        ("train:\n  epochs: 3\n  epochs: 4", ["bad.yaml", "line 3: 'epochs' stands twice"]),
        ("a: &a {b: *a}", ["bad.yaml", "holds itself"]),
        (BOMB, ["bad.yaml", "more than 1000000 values by its aliases"]),
        ("train: {epochs: !!bool x}", ["bad.yaml", "not what its tag says"]),
        ("train: {epochs: %s}" % ("9" * 5000), ["bad.yaml", "line 1: a number of 5000 digits"]),
        ("base: missing.yaml", ["missing.yaml", "no such config file", "bad.yaml"]),
        ("base: bad.yaml", ["leads back to itself"]),
    ],
)
def test_wrong_file(tmp_path, text, words):
    with pytest.raises(ConfigError) as error:
        config.load(write(tmp_path, "bad.yaml", text))
    assert all(word in str(error.value) for word in words), error.value


def test_factors_on_gradients_do_nothing_to_adam():
    with pytest.raises(
        ConfigError, match="'train.gradient_multipliers': 'train.optimizer' adamw divides gradients"
    ):
        config.load(None, ["train.optimizer=adamw", "train.gradient_multipliers={backbone: 0.1}"])
    assert config.load(None, ["train.optimizer=adamw"]).train.optimizer == "adamw"


@pytest.mark.parametrize(
    "option, written",
    [
        ("train.gradient_multipliers={head/thin_map:3}", "{head/thin_map: 3}"),
        ("train.stages=[{train.part:rpn}]", "{train.part: rpn}"),
    ],
)
def test_a_colon_without_a_space_is_told(option, written):
    with pytest.raises(ConfigError, match="write a space after the colon") as error:
        config.load(None, [option])
    assert str(error.value).endswith(written) and f"--set {option}" in str(error.value)


@pytest.mark.parametrize("best", ["coco/AP5", "coco/ap50", "coco/", "coco", "voc07/AP"])
def test_a_best_metric_that_is_no_number_is_refused_at_once(best):
    metrics = "eval.metrics=[coco, voc07]"
    with pytest.raises(ConfigError, match=f"'train.best_metric': found '{best}'.*/(AP50|mAP70)"):
        config.load(None, [metrics, f"train.best_metric={best}"])
    for known in ("coco/AP50", "coco/ARl", "voc07/mAP50_95"):
        config.load(None, [metrics, f"train.best_metric={known}"])
