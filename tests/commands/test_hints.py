"""What users of other tools write is answered with what does it here, and that works."""

import shlex

import pytest
from absl import flags

from lhrcnn import cli, config
from lhrcnn.commands import hints

SAMPLES = {
    "weights": "imagenet",
    "score_threshold": "0.5",
    "nms_iou": "0.5",
    "cache_dir": "kept",
}  # others: 2


def flags_of(name):
    values = flags.FlagValues()
    cli.COMMANDS[name].define(values)
    values.set_gnu_getopt(True)
    return values


def test_commands_of_other_tools_lead_to_commands():
    assert set(hints.COMMANDS.values()) <= set(cli.COMMANDS)
    assert not set(hints.COMMANDS) & set(cli.COMMANDS)


@pytest.mark.parametrize("names, commands, here", hints.FLAGS)
def test_what_a_hint_says_is_taken(names, commands, here):
    value = next((text for key, text in SAMPLES.items() if key in here), "2")
    words = shlex.split(here.format(value=value))
    able = [name for name in commands.split() or cli.COMMANDS if _takes(name, words)]
    assert able and (not commands or able == commands.split())
    for name in able:
        values = flags_of(name)
        values(["lhrcnn", *words])
        if "set" in values:
            config.load(None, values["set"].value)
    for first in names.split():
        assert any(hints.flag(name, first, "2", set(flags_of(name))) for name in able)


def _takes(name, words):
    known = set(flags_of(name))
    return all(word.lstrip("-").split("=")[0] in known for word in words if word[:2] == "--")


@pytest.mark.parametrize(
    "line, words",
    [
        ("detect photo.jpg", "`lhrcnn predict` does that"),
        ("val", "`lhrcnn eval` does that"),
        ("train --epochs 3", "--set train.epochs=3"),
        ("train --batch=4", "--set train.batch_size=4"),
        ("train --imgsz 640", "--set data.short_side=[640]"),
        ("pretrain --imgsz 160", "--set pretrain.crop_size=160"),
        ("eval --run_dir x --imgsz 640", "--set data.test_short_side=640"),
        ("export --run_dir x --imgsz 640", "--size=640x640"),
        ("train --weights runs/x", "--init_from=runs/x"),
        ("train --lr0", "--set train.learning_rate=VALUE"),
        ("train --momentum .9", "--set train.momentum=.9"),
        ("train --data coco --amp", "--data_dir=coco"),
        ("train --device 0", "CUDA_VISIBLE_DEVICES"),
        ("train data=coco epochs=3", "--data_dir=coco"),
        ("train train.epochs=3", "--set train.epochs=3"),
        ("train --set train.epochs=3 train.batch_size=4", "--set train.batch_size=4"),
        ("train configs/a.yaml", "--config configs/a.yaml"),
        ("predict photo.jpg --conf .3", "--score_threshold=.3"),
        ("predict photo.jpg --weights runs/x", "--run_dir=runs/x"),
        ("predict https://example.org/photo.jpg", "curl -O https://example.org/photo.jpg"),
        ("eval --run_dir x --conf_thres .3", "--set model.postprocess.score_threshold=.3"),
        ("train --data_dir x.csv", "data.format=NAME"),
        ("data check --data_dir set.zip", "unpack it first"),
        ("data check .", "--data_dir ."),
        ("train --data_dir a/instances.json", "--set data.train_split=a/instances.json"),
    ],
)
def test_lines_of_other_tools(call, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    status, _, err = call(line)
    assert status == 2 and words in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_folder_is_a_run_or_has_data(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert "write --data_dir mine" in call("eval mine")[2]
    (tmp_path / "mine" / "config.yaml").write_text("")
    assert "write --run_dir mine" in call("eval mine")[2]


def test_nothing_is_guessed_for_an_unknown_flag(call):
    status, _, err = call("train --foo 3")
    assert status == 2 and "Unknown command line flag 'foo'" in err and "write" not in err
