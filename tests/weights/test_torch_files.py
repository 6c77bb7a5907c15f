"""Checkpoints of PyTorch, and pickled arrays, read without PyTorch."""

import argparse
import collections
import io
import os
import pathlib
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import unpickling
from lhrcnn.weights.files import read_arrays, read_checkpoint

FILES = pathlib.Path(__file__).parent / "files"


@pytest.mark.parametrize("name", ["torch_2.14_zip.pth", "torch_2.14_older.pth"])
def test_both_formats_are_read(name):
    """Strides, shared storages, 16-bit types, integers, an empty tensor and a parameter."""
    arrays, class_names = read_checkpoint(FILES / name)
    wanted = np.load(FILES / "torch_2.14.npz")
    assert set(arrays) == set(wanted.files) and class_names == ["cat", "größe"]
    for key, array in arrays.items():
        assert array.dtype == wanted[key].astype(array.dtype).dtype and array.flags.c_contiguous
        np.testing.assert_array_equal(array, wanted[key], key)
    assert arrays["turned"].shape == (4, 2, 3) and arrays["part"].shape == (2, 2)


def test_pickled_arrays_of_python_2_are_read():
    arrays = read_arrays(FILES / "detectron2.pkl")
    base = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / np.float32(7)
    np.testing.assert_array_equal(arrays["conv.weight"], base)
    np.testing.assert_array_equal(arrays["turned"], base.transpose(2, 0, 1))
    np.testing.assert_array_equal(arrays["half"], base.astype(np.float16).astype(np.float32))
    assert arrays["steps"] == 5


def test_equal_to_torch(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    state = collections.OrderedDict()
    for number in range(20):
        tensor = torch.from_numpy(rng.normal(size=rng.integers(1, 6, 4)))
        kinds = [torch.float16, torch.bfloat16, torch.float32, torch.int64, torch.bool]
        state[f"{number}"] = tensor.to(kinds[number % 5]).permute(*rng.permutation(4).tolist())
        state[f"{number}, part"] = state[f"{number}"][0, ..., ::2]
    for number, options in enumerate([{}, {"_use_new_zipfile_serialization": False}]):
        path = tmp_path / f"{number}.pth"
        torch.save({"model": state}, path, **options)
        arrays, loaded = read_arrays(path), torch.load(path, weights_only=True)["model"]
        assert list(arrays) == list(loaded)
        for name, tensor in loaded.items():
            wanted = tensor.float() if tensor.is_floating_point() else tensor
            np.testing.assert_array_equal(arrays[name], wanted.numpy())


@pytest.mark.parametrize(
    "content",
    [  # torchvision's references; mmengine, which swaps the two; PyTorch's tutorials
        {"model": {"a": np.zeros(2)}, "model_ema": {"module.a": np.ones(2), "n_averaged": 3}},
        {"state_dict": {"a": np.ones(2)}, "ema_state_dict": {"module.a": np.zeros(2), "steps": 3}},
        {"epoch": 3, "model_state_dict": {"a": np.ones(2)}, "optimizer_state_dict": {"state": {}}},
    ],
)
def test_the_weights_that_are_tested_are_found(tmp_path, content):
    for name in ("last.pkl", "model_best.pth.tar", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=2))
        arrays = read_arrays(tmp_path / name)
        assert list(arrays) == ["a"] and arrays["a"].tolist() == [1, 1]


HISTORY_BUFFER = """
class HistoryBuffer:
    def __init__(self, log):
        self.log, self.methods = log, {"mean": HistoryBuffer.mean}
    def mean(self):
        return self.log.mean()
"""


def imported(monkeypatch, name, code):
    """A module of this name that holds the code, as other libraries have it."""
    module = types.ModuleType(name)
    exec(code, module.__dict__)
    for end in range(name.count(".") + 1):
        part = name.rsplit(".", end)[0]
        monkeypatch.setitem(sys.modules, part, module if part == name else types.ModuleType(part))
    return module


def test_what_trainings_keep_beside_their_weights_is_passed_over(tmp_path, monkeypatch):
    mmengine = imported(monkeypatch, "mmengine.logging.history_buffer", HISTORY_BUFFER)
    lightning = imported(
        monkeypatch, "lightning_fabric.utilities.data", "class AttributeDict(dict): pass"
    )
    content = {
        "args": argparse.Namespace(lr=0.1, output_dir=pathlib.Path("runs")),
        "lr_scheduler": {"milestones": collections.Counter([16, 22])},
        "message_hub": {"log_scalars": {"train/loss": mmengine.HistoryBuffer(np.ones(3))}},
        "hyper_parameters": lightning.AttributeDict(lr=0.1),
        "state_dict": {"a": np.ones(2)},
    }
    for wrap in (as_pickle, lambda content: as_zip(as_pickle(content))):
        (tmp_path / "epoch_12.pth").write_bytes(wrap(content))
        assert read_arrays(tmp_path / "epoch_12.pth")["a"].tolist() == [1, 1]
    content["state_dict"]["b"] = argparse.Namespace()
    (tmp_path / "epoch_12.pth").write_bytes(as_pickle(content))
    with pytest.raises(CheckpointError, match="epoch_12.pth: expected a state dict.*'b' is of"):
        read_arrays(tmp_path / "epoch_12.pth")


class Call:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def as_pickle(content):
    return pickle.dumps(content, protocol=2)


def as_zip(content, **data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", content)
        for name, values in data.items():
            file.writestr(f"archive/data/{name}", values)
    return buffer.getvalue()


@pytest.mark.parametrize("wrap", [as_pickle, lambda content: as_zip(as_pickle(content))])
@pytest.mark.parametrize(
    "function, name",
    [
        (os.mkdir, "posix.mkdir|nt.mkdir"),
        (eval, "builtins.eval|__builtin__.eval"),
        (getattr, "getattr"),
        (np.load, "numpy.load|numpy.lib"),
        (io.open, "open"),
    ],
)
def test_names_that_no_weights_need_are_refused_and_not_called(tmp_path, wrap, function, name):
    marker = tmp_path / "called"
    path = tmp_path / "file.pth"
    path.write_bytes(wrap({"a": Call(function, str(marker))}))
    with pytest.raises(CheckpointError, match=f"file.pth: .*({name})"):
        read_arrays(path)
    assert not marker.exists()


def tensor_in_zip(size, stride, count, offset=0, content=b"\0" * 16):
    """A zip file with one float tensor, written without torch."""
    # Protocol 0 by hand: a tuple of the storage, offset, size, stride, behind the function's name.
    size, stride = ("(" + "".join(f"I{value}\n" for value in v) + "t" for v in (size, stride))
    text = (
        "(dS'a'\nctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\n"
        f"S'cpu'\nI{count}\ntQI{offset}\n{size}{stride}tRs."
    )
    return as_zip(text.encode(), **{"0": content})


@pytest.mark.parametrize(
    "size, stride, count, offset",
    [
        ((2, 3), (3, 1), 4, 0),
        ((4,), (1,), 4, 1),
        ((4,), (-1,), 4, 3),
        ((-4,), (1,), 4, 0),
        ((1000, 1000, 1000), (0, 0, 0), 4, 0),
        ((2, 2), (1,), 4, 0),
        ((4,), (1,), 5, 0),
    ],
)
def test_tensors_beyond_their_storage_are_refused(tmp_path, size, stride, count, offset):
    path = tmp_path / "file.pth"
    path.write_bytes(tensor_in_zip((2, 2), (2, 1), 4))
    assert read_arrays(path)["a"].tolist() == [[0, 0], [0, 0]]
    path.write_bytes(tensor_in_zip(size, stride, count, offset))
    with pytest.raises(CheckpointError, match="file.pth: not readable as tensors alone"):
        read_arrays(path)


@pytest.mark.parametrize("name", ["torch_2.14_zip.pth", "torch_2.14_older.pth", "detectron2.pkl"])
def test_damaged_files_are_named(tmp_path, name):
    """Cut anywhere, and with bytes changed: arrays or a CheckpointError, never anything else."""
    whole = (FILES / name).read_bytes()
    path, refused = tmp_path / name, 0
    rng = np.random.default_rng(0)
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=name):
            read_arrays(path)
    for _ in range(200):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read_arrays(path)
        except CheckpointError as error:
            refused += 1
            assert name in str(error)
    assert refused > 20


def test_a_compressed_archive_is_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * 10_000_000)
    (tmp_path / "bomb.pth").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="bomb.pth: .*compressed"):
        read_arrays(tmp_path / "bomb.pth")


def test_storages_are_views_until_they_are_tensors():
    storage = unpickling.Storage("bfloat16", 2)
    storage.fill(np.array([0x3F80, 0xC000], "<u2").view(np.uint8))
    tensor = unpickling.Tensor(storage, 0, [2], [1], "bfloat16")
    assert tensor.array().tolist() == [1.0, -2.0]
