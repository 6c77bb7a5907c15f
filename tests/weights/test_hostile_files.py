"""Files made to run code or to fill the memory are read as arrays, or refused by name."""

import io
import json
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from lhrcnn import config
from lhrcnn.errors import CheckpointError, LhrcnnError
from lhrcnn.runs import checkpoints
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.weights.files import read_arrays


class Payload:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def zipped(entries, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(header, content=b""):
    """An .npy file with a header that says what it likes."""
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def objects(payload, version=2):
    np.save(file := io.BytesIO(), np.array([payload], object), allow_pickle=True)
    return file.getvalue()


def planted(marker):
    """{file name: content} that runs code where a reader lets it."""
    payload = Payload(marker)
    pickled = pickle.dumps({"a": payload}, 2)
    yaml = f'!!python/object/apply:os.mkdir ["{marker}"]'
    return {
        "a.pkl": pickled,
        "a.pth": zipped({"archive/data.pkl": pickled}),
        "old.pth": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickled,
        "a.pt": b"\x80\x04c__main__\nPayload\n)R.",
        "a.npz": zipped({"a.npy": objects(payload)}),
        "header.npz": zipped({"a.npy": npy(f"__import__('os').mkdir({str(marker)!r})")}),
        "a.safetensors": pickled,
        "a.h5": pickled,
        "a.ckpt": pickled,
        "config.yaml": yaml.encode(),
        "nested.yaml": f"model: {{rpn: {yaml}}}".encode(),
        "plugins.yaml": b"model: {backbone: {name: 'os:mkdir'}}",
    }


@pytest.mark.parametrize("name", sorted(planted("")))
def test_code_in_files_is_not_run(tmp_path, name):
    (tmp_path / name).write_bytes(planted(tmp_path / "ran")[name])
    with pytest.raises(LhrcnnError, match=name if name != "plugins.yaml" else "os:mkdir"):
        if name.endswith(".yaml"):
            config.load(tmp_path / name)
        else:
            read_arrays(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_code_in_a_run_directory_is_not_run(tmp_path):
    run, marker = RunDirectory(tmp_path / "run"), tmp_path / "ran"
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    content = planted(marker)
    meta = zipped({"meta.npy": objects(Payload(marker))})
    (tmp_path / "run" / "checkpoints" / "step_00000001.npz").write_bytes(meta)
    for name in ("classes.json", "config.yaml", "data.json", "checkpoints/index.json"):
        (tmp_path / "run" / name).write_bytes(content["config.yaml"])
    for read in (run.checkpoints.load, run.classes, run.config):
        with pytest.raises(LhrcnnError):
            read()
    assert run.data() is None and run.checkpoints.steps() == [1] and not marker.exists()


HUGE = f"({2**40},)"
SAFE = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


def safetensors(content, **header):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


FULL = {
    "shape.npz": zipped(
        {"a.npy": npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {HUGE}}}")}
    ),
    "bomb.npz": zipped({"a.npy": bytes(10**8)}, zipfile.ZIP_DEFLATED),
    "nested.npz": zipped({"a.npy": npy("(" * 9000)}),
    "bytes.pkl": b"\x80\x02B\xff\xff\xff\x7f",
    "bytearray.pkl": b"\x80\x05\x96" + (10**11).to_bytes(8, "little"),
    "frame.pkl": b"\x80\x04\x95" + (10**11).to_bytes(8, "little"),
    "bytes.pth": zipped({"archive/data.pkl": b"\x80\x02B\xff\xff\xff\x7f"}),
    "length.safetensors": (2**62).to_bytes(8, "little"),
    "shape.safetensors": safetensors(bytes(16), a={**SAFE, "shape": [2**40]}),
    "many.safetensors": safetensors(bytes(16), a={**SAFE, "shape": [2**70]}),
    "before.safetensors": safetensors(bytes(16), a={**SAFE, "data_offsets": [-16, 0]}),
    "beyond.safetensors": safetensors(bytes(16), a={**SAFE, "data_offsets": [8, 24]}),
    "deep.safetensors": (10**5).to_bytes(8, "little") + b"[" * 10**5,
}


@pytest.mark.parametrize("name", sorted(FULL))
def test_files_that_announce_more_than_they_hold_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FULL[name])
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=f"{name}: not readable"):
            read_arrays(path)
        if name.endswith(".npz"):
            with pytest.raises(CheckpointError, match=f"{name}: not a readable checkpoint"):
                checkpoints.read(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * path.stat().st_size + 2**23
    finally:
        tracemalloc.stop()


def test_h5_files_that_announce_more_or_read_other_files_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("a/kernel", (2**40,), np.float32, chunks=(2**10,))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        external = [(str(tmp_path / "secret"), 0, 16)]
        file.create_dataset("a/kernel", (4,), np.float32, external=external)
    with pytest.raises(CheckpointError, match="huge.h5: .*would unpack to 4398046511104"):
        read_arrays(tmp_path / "huge.h5")
    with pytest.raises(CheckpointError, match="other.h5: .*a/kernel has its numbers in another"):
        read_arrays(tmp_path / "other.h5")


def test_arrays_of_npz_files_are_as_numpy_has_them(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "model/a": rng.normal(size=(3, 4)).astype(np.float32),
        "columns": np.asfortranarray(rng.normal(size=(3, 4, 2))),
        "scalar": np.array(7, ">i8"),
        "text": np.array("some {json}"),
        "empty": np.zeros((0, 5), np.float16),
        "flags": np.array([True, False]),
        "a.b": np.arange(3, dtype=np.uint8),
        "large": rng.integers(0, 255, 300_000).astype(np.uint8),
    }
    for number, save in enumerate((np.savez, np.savez_compressed)):
        save(tmp_path / f"{number}.npz", **arrays)
        read = read_arrays(tmp_path / f"{number}.npz")
        assert list(read) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype and read[name].flags.writeable
