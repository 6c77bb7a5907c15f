"""train.patience and train.hours: where a training ends, in one go and resumed."""

import contextlib
import io

import pytest
from training.tiny_run import arrays_of, assert_same_arrays, lines, tiny_config

from lhrcnn.config import TrainConfig
from lhrcnn.errors import ConfigError
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.training import validation
from lhrcnn.training.limits import Limits
from lhrcnn.training.trainer import train

OPTIONS = ("train.epochs=6", "train.warmup_steps=2", "train.ema_decay=0")
KEPT = ("train.checkpoint_every=1", "train.keep_checkpoints=30")


@pytest.fixture(scope="module", autouse=True)
def scores():
    """Validations score .1, .5, .4, .3 ... and cost nothing."""

    def validate(detector, dataset, config, strategy):
        epoch = int(detector.optimizer.iterations.numpy()) // 5
        value = [0.1, 0.5, 0.4, 0.3, 0.2, 0.1][epoch - 1]
        return validation.Outcome("coco/AP", {"coco/AP": value})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(validation, "validate", validate)
        yield


@pytest.fixture(scope="module")
def whole(data, scores, tmp_path_factory):
    """(run directory, summary, output) of a training that its patience ends after 20 steps of 30;
    with a checkpoint of each step."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as output:
        summary = train(tiny_config(data, *OPTIONS, *KEPT, "train.patience=2"), run_dir)
    return run_dir, summary, output.getvalue()


def assert_as_in_one_go(run_dir, whole, step):
    """The step is the last of `run_dir`."""
    assert CheckpointStore(run_dir).load()[1]["step"] == step
    at_step = whole[0] / "checkpoints" / f"step_{step:08d}.npz"
    assert_same_arrays(arrays_of(run_dir), arrays_of(whole[0], at_step))


@pytest.mark.slow
def test_patience_ends_a_resumed_run_where_it_ends_one_in_one_go(data, tmp_path, whole):
    summary = whole[1]
    assert (summary["steps"], summary["best_step"], summary["interrupted"]) == (20, 10, False)
    told = "ends after step 20 of 30: 2 validations without a better score than that of step 10"
    assert told in whole[2]
    patient = tiny_config(data, *OPTIONS, "train.patience=2")
    short = tiny_config(data, *OPTIONS, "train.patience=2", "train.max_steps=15")
    assert train(short, tmp_path / "parts")["steps"] == 15
    assert train(patient, tmp_path / "parts")["steps"] == 20
    assert_as_in_one_go(tmp_path / "parts", whole, 20)
    assert train(patient, tmp_path / "parts")["steps"] == 20  # it is complete
    assert len(lines(tmp_path / "parts", "validation")) == 4


@pytest.mark.slow
def test_hours_end_after_a_step_and_more_of_them_go_on(data, tmp_path, whole, monkeypatch):
    seconds = [0.0]  # of this start

    def after_step(limits, batch, logs=None, former=Limits.on_train_batch_end):
        seconds[0] += 100
        former(limits, batch, logs)

    monkeypatch.setattr(Limits, "seconds", property(lambda self: self.spent_s + seconds[0]))
    monkeypatch.setattr(Limits, "on_train_batch_end", after_step)
    config = tiny_config(data, *OPTIONS, "train.hours=0.08")  # 288 s: three steps
    summary = train(config, tmp_path / "run")
    assert (summary["steps"], summary["best_step"], summary["total_steps"]) == (3, 3, 3)
    seconds[0] = 0.0
    assert train(config, tmp_path / "run")["steps"] == 3  # its time is over
    longer = tiny_config(data, *OPTIONS, "train.hours=0.18")  # 648 s: seven steps in all
    assert train(longer, tmp_path / "run")["steps"] == 7
    assert_as_in_one_go(tmp_path / "run", whole, 7)


def test_patience_needs_validations(data):
    for missing in ("data.val_split=", "train.eval_every=0"):
        with pytest.raises(ConfigError, match="'train.patience'.*'data.val_split'"):
            tiny_config(data, "train.patience=1", missing)


class Other:
    """One of two workers; `flag` is what the other one says."""

    def __init__(self, chief, flag):
        self.chief, self.flag = chief, flag

    def any(self, *flags):
        return any(flags) or self.flag


@pytest.mark.parametrize(("chief", "flag", "last"), [(1, 0, 4), (0, 0, 9), (0, 1, 4), (1, 1, 4)])
def test_the_clock_of_the_chief_decides(chief, flag, last):
    limits = Limits(TrainConfig(hours=1.0), None, Other(chief, flag), 5, spent_s=3600.0)
    assert limits.last_step(4, 9) == last
