"""Files of named arrays: NumPy, PyTorch, safetensors, HDF5 and TensorFlow 1 checkpoints, as {name:
array}.
"""

import json
import pathlib
import re
import zipfile

import numpy as np

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import torch_files
from lhrcnn.weights.npz import UNREADABLE, read_npz, refuse_unpacking

TORCH = (".pth", ".pt", ".pkl", ".tar", ".bin")  # .pth.tar, too
ALLOWED = (
    f"{', '.join(TORCH)}, .ckpt, .npz, .safetensors, .h5 or the prefix of a TensorFlow checkpoint "
    "(model.ckpt with model.ckpt.index beside it)"
)
# Where checkpoints have their state dict, averaged weights before others: those of mmengine are
# under "state_dict", and what they are the average of under "ema_state_dict".
STATE_DICTS = ("model_ema", "state_dict_ema", "state_dict", "model_state_dict", "model")
# What DataParallel and averages put before names, and torch.compile also within; Lightning puts
# "model." before all.
WRAPPERS = re.compile(r"^(_orig_mod\.|module\.)+|_orig_mod\.")
SAFETENSORS_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def read_arrays(path):
    """{name: array} of a weights file.

    Raises CheckpointError for a file that is not there, cannot be read or is of another
    kind."""
    return read_checkpoint(path)[0]


def read_checkpoint(path):
    """({name: array}, class names) of a weights file; class names are [] where the file holds none.

    Errors as of `read_arrays`."""
    path = pathlib.Path(path)
    if path.suffix == ".index":
        path = path.with_suffix("")
    if path.with_name(f"{path.name}.index").is_file():
        return _tensorflow(path), []
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file")
    by_torch = path.suffix == ".ckpt" and zipfile.is_zipfile(path)  # as Lightning calls them
    if path.suffix in TORCH or by_torch:
        return _torch(path)
    readers = {
        ".npz": _npz,
        ".safetensors": _safetensors,
        ".h5": _hdf5,
        ".hdf5": _hdf5,
        ".ckpt": _tensorflow,
    }
    if path.suffix not in readers:
        raise CheckpointError(f"{path}: weights come as {ALLOWED}, found '{path.suffix}'")
    return readers[path.suffix](path), []


def _npz(path):
    try:
        return read_npz(path)
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: not readable as .npz: {error}") from None


def _torch(path):
    """Arrays and class names of a state dict, by itself or under one of STATE_DICTS in a dict."""
    try:
        content = torch_files.read(path)
    except UNREADABLE as error:
        raise CheckpointError(
            f"{path}: not readable as tensors alone, and nothing else is unpickled: it holds or "
            f"lacks {error}\nSave its state dict by itself: torch.save(checkpoint['state_dict'], "
            "'weights.pth'), or torch.save(model.state_dict(), 'weights.pth') where it is a model"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a state dict, found a {type(content).__name__}")
    names = _class_names(content.get("meta"))
    while nested := [key for key in STATE_DICTS if isinstance(content.get(key), dict)]:
        content = content[nested[0]]
    content.pop("n_averaged", None)  # of torch's averaged models
    other = [name for name, value in content.items() if not isinstance(value, np.ndarray)]
    if other:
        found = type(content[other[0]]).__name__
        raise CheckpointError(
            f"{path}: expected a state dict, names and tensors, by itself or under "
            f"{', '.join(STATE_DICTS)}; '{other[0]}' is of type {found}"
        )
    return _plain(content), names


def _plain(state):
    """A state dict without what wrappers put before names; its numbers in float32."""
    state = {WRAPPERS.sub("", str(name)): array for name, array in state.items()}
    if all(name.startswith("model.") for name in state):
        state = {WRAPPERS.sub("", name[len("model.") :]): array for name, array in state.items()}
    return {
        name: array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array
        for name, array in state.items()
    }


def _class_names(meta):
    """Class names in the `meta` of mmdetection's checkpoints, [] without."""
    meta = meta if isinstance(meta, dict) else {}
    inner = meta.get("dataset_meta") if isinstance(meta.get("dataset_meta"), dict) else {}
    names = inner.get("classes") or inner.get("CLASSES") or meta.get("CLASSES") or []
    return [names] if isinstance(names, str) else list(map(str, names))


def _safetensors(path):
    """https://github.com/huggingface/safetensors: the header's length, a JSON header, then the
    bytes of all tensors."""
    data = memoryview(path.read_bytes())
    try:
        end = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(bytes(data[8:end]))
        header.pop("__metadata__", None)
        arrays = {}
        for name, tensor in header.items():
            first, last = tensor["data_offsets"]
            if not 0 <= first <= last <= len(data) - end:
                raise ValueError(f"'{name}' is bytes {first} to {last} of {len(data) - end}")
            content = data[end + first : end + last]
            if tensor["dtype"] == "BF16":
                flat = (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4")
            else:
                flat = np.frombuffer(content, SAFETENSORS_TYPES[tensor["dtype"]])
            arrays[name] = flat.reshape(tensor["shape"])
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: not readable as .safetensors: {error!r}") from None
    return _plain(arrays)


def _hdf5(path):
    """Weights saved by Keras: `layer/.../layer/kernel:0` as `layer/kernel`."""
    import h5py

    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer_weights"):
            if item.external or item.is_virtual:
                raise ValueError(f"{name} has its numbers in another file")
            found["/".join(name.split(":")[0].split("/")[-2:])] = item

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
            refuse_unpacking(path.stat().st_size, sum(item.nbytes for item in found.values()))
            return {name: item[()] for name, item in found.items()}
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: not readable as .h5: {error}") from None


def _tensorflow(path):
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(path))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tf.errors.OpError, *UNREADABLE) as error:
        raise CheckpointError(f"{path}: not readable as a TensorFlow checkpoint: {error}") from None
