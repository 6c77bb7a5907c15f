"""A training that learns from a teacher: stopped and resumed, with classes and weights that do not
fit."""

import pytest
from training.tiny_run import arrays_of, assert_same_arrays, lines, tiny_config

from lhrcnn.errors import ConfigError, RunError, TrainingError
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.runs.pack import portable
from lhrcnn.training.trainer import train


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    """A run directory."""
    run_dir = tmp_path_factory.mktemp("teacher") / "run"
    train(tiny_config(data, "train.max_steps=2", "data.val_split="), run_dir)
    return run_dir


def config_of(data, teacher, *more):
    options = f"train.teacher={teacher}", "train.teacher_levels=[c4]", "data.val_split="
    return tiny_config(data, *options, *more)


def test_a_run_goes_on_to_the_same_bits_and_keeps_nothing_of_the_teacher(data, teacher, tmp_path):
    config = config_of(data, teacher, "train.max_steps=4", "train.schedule=step")
    train(config, tmp_path / "whole")
    train(config_of(data, teacher, "train.max_steps=2"), tmp_path / "parts")
    train(config, tmp_path / "parts")
    whole = arrays_of(tmp_path / "whole")
    assert_same_arrays(whole, arrays_of(tmp_path / "parts"))
    assert {name for name in whole if name.startswith("model/")} == {
        name for name in arrays_of(teacher) if name.startswith("model/")
    }
    told = lines(tmp_path / "whole", "train")
    assert all(line["teacher_maps"] > 0 and line["teacher_class"] >= 0 for line in told)
    assert portable(RunDirectory(tmp_path / "whole").config()).train.teacher == "run"


def test_a_teacher_whose_weights_changed_is_told(data, tmp_path):
    options = "train.max_steps=1", "data.val_split=", "train.schedule=step"
    train(tiny_config(data, *options), tmp_path / "teacher")
    config = config_of(data, tmp_path / "teacher", *options)
    train(config, tmp_path / "run")
    more = "train.max_steps=2", "train.schedule=step"
    train(tiny_config(data, "data.val_split=", *more), tmp_path / "teacher")
    with pytest.raises(TrainingError, match="learns from .*teacher, whose weights are others now"):
        train(config_of(data, tmp_path / "teacher", *more), tmp_path / "run")


def test_teachers_that_cannot_teach_are_refused(data, teacher, tmp_path):
    with pytest.raises(RunError, match="nowhere: not a run directory"):
        train(config_of(data, "nowhere"), tmp_path / "run")
    with pytest.raises(ConfigError, match="light_head_mobilenet_v2_voc07_144 does not know red, b"):
        train(config_of(data, "light_head_mobilenet_v2_voc07_144"), tmp_path / "run")
    with pytest.raises(ConfigError, match="'train.teacher_levels': needs a teacher"):
        tiny_config(data, "train.teacher_levels=[c4]")
    with pytest.raises(ConfigError, match="'train.teacher': an RPN alone has no class scores"):
        tiny_config(data, f"train.teacher={teacher}", "train.part=rpn")
