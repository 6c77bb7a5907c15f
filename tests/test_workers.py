"""Several workers do what one with as many devices does, whatever happens to them."""

import json
import shutil
import signal
import socket

import numpy as np
import pytest
import tensorflow as tf
from training.tiny_run import Child, lines, make_coco, tiny_config

from lhrcnn import cli, workers
from lhrcnn.errors import TrainingError, UsageError
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.training.trainer import train

PLAIN = ("train.checkpoint_every=2", "train.keep_checkpoints=20")


def tf_config(addresses, index, kind="worker"):
    cluster = {"worker": addresses}
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def start(run_dir, folders, *overrides):
    """Two workers, as Children, each with a folder of the data."""
    with socket.socket() as first, socket.socket() as second:
        ports = []
        for one in (first, second):
            one.bind(("localhost", 0))
            ports.append(f"localhost:{one.getsockname()[1]}")
    return [
        Child(run_dir, data, *overrides, TF_CONFIG=tf_config(ports, index))
        for index, data in enumerate(folders)
    ]


def assert_same_weights(run, other):
    found, wanted = (CheckpointStore(folder).load()[0] for folder in (run, other))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        # Each device has its own moving statistics, and a resume puts their mean on all of them.
        near = 1e-6 if "/moving_" in name else 0
        np.testing.assert_allclose(found[name], array, rtol=near, atol=near, err_msg=name)


def test_stopped_gone_on_with_and_bereft_of_one_they_end_as_two_devices(tmp_path, two_cpus):
    """Two workers are stopped by a signal to one and go on, then one is killed and two devices end
    what is left: with the weights of two devices in one go.

    With all that one worker's rows could be told apart by: moving statistics, the hardest RoIs,
    parts of a batch, mixed images."""
    data = make_coco(tmp_path / "data")
    options = [*PLAIN, "model.backbone.name=small", "model.head.sampler=ohem", "train.epochs=4"]
    options += ["train.precision=mixed_bfloat16", "train.accumulate_steps=2"]
    options += ["train.batch_size=4", "data.transforms=[ExactMosaic]"]
    # Parts are weighted by their numbers of RoIs: with so few, they are known before any proposal,
    # which depends on moving statistics.
    options += ["model.head.batch_per_image=4"]
    train(tiny_config(data, *options), tmp_path / "devices", strategy=two_cpus)

    folders = data, shutil.copytree(data, tmp_path / "copy")
    chief, other = start(tmp_path / "workers", folders, *options)
    chief.signal_at(4, signal.SIGTERM)
    assert other.wait() == 0 and chief.process.returncode == 0, chief.output
    ends = [json.loads(one.output.split("summary ")[1]) for one in (chief, other)]
    assert ends[0]["interrupted"] and 4 <= ends[0]["steps"] == ends[1]["steps"] < 9
    tables = [lines(tmp_path / name, "validation")[0] for name in ("workers", "devices")]
    assert tables[0]["step"] == 3 and {**tables[0], "time": ""} == {**tables[1], "time": ""}

    chief, other = start(tmp_path / "workers", folders, *options)
    chief.read_until("validation after step 9")
    other.process.kill()
    assert chief.wait() == 1, chief.output
    assert f"going on after step {ends[0]['steps']}" in chief.output
    assert "worker 0 of 2: worker 1 has stopped or cannot be reached" in chief.output
    assert other.wait() == -signal.SIGKILL and "epoch" not in other.output

    train(tiny_config(data, *options), tmp_path / "workers", strategy=two_cpus)
    assert_same_weights(tmp_path / "workers", tmp_path / "devices")
    for name in ("workers", "devices"):
        steps = [line["step"] for line in lines(tmp_path / name, "validation")]
        assert steps == [3, 6, 9, 12], name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG: not readable as JSON"),
        (tf_config(["a:1", "b:1"], 2), "is none of the 2 workers"),
        (tf_config(["a:1", "b:1"], 0, "ps"), "found jobs worker and task .*allowed are the jobs"),
        ('{"cluster": {"ps": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker"}}', "jobs ps"),
    ],
)
def test_a_tf_config_that_cannot_be_meant(text, message, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    workers.strategy_of_workers.cache_clear()
    with pytest.raises(UsageError, match=message):
        workers.strategy_of_workers()


def test_one_worker_in_tf_config_is_a_training_as_usual(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(["a:1"], 0))
    workers.strategy_of_workers.cache_clear()
    alone = workers.Workers(workers.strategy_of_workers())
    assert (alone.number, alone.index, alone.chief) == (1, 0, True)
    assert alone.any(False, True) and not alone.any(False)


def test_slurm_names_a_worker_per_task():
    environment = {
        "SLURM_STEP_NODELIST": "n[07-08],gpu3",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
        "SLURM_PROCID": "3",
    }
    assert json.loads(workers.from_slurm(environment)) == {
        "cluster": {"worker": ["n07:12345", "n07:12346", "n08:12345", "n08:12346", "gpu3:12345"]},
        "task": {"type": "worker", "index": 3},
    }
    with pytest.raises(UsageError, match="SLURM_PROCID not set; start it by `srun"):
        workers.from_slurm(dict.fromkeys(list(environment)[:2], "1"))


class Three(workers.Workers):
    """Three workers in one process, of which the last has something else."""

    def __init__(self):
        self.number, self.index = 3, 0

    def gather(self, rows):
        return np.concatenate([rows, rows, rows + [[0, 1]]])


def test_workers_that_differ_are_named():
    with pytest.raises(TrainingError, match="^worker 2 of 3 has data that differs from worker 0's"):
        Three().check_same({"a config": "a", "data": "b"})


def test_a_time_that_each_worker_would_measure_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", "of three")
    monkeypatch.setattr(workers, "strategy_of_workers", lambda: None)
    monkeypatch.setattr(workers, "Workers", lambda strategy: Three())
    assert cli.main(["train", "--data_dir", "x", "--minutes", "2"]) == 2
    assert "--minutes: each worker" in capsys.readouterr().err


def test_the_lost_worker_is_counted_as_the_others_are():
    """A chief is worker 0, and the first of the job `worker` then worker 1."""
    spec = tf.train.ClusterSpec({"chief": ["a:1"], "worker": ["b:1", "c:1"]})

    class Strategy:
        cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            spec, task_type="worker", task_id=0
        )
        num_replicas_in_sync = 3

    own = workers.Workers(Strategy())
    assert (own.number, own.index) == (3, 1)
    for task, index in (("chief/replica:0/task:0", 0), ("worker/replica:0/task:1", 2)):
        text = f"/job:worker/replica:0/task:0 lost /job:{task}"
        error = tf.errors.UnavailableError(None, None, text)
        assert own.lost(error).startswith(f"worker 1 of 3: worker {index} has stopped")


def test_workers_part_together_or_after_one_another():
    done, one = [], Three()
    one.any = lambda: done.append("met")
    one.part()

    def lost():
        raise tf.errors.UnavailableError(None, None, "Socket closed")

    one.any = lost
    one.part()
    assert done == ["met"]


@pytest.mark.parametrize(("index", "order"), [(0, ["work", "met"]), (2, ["met", "work"])])
def test_the_chief_writes_before_the_others_look(index, order):
    done, one = [], Three()
    one.index, one.any = index, lambda: done.append("met")
    with one.chief_first():
        done.append("work")
    assert done == order
