"""The commands as a user types them: help, wrong usage, failures, and one tiny experiment."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf
from tiny import TINY_RUN

from lhrcnn import cli, commands, config
from lhrcnn.errors import ConfigError, DataError, DependencyError, UsageError

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = list(cli.COMMANDS)


def python(arguments, folder):
    """The completed process of this Python in another folder, with the checkout importable."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def tiny(*more):
    """The --set flags of a detector that trains in seconds."""
    return [word for override in [*TINY_RUN, *more] for word in ("--set", override)]


def test_overview_names_every_command_once(call):
    status, out, err = call("--help")
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    assert (status, err) == (0, "") and len(lines) == len(NAMES)
    for name, line in zip(NAMES, lines):
        assert line.startswith(f"  {name} ") and cli.COMMANDS[name].summary in line


@pytest.mark.parametrize("name", NAMES)
def test_help_lists_the_flags_of_a_command(call, name):
    values = commands.flags.FlagValues()
    cli.COMMANDS[name].define(values)
    status, out, err = call(f"{name} --help")
    assert (status, err) == (0, "")
    shown = {
        line.strip()[2:].replace("[no]", "") for line in out.splitlines() if line.startswith("  --")
    }
    assert shown == set(values) and all(values[flag].help for flag in values)


def test_words_of_a_group_list_its_commands(call):
    for line, expected in (("data", cli.WRONG_USAGE), ("data --help", 0)):
        status, out, _ = call(line)
        assert status == expected and "export" not in out
        assert "data check" in out and "data browse" in out


def test_help_and_wrong_usage_do_not_wait_for_tensorflow(tmp_path):
    code = (
        "import sys; from lhrcnn import cli; "
        "help = [cli.main(['--help']), cli.main(['train', '--help'])]; "
        "numpy = 'numpy' in sys.modules; "
        "print(help, [cli.main(a.split()) for a in sys.argv[1:]], numpy, "
        "'tensorflow' in sys.modules)"
    )
    result = python(["-c", code, "eval", "train --set a=1", "data"], tmp_path)
    assert result.stdout.splitlines()[-1] == "[0, 0] [2, 2, 2] False False"


@pytest.mark.parametrize(
    "line, words",
    [
        ("", "usage: lhrcnn COMMAND"),
        ("trian", "did you mean 'train'"),
        ("data chek", "did you mean 'data check'"),
        ("train --confg=x", "Did you mean: config"),
        ("train --seed=-1", "non-negative"),
        ("train --seed", "Missing value for flag"),
        ("train --resume=maybe", "auto|never|must"),
        ("train configs/x.yaml", "takes flags only, found 'configs/x.yaml'"),
        ("train --set train.batchsize=3", "did you mean 'batch_size'"),
        ("train --set train.batch_size=many", "expected int, found 'many'"),
        ("train --set train.batch_size", "expected section.key=value"),
        ("train --config nope.yaml", "nope.yaml: no such config file"),
        ("train --config light_head_xception_shape", "did you mean 'light_head_xception_shapes'"),
        ("pretrain --config xception_imagnet", "did you mean 'xception_imagenet'"),
        ("pretrain --set pretrain.teacher=mobilenet", "did you mean 'mobilenet_v2'"),
        ("pretrain --minutes 3", "Unknown command line flag 'minutes'"),
        ("eval", "--run_dir is missing"),
        (
            "eval --run_dir light_head_mobilenet_v2_voc07_144 --metrics=coco,map",
            "allowed: coco, voc07, voc, ilsvrc, deteval, wolf_jolion, icdar_iou",
        ),
        (
            "eval --run_dir light_head_mobilenet_v2_voc07_144 --metrics=map --metrics=coco",
            "allowed: coco, voc07, voc, ilsvrc, deteval, wolf_jolion, icdar_iou",
        ),
        ("eval --detections found.json", "--annotations is missing"),
        ("eval --annotations truth.json", "--detections is missing"),
        ("eval --run_dir x --shard 3/2", "expected i/n with i from 1 to n"),
        ("eval --run_dir x --shard 1/2 --merge 2", "give one of them"),
        ("eval --run_dir x --shard 1/2 --report", "give one of them"),
        (
            "eval --detections a --annotations b --checkpoint last",
            "--checkpoint has no meaning beside --detections",
        ),
        (
            "eval --detections a --annotations b --run_dir c",
            "--run_dir has no meaning beside --detections",
        ),
        ("predict --run_dir x", "name images, folders"),
        ("predict photo.jpg --run_dir x --score_threshold 2", "--score_threshold=2"),
        ("predict photo.jpg --overlap .5", "--overlap has a meaning only with --tiles"),
        ("eval --run_dir x --tile_merge fusion", "--tile_merge has a meaning only with --tiles"),
        ("predict photo.jpg --precision bfloat16", "only with --model; of a run: --set test.prec"),
        ("benchmark --precision bfloat16", "--precision has a meaning only with --model"),
        ("benchmark --model x --batch_size 4", "--batch_size has no meaning beside --model"),
        ("benchmark --checkpoint last", "--checkpoint has a meaning only with --run_dir"),
        ("export --run_dir x --data_dir y", "--data_dir has a meaning only with --calibrate"),
        ("eval --model x --checkpoint last", "--checkpoint has no meaning beside --model"),
        ("export", "--run_dir is missing"),
        ("export --run_dir x --roi_impl=torch", "tf|custom"),
        ("data make-shapes --num_train 0", "--num_train=0"),
        ("data make-text --output words", "--images is missing"),
        (
            "data convert --data_dir . --to coco --output x --split a/val --split b/val",
            "--split b/val: 'val' is the name of a/val, too",
        ),
        ("data convert --data_dir . --to coco --output x --split =val", "expected NAME=SPLIT"),
        ("data convert --data_dir . --to coco --output x --from cocoo", "did you mean 'coco'"),
        ("data voc-to-det --output x --list t=a --list t=b", "'t' is the name of a, too"),
        ("localisation", "--run_dir is missing"),
        (
            "localisation --run_dir light_head_mobilenet_v2_voc07_144 --set test.flip=true",
            "looks at each image once",
        ),
        (
            "proposals --run_dir light_head_mobilenet_v2_voc07_144 --set test.scales=[1,2]",
            "looks at each image once",
        ),
        (
            "eval --run_dir light_head_mobilenet_v2_voc07_144 --set train.optimizer=adamw",
            "'train.gradient_multipliers'",  # which this run has, and the default has not
        ),
        ("proposals", "--run_dir is missing"),
        (
            "train --set train.stages=[{train.part:rpm}]",
            "write a space after the colon: {train.part: rpm}",
        ),
    ],
)
def test_wrong_usage_is_answered_with_status_2_and_a_hint(call, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(line)
    assert status == 2
    assert words in out + err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line, words",
    [
        ("eval --run_dir nowhere", "nowhere: not a run directory"),
        ("export --run_dir nowhere", "nowhere: not a run directory"),
        ("predict photo.jpg --run_dir nowhere", "nowhere: not a run directory"),
        ("eval --detections nowhere.json --annotations nowhere.json", "nowhere.json: No such file"),
        ("train --set data.format=coco --data_dir nowhere", "nowhere: no such data folder"),
        ("train --data_dir nowhere --run_dir nothing", "nowhere: no such data folder"),
        (
            "pretrain --data_dir nowhere",
            "nowhere/train: no such folder of images (data.format=folders reads "
            "DIR/SPLIT/CLASS/*.jpg); nowhere does not exist",
        ),
        ("train --resume=must --run_dir new", "holds no checkpoint to resume from"),
        ("train --run_dir file/run", "file/run: not a folder that can be written to"),
        (
            "predict photo.jpg --run_dir x --output file",
            "file: not a folder that can be written to",
        ),
        ("data browse --output file/sheets", "file/sheets: not a folder that can be written to"),
        ("data browse --set data.format=voc --data_dir nowhere", "nowhere"),
    ],
)
def test_failures_are_one_message_and_status_1(call, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    status, _, err = call(line)
    assert status == 1
    assert words in err and err.count("lhrcnn: ") == 1 and "Traceback" not in err


def _raise(error):
    def run(values):
        raise error

    return run


@pytest.mark.parametrize(
    "error, status, traceback",
    [
        (KeyError("bug"), 1, True),
        (ValueError("from elsewhere"), 1, True),
        (AttributeError("bug"), 1, True),
        (RuntimeError("from TensorFlow"), 1, True),
        (ConfigError("wrong option"), 2, False),
        (UsageError("wrong flag"), 2, False),
        (DataError("wrong image"), 1, False),
        (DependencyError("not installed"), 1, False),
        (FileNotFoundError(2, "No such file or directory", "a.jpg"), 1, False),
        (PermissionError(13, "Permission denied", "a.jpg"), 1, False),
        (KeyboardInterrupt(), 130, False),
    ],
)
def test_only_unexpected_errors_show_a_traceback(call, monkeypatch, error, status, traceback):
    monkeypatch.setitem(cli.COMMANDS, "env", commands.Command("fails", (), _raise(error)))
    found, _, err = call("env")
    assert found == status and ("Traceback" in err) == traceback
    assert "a.jpg: " in err or not isinstance(error, OSError)
    if not isinstance(error, KeyboardInterrupt):
        found, _, err = call("env --debug")
        assert found == status and "Traceback" in err and type(error).__name__ in err


def test_a_slip_in_the_code_of_lhrcnn_is_not_shown_as_a_mistake_of_the_user(call, monkeypatch):
    def slip(path, overrides=()):
        return int("x")

    monkeypatch.setattr(config, "load", slip)
    status, _, err = call("train")
    assert status == 1 and "Traceback" in err and "invalid literal" in err


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = (
        f"{shlex.quote(sys.executable)} -m lhrcnn config light_head_xception_shapes | head -n 2"
    )
    result = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "\nplugins: []" in result.stdout and result.stderr == ""


def test_configs_are_found_by_path_and_by_name(tmp_path, monkeypatch):
    shipped = ROOT / "configs" / "light_head_xception_shapes.yaml"
    for name in (str(shipped), "light_head_xception_shapes", "light_head_xception_shapes.yaml"):
        assert os.path.samefile(commands.find_config(name), shipped)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "light_head_xception_shapes.yaml").write_text("train: {epochs: 1}")
    assert not os.path.samefile(commands.find_config("light_head_xception_shapes.yaml"), shipped)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_shipped_config_loads(call, path):
    status, out, err = call(f"config {path.stem}")
    assert (status, err) == (0, "") and "# peak learning rate at base_batch_size" in out
    assert path.read_text(encoding="utf-8").startswith("#"), (
        "a config starts with a comment on paper, hardware and cost"
    )


def test_config_lists_what_is_shipped_and_prints_one(call, done, tmp_path):
    lines = done("config").splitlines()
    shown = {line.split()[0]: line for line in lines if line and line[0] != "`"}
    assert set(shown) == {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    assert "MobileNetV2" in shown["light_head_mobilenet_v2_voc07_144"]
    loaded = config.load(None, ["train.epochs=5"])
    config.save(loaded, tmp_path / "config.yaml")
    out = done("config", tmp_path, "--set", "train.batch_size=3")
    assert "  epochs: 5 " in out and "  batch_size: 3 " in out
    assert done("config --markdown") == config.markdown()
    assert call("config a b")[0] == 2 and call("config nothing")[0] == 2


def test_train_flags_reach_the_trainer(done, tmp_path, monkeypatch):
    from lhrcnn.training import trainer

    seen = []

    def train(experiment, run_dir, resume="auto", callbacks=()):
        seen.append((experiment, str(run_dir), resume))
        best = {"best_metric": "", "best_score": None, "best_step": None}
        paths = {"run_dir": str(run_dir), "checkpoint": "c", "best_checkpoint": "c"}
        done = {
            "steps": 3,
            "total_steps": 3,
            "interrupted": experiment.train.init_from == "stopped",
        }
        return {**done, **best, **paths}

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.chdir(tmp_path)
    embedded = config.load(ROOT / "configs" / "light_head_xception_shapes.yaml")
    assert "light_head_xception_shapes.yaml (the default; --config" in done("train")
    assert seen.pop() == (embedded, "runs/light_head_xception_shapes", "auto")
    done(
        "train --config light_head_xception_shapes --seed=7 --data_dir=elsewhere "
        "--set train.epochs=2 --set train.seed=5 --run_dir=run --resume=never"
    )
    experiment, run_dir, resume = seen.pop()
    assert (experiment.train.seed, experiment.train.epochs) == (7, 2)
    assert (experiment.data.dir, run_dir, resume) == ("elsewhere", "run", "never")
    (tmp_path / "run").mkdir()
    config.save(experiment, tmp_path / "run" / "config.yaml")
    told = "config: run/config.yaml (what this run was started with)"
    assert told in done("train --run_dir=run")
    assert seen.pop()[0] == experiment
    done("train --run_dir=run --config light_head_xception_shapes")
    assert seen.pop()[0] == embedded
    out = done("train --run_dir=run --init_from stopped")
    assert out.splitlines()[-1].endswith("lhrcnn train --run_dir run")
    assert seen.pop()[0] == config.changed(experiment, {"train.init_from": "stopped"})
    (tmp_path / "mine" / "runs" / "mine").mkdir(parents=True)
    config.save(experiment, tmp_path / "mine" / "runs" / "mine" / "config.yaml")
    monkeypatch.chdir(tmp_path / "mine")
    done("train --data_dir=.")
    assert seen.pop()[1] == "runs/mine", "a derived run has the name of the data folder"


def test_env_tells_versions_devices_and_the_op(done):
    rows = dict(line.split(None, 1) for line in done("env").splitlines())
    assert rows["tensorflow"] == tf.__version__ and "CPU:0" in rows["devices"]
    assert rows["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert "compiled" in rows


def test_build_ops_says_where_the_library_is(done):
    if not shutil.which("g++"):
        pytest.skip("needs g++")
    assert ".so" in done("build-ops")


def test_data_commands(call, done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = done("data make-shapes --output shapes --num_train 5 --num_val 2")
    assert "5 images for training, 2 for validation" in out
    assert "shapes: no errors, no warnings, " in done("data check --data_dir shapes")
    assert "5 of 5 images" in done("data browse --data_dir shapes --output stored")
    done("data browse --data_dir shapes --output seen --augmented --num 11 --first 3")
    assert call("data browse --data_dir shapes --first 5")[0] == 2
    out = done("data stats --data_dir shapes --output pages")
    assert "objects per image" in out and out.endswith("pages/stats.png\n")
    for page in ("stored/sheet_001.png", "seen/sheet_001.png", "pages/stats.png"):
        assert (tmp_path / page).stat().st_size > 10000
    found = json.loads(done("data stats --data_dir shapes --output pages --json"))
    assert found["splits"]["train"]["images"] == 5

    (tmp_path / "shapes/train/000001.jpg").unlink()
    (tmp_path / "shapes/train/000002.jpg").write_bytes(b"no image")
    status, out, err = call("data check --data_dir shapes --split train --split val")
    assert status == 1 and "Traceback" not in err
    assert "000001.jpg" in out and "000002.jpg" in out
    assert out.splitlines()[-1].startswith("shapes: 1 error, 1 warning, ")


def test_golden_detections_give_the_golden_numbers(shared, tmp_path):
    golden = shared / "data" / "coco_eval_golden"
    detections = golden / "instances_val2014_fakebbox100_results.json"
    files = ["--detections", detections, "--annotations", golden / "instances_val2014_100.json"]
    words = [ROOT / "eval_main.py", *files, "--output", tmp_path / "metrics.json"]
    result = python(words, tmp_path)
    assert result.returncode == 0, result.stderr
    printed = [line.rpartition(" ")[2] for line in result.stdout.splitlines() if "@[" in line]
    numbers = "0.505 0.697 0.573 0.586 0.519 0.501 0.387 0.594 0.595 0.640 0.566 0.564"
    assert printed == numbers.split()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["coco"]["AP"] == pytest.approx(0.505, abs=5e-4)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Folder with a small data set `shapes` and a run `run`, trained by train_main.py."""
    from lhrcnn.data.tools.shapes import make_shapes

    folder = tmp_path_factory.mktemp("experiment")
    make_shapes(folder / "shapes", num_train=8, num_val=4)
    flags = ["--data_dir", "shapes", "--run_dir", "run"]
    flags += tiny("train.max_steps=3", "train.eval_every=0")
    result = python([ROOT / "train_main.py", *flags], folder)
    assert result.returncode == 0, result.stderr
    assert "steps           3 of 3" in result.stdout and "step_00000003.npz" in result.stdout
    return folder


@pytest.mark.slow
def test_evaluation_of_a_run(call, done, experiment, monkeypatch):
    monkeypatch.chdir(experiment)
    command = "eval --run_dir run --metrics=coco,voc07,voc --split train"
    out = done(f"{command} --checkpoint=run/checkpoints/step_00000003.npz")
    table = [line for line in out.splitlines() if "@[" in line]
    assert "(AP) @[ IoU=0.50:0.95" in table[0] and "run/eval/train.json" in out
    metrics = json.loads(pathlib.Path("run/eval/train.json").read_text())
    assert {"coco", "voc07", "voc"} <= set(metrics)
    assert (metrics["step"], metrics["images"], metrics["split"]) == (3, 8, "train")
    again = done(
        "eval --detections run/eval/train_detections.json "
        "--annotations shapes/annotations/instances_train.json"
    )
    assert [line for line in again.splitlines() if "@[" in line] == table
    for part in ("2/2", "1/2"):
        assert f"train_shard_{part[0]}_of_2.npz" in done(f"{command} --shard {part}")
        if part == "2/2":
            status, _, err = call("eval --run_dir run --split train --merge 2")
            assert status == 1 and "train_shard_1_of_2.npz" in err
    assert done(f"{command} --merge 2") == out
    assert json.loads(pathlib.Path("run/eval/train.json").read_text()) == metrics
    out = done("localisation --run_dir run --checkpoint=last --split train")
    assert "input IoU   boxes  mean IoU" in out
    table = json.loads(pathlib.Path("run/eval/train_localisation.json").read_text())["localisation"]
    assert table["0.5"]["boxes"] > 0 and 0 <= table["0.5"]["AR"] <= 1
    status, _, err = call("eval --run_dir run --checkpoint=none.npz")
    assert status == 1 and "none.npz: no such checkpoint" in err


@pytest.mark.slow
def test_report_and_comparison_of_runs(call, done, experiment, monkeypatch):
    monkeypatch.chdir(experiment)
    monkeypatch.setattr("lhrcnn.evaluation.analysis.bootstrap.ROUNDS", 20)
    monkeypatch.setattr("lhrcnn.commands.report.RUNS", 1)
    out = done("eval --run_dir run --split val --report")
    assert "report      run/report/val.html" in out

    def page():  # boxes in files have fewer digits than those that were just found
        text = pathlib.Path("run/report/val.json").read_text()
        return json.loads(text, parse_float=lambda number: round(float(number), 6))

    data = page()
    assert data["stages"]["total"]["ms"] > 0 and data["training"]["training losses"]["loss"]
    out = done("report --run_dir run --split val --nospeed")
    assert "detections  run/eval/val_detections.json" in out
    again = page()
    assert again["stages"] is None and again["errors"] == data["errors"]
    assert again["images"] == data["images"] and again["classes"] == data["classes"]
    done("report --run_dir run --split train --output shapes/page.html")
    assert pathlib.Path("shapes/page.html").is_file()
    out = done("compare run run --split val --output both.json")
    assert "run -> run" in out and "+0.000" in out and "within noise" in out
    figures = json.loads(pathlib.Path("both.json").read_text())["compared"]["run"]
    assert figures["AP"]["p"] == 1
    assert figures["AP"]["first"] == pytest.approx(data["intervals"]["AP"][0], abs=1e-6)
    assert call("compare run")[0] == 2


@pytest.mark.slow
def test_predictions_name_what_cannot_be_read_and_do_the_rest(call, experiment, monkeypatch):
    monkeypatch.chdir(experiment)
    pathlib.Path("empty").mkdir()
    pathlib.Path("broken.jpg").write_bytes(pathlib.Path("shapes/val/000001.jpg").read_bytes()[:500])
    images = "shapes/train/000001.jpg broken.jpg missing.png empty shapes/val"
    status, out, err = call(f"predict {images} --run_dir run --output found --score_threshold 0")
    assert status == 1
    assert all(name in err for name in ("broken.jpg", "missing.png", "empty"))
    assert "3 of 8 inputs could not be used" in err
    assert "model: run: light head on vgg16, 4 classes: circle, square, triangle, star" in out
    content = json.loads(pathlib.Path("found/detections.json").read_text())
    used = [image["file_name"] for image in content["images"]]
    assert used == ["shapes/train/000001.jpg", *(f"shapes/val/00000{k}.jpg" for k in (1, 2, 3, 4))]
    drawn = [image["annotated"] for image in content["images"]]
    assert drawn[:2] == ["000001.jpg", "000001_2.jpg"]
    others = {"detections.json", ".lhrcnn_files"}
    assert {path.name for path in pathlib.Path("found").iterdir()} == {*drawn, *others}
    names = [category["name"] for category in content["categories"]]
    assert names == ["circle", "square", "triangle", "star"]
    ids = [annotation["id"] for annotation in content["annotations"]]
    assert ids and len(set(ids)) == len(ids)
    for annotation in content["annotations"]:
        image = content["images"][annotation["image_id"] - 1]
        x, y, width, height = annotation["bbox"]
        assert 0 <= x <= x + width <= image["width"] + 0.01
        assert 0 <= y <= y + height <= image["height"] + 0.01
    assert call("predict shapes/val --run_dir run --output nothing --score_threshold 1")[0] == 0
    assert not json.loads(pathlib.Path("nothing/detections.json").read_text())["annotations"]


@pytest.mark.slow
def test_export_of_a_run(call, done, experiment, monkeypatch):
    monkeypatch.chdir(experiment)
    assert "savedmodel  run/export" in done("export --run_dir run")
    assert pathlib.Path("run/export/saved_model.pb").exists()
    status, _, err = call("export --run_dir run")
    assert status == 1 and "--overwrite" in err


@pytest.mark.slow
def test_a_finished_run_is_not_trained_again(call, done, experiment, monkeypatch):
    monkeypatch.chdir(experiment)
    before = pathlib.Path("run/checkpoints/step_00000003.npz").read_bytes()
    assert "steps           3 of 3" in done("train --run_dir run")
    assert pathlib.Path("run/checkpoints/step_00000003.npz").read_bytes() == before
    status, _, err = call("train --run_dir run --resume=never")
    assert status == 1 and "--resume=never" in err
