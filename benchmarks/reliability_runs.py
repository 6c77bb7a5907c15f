"""Trainings that take seconds, each in a process that can be stopped in a known place; for
`reliability.py` and `reliability_long.py`."""

import ctypes
import functools
import hashlib
import importlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

from lhrcnn import config
from lhrcnn.data.tools.shapes import make_shapes
from lhrcnn.runs.checkpoints import CheckpointStore

STEP = "lhrcnn.training.callbacks:FiniteLosses.on_train_batch_end"  # after each step
OPTIONS = {
    "data.format": "coco",
    "data.resize": "stretch",
    "data.stretch_size": [64, 64],
    "data.workers": 1,
    "model.backbone.name": "vgg16",
    "model.backbone.width": 0.03125,
    "model.rpn.levels": ["c5"],
    "model.rpn.channels": 8,
    "model.rpn.pre_nms_train": 64,
    "model.rpn.post_nms_train": 16,
    "model.rpn.pre_nms_test": 64,
    "model.rpn.post_nms_test": 16,
    "model.head.kernel_size": 3,
    "model.head.mid_channels": 8,
    "model.head.pool_size": 3,
    "model.head.thin_channels": 2,
    "model.head.fc_channels": 8,
    "model.head.roi_impl": "tf",
    "model.head.batch_per_image": 8,
    "train.batch_size": 2,
    "train.epochs": 4,
    "train.eval_every": 2,
    "train.warmup_steps": 2,
    "train.checkpoint_every": 2,
    "train.num_images": 0,
    "eval.batch_size": 2,
}
STAGES = [
    {"train.part": "rpn", "train.max_steps": 4},
    {"train.part": "head", "train.max_steps": 4, "start": "pretrained"},
]
RUNS = {  # name: (command, what differs)
    "plain": ("train", {"train.ema_decay": 0.9}),
    "stages": ("train", {"train.stages": STAGES, "train.max_steps": 4}),
    "pretrain": ("pretrain", {"data.format": "folders", "train.max_steps": 12}),
}


class Trainings:
    """The data and configs of all RUNS in a folder, and what becomes of runs left alone."""

    def __init__(self, folder, moments):
        """`moments` as `noting` takes them."""
        self.folder, self.moments = pathlib.Path(folder), moments
        make_shapes(self.folder / "shapes", num_train=6, num_val=2)
        images = sorted((self.folder / "shapes" / "val").iterdir())
        for name in ("train/a", "train/b", "val/a", "val/b"):
            (self.folder / "folders" / name).mkdir(parents=True)
            for number, image in enumerate(images):
                shutil.copy(image, self.folder / "folders" / name / f"{number}.jpg")
        for name, (_, changes) in RUNS.items():
            data = self.folder / ("folders" if name == "pretrain" else "shapes")
            options = {**OPTIONS, "data.dir": str(data), **changes}
            config.save(config.load(None, options), self.folder / f"{name}.yaml")

    def words(self, name, run):
        """The command line of a run."""
        return [RUNS[name][0], "--config", str(self.folder / f"{name}.yaml"), "--run_dir", str(run)]

    @functools.cache  # noqa: B019  a process has one of these
    def undisturbed(self, name):
        """(folder, digest, [(function, its number of calls so far, seconds)] of `moments`) of a
        run."""
        run, notes = self.folder / f"whole_{name}", self.folder / f"{name}.calls"
        status, output = finish(begin(self.words(name, run), lambda: noting(self.moments, notes)))
        assert status == 0, output
        calls = [line.split() for line in notes.read_text().splitlines()]
        return run, digest(run), [(where, int(n), float(time)) for where, n, time in calls]

    def resumed(self, name, run):
        """(whether the same command finishes the run to the same bits, what it said)."""
        status, output = finish(begin(self.words(name, run)))
        return status == 0 and digest(run) == self.undisturbed(name)[1], output


def begin(words, before=None):
    """(process id, file of its output) of `lhrcnn WORDS` in a fork, which calls before() first."""
    log = tempfile.TemporaryFile()  # noqa: SIM115  `finish` reads it
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid, log
    status = 99
    try:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        from lhrcnn import cli

        if before:
            before()
        status = cli.main(words)
    except BaseException:  # where `cli.main` lets one through
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def finish(process):
    """(exit status, negative for a signal, and output) of a process, once it ends."""
    pid, log = process
    _, status = os.waitpid(pid, 0)
    log.seek(0)
    return os.waitstatus_to_exitcode(status), log.read().decode(errors="replace")


def digest(run):
    """sha256 of all arrays and scores of the last checkpoints of a run and its stages."""
    found = hashlib.sha256()
    for folder in sorted(pathlib.Path(run).rglob("checkpoints")):
        store = CheckpointStore(folder.parent)
        arrays, meta = store.load()
        score = store.metric(meta["step"])
        found.update(f"{folder.relative_to(run)} {meta['step']} {score}".encode())
        for name, array in sorted(arrays.items()):
            found.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def as_a_user():
    """Takes from this process what root may do beyond the modes of files."""
    version_and_process, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None).capset(version_and_process, none):
        raise OSError("capset failed")


def tree(folder):
    """{path: sha256} of all files below a folder, but for locks."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def noting(functions, path):
    """Has every call of "module:function"s, once it ends, add a line to a file: function, number
    of the call, seconds."""

    def around(where, number, call):
        start = time.monotonic()
        try:
            return call()
        finally:
            with open(path, "a") as file:
                file.write(f"{where} {number} {time.monotonic() - start:.4f}\n")

    for where in functions:
        wrap(where, around)


def telling(where, number, pipe):
    """Has call `number` of a "module:function" write a byte to a pipe when it begins."""

    def around(_, now, call):
        if now == number:
            os.write(pipe, b"!")
        return call()

    wrap(where, around)


def wrap(where, around):
    """Has a "module:function" called as around(where, number of the call, the call itself)."""
    module, path = where.split(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    function, number = getattr(owner, name), 0

    def wrapped(*arguments, **keywords):
        nonlocal number
        number += 1
        return around(where, number, lambda: function(*arguments, **keywords))

    setattr(owner, name, wrapped)
