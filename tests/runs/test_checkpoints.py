"""Checkpoints survive kills, full disks and damaged files, and come back to the bit."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.errors import CheckpointError
from lhrcnn.runs.checkpoints import CheckpointStore


def arrays(value=1.0):
    return {
        "model/a/kernel": np.full([3, 2], value, np.float32),
        "optimizer/0000/iteration": np.array(7, np.int64),
    }


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def names(store):
    return sorted(path.name for path in store.folder.iterdir())


def test_arrays_and_meta_come_back_to_the_bit(tmp_path):
    saved = {
        "model/float32": np.array([1.5, -0.0, 1e-42, 3e38], np.float32),
        "model/int64": np.array(2**62, np.int64),
        "model/half": np.array([[1.0, 6e-8]], np.float16),
        "model/empty": np.zeros([0, 4], np.float32),
        "model/bfloat16": np.array([1.0078125, -2.5], tf.bfloat16.as_numpy_dtype),
        "model/bool": np.array([True, False]),
    }
    CheckpointStore(tmp_path).save(saved, {"step": 12, "epoch": 1.5, "seed": 3})
    loaded, meta = CheckpointStore(tmp_path).load()
    assert meta == {"step": 12, "epoch": 1.5, "seed": 3}
    assert loaded.keys() == saved.keys()
    for name, value in saved.items():
        assert loaded[name].dtype == value.dtype and loaded[name].shape == value.shape
        assert loaded[name].tobytes() == value.tobytes()


def test_keeps_the_newest_and_the_best(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for step, metric in [(1, 0.2), (2, 0.7), (3, 0.1), (4, 0.5), (5, float("nan"))]:
        store.save(arrays(step), {"step": step})
        store.record_metric(step, metric)
    assert names(store) == [
        "index.json",
        "step_00000002.npz",
        "step_00000004.npz",
        "step_00000005.npz",
    ]
    assert store.steps() == [2, 4, 5]
    assert store.best() == (2, 0.7)
    assert [store.metric(step) for step in (2, 4, 6)] == [0.7, 0.5, None]
    assert np.isnan(store.metric(5))  # which tells it from one that nobody scored
    assert store.load("best")[1]["step"] == 2
    assert store.load("last")[1]["step"] == 5
    assert store.path("best").name == "step_00000002.npz"


def test_best_is_the_last_before_any_metric(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(arrays(), {"step": 3})
    assert (
        store.load("best")[1]["step"] == 3 and store.best() is None and store.path("best") is None
    )


def test_damaged_newest_falls_back_with_a_warning(tmp_path, caplog):
    store = CheckpointStore(tmp_path)
    store.save(arrays(1), {"step": 1})
    damage(store.save(arrays(2), {"step": 2}))
    loaded, meta = store.load("last")
    assert meta["step"] == 1 and loaded["model/a/kernel"][0, 0] == 1
    assert "step_00000002.npz: damaged" in caplog.text
    store.path("last").write_bytes(b"")  # cut off entirely
    assert store.load("best")[1]["step"] == 1
    damage(store.folder / "step_00000001.npz")
    with pytest.raises(
        CheckpointError, match="(?s)no checkpoint of this run is readable.*00000002.*00000001"
    ):
        store.load()


def test_saving_an_earlier_step_replaces_what_came_later(tmp_path):
    store = CheckpointStore(tmp_path, keep=3)
    for step in (1, 2, 3):
        store.save(arrays(step), {"step": step})
        store.record_metric(step, step)
    store.save(arrays(20), {"step": 2})
    assert store.steps() == [1, 2] and store.best() == (1, 1.0)
    assert store.load()[0]["model/a/kernel"][0, 0] == 20
    assert names(store) == ["index.json", "step_00000001.npz", "step_00000002.npz"]


@pytest.mark.parametrize(
    "index", [None, "{", "[]", '{"files": [{"step": 1}], "best": null}', "\x00"]
)
def test_lost_or_damaged_index_is_made_anew(tmp_path, index):
    store = CheckpointStore(tmp_path, keep=2)
    store.save(arrays(1), {"step": 1})
    store.save(arrays(2), {"step": 2})
    path = store.folder / "index.json"
    path.unlink() if index is None else path.write_text(index)
    assert store.load()[1]["step"] == 2
    store.save(arrays(3), {"step": 3})
    assert store.steps() == [2, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, tf.bfloat16.as_numpy_dtype])
def test_non_finite_weights_are_refused_by_name(tmp_path, value, dtype):
    store = CheckpointStore(tmp_path)
    store.save(arrays(1), {"step": 1})
    with pytest.raises(CheckpointError, match="model/bad holds NaN or infinite"):
        store.save({"model/bad": np.array([0, value], dtype)}, {"step": 2})
    assert store.load()[1]["step"] == 1


def test_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    """A limit on the size of files is hit in the middle of the write, as a full disk would."""
    script = """
        import resource, signal, sys
        import numpy as np
        from lhrcnn.runs.checkpoints import CheckpointError, CheckpointStore
        store = CheckpointStore(sys.argv[1])
        store.save({"model/a": np.ones(10)}, {"step": 1})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        try:
            store.save({"model/a": np.ones(1000000)}, {"step": 2})
        except CheckpointError as error:
            print(error)
        print(store.load()[1], sorted(path.name for path in store.folder.iterdir()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not done.stderr  # such as Python's word on an archive that was left open
    message, outcome = done.stdout.strip().splitlines()
    assert "step_00000002.npz: the checkpoint cannot be written: File too large" in message
    assert (
        "needs 8.0 MB" in message
        and f"last good checkpoint is {tmp_path / 'checkpoints' / 'step_00000001.npz'}" in message
    )
    assert outcome == "{'step': 1} ['index.json', 'step_00000001.npz']"


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "checkpoints").write_text("a file is in the way")
    with pytest.raises(
        CheckpointError, match="cannot be written.*last good checkpoint is none yet"
    ):
        CheckpointStore(tmp_path).save(arrays(), {"step": 1})


def test_kill_while_writing_leaves_whole_checkpoints(tmp_path):
    script = """
        import sys
        import numpy as np
        from lhrcnn.runs.checkpoints import CheckpointStore
        store = CheckpointStore(sys.argv[1])
        for step in range(1, 100000):
            store.save({"model/a": np.full(200000, step, np.int64)}, {"step": step})
            print(step, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    reached = 0
    while reached < 5:
        reached = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].split()
    reached = int(rest[-1]) if rest else reached
    loaded, meta = CheckpointStore(tmp_path).load()
    assert meta["step"] in (reached, reached + 1)
    assert (loaded["model/a"] == meta["step"]).all()
    store = CheckpointStore(tmp_path)
    store.save(arrays(), {"step": meta["step"] + 1})
    assert names(store) == [
        "index.json",
        f"step_{meta['step']:08d}.npz",
        f"step_{meta['step'] + 1:08d}.npz",
    ]


def test_loads_a_file_by_path_and_names_what_is_wrong_with_it(tmp_path):
    path = CheckpointStore(tmp_path / "other").save(arrays(4), {"step": 4})
    store = CheckpointStore(tmp_path / "run")
    assert store.load(path)[1]["step"] == 4 and store.load(str(path))[1]["step"] == 4
    with pytest.raises(CheckpointError, match="missing.npz: no such checkpoint file"):
        store.load(tmp_path / "missing.npz")
    text = tmp_path / "text.npz"
    text.write_text("not a zip file")
    with pytest.raises(CheckpointError, match="text.npz: not a readable checkpoint"):
        store.load(text)
    np.savez(tmp_path / "foreign.npz", a=np.ones(3))
    with pytest.raises(CheckpointError, match="foreign.npz: not a readable checkpoint"):
        store.load(tmp_path / "foreign.npz")
    np.savez(
        tmp_path / "pickle.npz", meta=np.array(json.dumps({"dtypes": {}})), a=np.array([{}], object)
    )
    with pytest.raises(
        CheckpointError, match="pickle.npz: not a readable checkpoint.*holds objects"
    ):
        store.load(tmp_path / "pickle.npz")
    meta = {"step": 4, "dtypes": {"a": "float8"}}
    np.savez(tmp_path / "later.npz", meta=np.array(json.dumps(meta)), a=np.ones(3, np.uint8))
    with pytest.raises(CheckpointError, match="later.npz: .* of type 'float8'; expected bfloat16"):
        store.load(tmp_path / "later.npz")
    with pytest.raises(
        CheckpointError, match="run/checkpoints: holds no checkpoint; train with this --run_dir"
    ):
        store.load()


def test_metric_of_a_step_that_was_not_saved(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(arrays(), {"step": 1})
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 2 .* there are steps \[1\]"):
        store.record_metric(2, 0.5)
