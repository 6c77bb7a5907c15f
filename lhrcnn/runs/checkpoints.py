"""Checkpoints of a run: plain `.npz` files that are written whole or not at all, and read back only
when intact.

RUN_DIR/checkpoints/step_00001234.npz holds arrays named `model/NAME`, `ema/NAME` and
`optimizer/NAME`, and a JSON text `meta`. RUN_DIR/checkpoints/index.json lists the files, oldest
first, with step, sha256 and metric, and which of them is best. Nothing here is a pickle, so that
opening somebody's checkpoint runs no code of theirs."""

import json
import math
import os
import pathlib
import re
import shutil

import ml_dtypes
import numpy as np
from absl import logging

from lhrcnn.errors import CheckpointError
from lhrcnn.files import replacing, save_npz, sha256_of
from lhrcnn.models.names import present
from lhrcnn.weights.npz import UNREADABLE, read_npz

FILE_NAME = re.compile(r"step_(\d{8,})\.npz")
FORMAT = 2  # 1, not noted: variables have the names on the left of models.names.OLDER


class CheckpointStore:
    """The checkpoints of one run: the newest `keep`, and the best by the recorded metric."""

    def __init__(self, run_dir, keep=2):
        self.folder = pathlib.Path(run_dir) / "checkpoints"
        self.keep = keep

    def save(self, arrays, meta):
        """Writes arrays (name -> ndarray) and the JSON-able dict `meta` as the checkpoint of
        `meta["step"]`; returns its path.

        Checkpoints of this step or later ones, left by a run that was resumed from an earlier step,
        are replaced. Raises CheckpointError for non-finite values, and when the disk is full or not
        writable; older checkpoints stay as they are."""
        _refuse_non_finite(arrays)
        step = meta["step"]
        path = self.folder / f"step_{step:08d}.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            digest = _write(path, lambda file: save_npz(file, **_encoded(arrays, meta)))
            earlier = [entry for entry in self._index()["files"] if entry["step"] < step]
            self._write_index([*earlier, _entry(path.name, step, digest)])
        except OSError as error:
            raise CheckpointError(self._cannot_write(path, arrays, error)) from error
        return path

    def record_metric(self, step, value, name=""):
        """Notes the metric of the checkpoint of a step, and what it is called; the checkpoint with
        the highest one of that name is kept as the best.

        Raises CheckpointError when there is no checkpoint of that step or the index cannot be
        written."""
        index = self._index()
        entries = {entry["step"]: entry for entry in index["files"]}
        if step not in entries:
            raise CheckpointError(
                f"{self.folder}: no checkpoint of step {step} to note a metric for; there are "
                f"steps {sorted(entries)}"
            )
        entries[step]["metric"] = float(value) if np.isfinite(value) else None
        entries[step]["metric_name"] = name
        try:
            self._write_index(index["files"])
        except OSError as error:
            raise CheckpointError(
                f"{self.folder / 'index.json'}: cannot be written: {error.strerror or error}; "
                "make room or give write permission"
            ) from error

    def load(self, which="last"):
        """(arrays, meta) of the newest intact checkpoint ("last"), of the best one ("best"; the
        last where none is marked), or of a file.

        A damaged file of this run is skipped with a warning; a damaged file that was asked for by
        path is an error. Raises CheckpointError when nothing can be loaded."""
        if str(which) not in ("last", "best"):
            return read(which)
        index = self._index()
        order = sorted(
            index["files"],
            key=lambda entry: (which == "best" and entry["file"] == index["best"], entry["step"]),
            reverse=True,
        )
        if not order:
            raise CheckpointError(
                f"{self.folder}: holds no checkpoint; train with this --run_dir first, or give the "
                "path of a .npz file"
            )
        failures = []
        for entry in order:
            try:
                loaded = read(self.folder / entry["file"], entry["sha256"])
            except CheckpointError as error:
                logging.warning("%s; trying an earlier checkpoint", error)
                failures.append(str(error))
            else:
                return loaded
        raise CheckpointError("no checkpoint of this run is readable:\n  " + "\n  ".join(failures))

    def steps(self):
        """Steps of the checkpoints, ascending."""
        return [entry["step"] for entry in self._index()["files"]]

    def path(self, which="last"):
        """Path of the newest ("last") or the best checkpoint; None where there is none."""
        index = self._index()
        names = [entry["file"] for entry in index["files"]]
        name = index["best"] if which == "best" else names[-1] if names else None
        return self.folder / name if name else None

    def metric(self, step):
        """The metric recorded for the checkpoint of a step, NaN where that was no number; None
        where none was."""
        entries = {entry["step"]: entry for entry in self._index()["files"]}
        entry = entries.get(step, {"metric": None})
        unknown = entry["metric"] is None and "metric_name" in entry
        return math.nan if unknown else entry["metric"]

    def best(self):
        """(step, metric) of the best checkpoint; None where no metric was recorded."""
        entry = self._best()
        return entry and (entry["step"], entry["metric"])

    def metric_name(self):
        """What the metric of the best checkpoint is called; "" where that is not known."""
        return (self._best() or {}).get("metric_name", "")

    def _best(self):
        """The entry of the best checkpoint; None where no metric was recorded."""
        index = self._index()
        return next((entry for entry in index["files"] if entry["file"] == index["best"]), None)

    def _index(self):
        """The parsed index; where it is missing or damaged, one made from the files that are
        there."""
        path = self.folder / "index.json"
        try:
            index = json.loads(path.read_text(encoding="utf-8"))
            if all(map(_is_entry, index["files"])) and "best" in index:
                return index
            logging.warning("%s: not as it was written; listing the folder instead", path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            logging.warning("%s: not readable (%s); listing the folder instead", path, error)
        found = sorted(
            (int(match[1]), match[0])
            for match in map(FILE_NAME.fullmatch, _names(self.folder))
            if match
        )
        return {"files": [_entry(name, step) for step, name in found], "best": None}

    def _write_index(self, entries):
        """Writes the index of the entries that stay, and only then removes the files of the
        others."""
        measured = [entry for entry in entries if entry["metric"] is not None]
        name = measured[-1].get("metric_name", "") if measured else ""
        # One by another metric, from before train.best_metric was changed, cannot be compared.
        measured = [entry for entry in measured if entry.get("metric_name", name) == name]
        best = max(measured, key=lambda entry: entry["metric"])["file"] if measured else None
        newest = len(entries) - self.keep
        kept = [e for i, e in enumerate(entries) if e["file"] == best or i >= newest]
        text = json.dumps({"files": kept, "best": best}, indent=1)
        _write(self.folder / "index.json", lambda file: file.write(text.encode()))
        names = {entry["file"] for entry in kept}
        for name in _names(self.folder):
            if name.endswith(".partial") or FILE_NAME.fullmatch(name) and name not in names:
                (self.folder / name).unlink()

    def _cannot_write(self, path, arrays, error):
        needed = sum(np.asarray(array).nbytes for array in arrays.values())
        folder = next(parent for parent in path.parents if parent.exists())
        last = self.path()
        return (
            f"{path}: the checkpoint cannot be written: {error.strerror or error}. It needs "
            f"{needed / 1e6:.1f} MB, {folder} has {shutil.disk_usage(folder).free / 1e6:.1f} MB "
            "free; make room or give write permission and resume. "
            f"The last good checkpoint is {last if last and last != path else 'none yet'}"
        )


def _entry(name, step, sha256=None):
    return {"file": name, "step": step, "sha256": sha256, "metric": None}


def _is_entry(entry):
    """Whether an entry of an index is as `save` and `record_metric` write it."""
    return (
        isinstance(entry, dict)
        and {"file", "step", "sha256", "metric"} <= entry.keys()
        and FILE_NAME.fullmatch(str(entry["file"])) is not None
        and isinstance(entry["step"], int)
        and isinstance(entry["sha256"], (str, type(None)))
        and isinstance(entry["metric"], (int, float, type(None)))
        and not (isinstance(entry["metric"], int) and abs(entry["metric"]) >= 2**63)
        and isinstance(entry.get("metric_name", ""), str)
    )


def read(path, sha256=None):
    """(arrays, meta) of a checkpoint file; `sha256`, where given, must be that of the file. Raises
    CheckpointError."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file")
    try:
        if sha256 and sha256_of(path) != sha256:
            raise CheckpointError(
                f"{path}: damaged, its sha256 is not the one noted when it was written"
            )
        content = read_npz(path)
        meta = json.loads(str(content.pop("meta")))
        dtypes = meta["dtypes"]
        arrays = {name: _decoded(value, dtypes.get(name)) for name, value in content.items()}
    except CheckpointError:
        raise
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: not a readable checkpoint of lhrcnn: {error}") from error
    if not isinstance(meta.get("step"), int):
        raise CheckpointError(f"{path}: not a readable checkpoint of lhrcnn: it has no step")
    if meta.pop("format", 1) < FORMAT:
        arrays = {_present(name): value for name, value in arrays.items()}
    return arrays, {key: value for key, value in meta.items() if key != "dtypes"}


def _present(name):
    """The name that an array has today: older checkpoints name the model's variables otherwise."""
    kind, _, rest = name.partition("/")
    return f"{kind}/{present(rest)}" if kind in ("model", "ema") else name


def _refuse_non_finite(arrays):
    for name, value in arrays.items():
        value = np.asarray(value)
        if value.dtype.itemsize == 2:
            value = value.astype(np.float32)
        if _is_float(value) and not np.isfinite(value).all():
            raise CheckpointError(
                f"{name} holds NaN or infinite values; such weights are not saved"
            )


def _is_float(array):
    return np.issubdtype(array.dtype, np.floating) or array.dtype == ml_dtypes.bfloat16


def _encoded(arrays, meta):
    """npz content: bfloat16, which npz would turn into raw bytes, as uint16 with its true type in
    `meta`."""
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    halves = {name: v for name, v in arrays.items() if v.dtype == ml_dtypes.bfloat16}
    content = {**arrays, **{name: value.view(np.uint16) for name, value in halves.items()}}
    meta = {**meta, "dtypes": dict.fromkeys(halves, "bfloat16"), "format": FORMAT}
    return {**content, "meta": np.array(json.dumps(meta))}


def _decoded(value, dtype):
    if dtype not in (None, "bfloat16"):
        raise ValueError(f"found numbers of type {dtype!r}; expected bfloat16, or none named")
    return value.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else value


def _write(path, write):
    """Makes the file `path` by write(file), on disk for good once this returns; returns its sha256.
    Whole or as it was before."""
    with replacing(path) as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return sha256_of(path)


def _names(folder):
    return sorted(os.listdir(folder)) if folder.is_dir() else []
