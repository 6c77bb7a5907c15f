"""Pickles of tensors and NumPy arrays, read without PyTorch and without their code.

A pickle may name any function to be called. Here a name that is not in ALLOWED ends the reading;
what is allowed builds tensors and containers, from lhrcnn's own code below.
"""

import collections
import io
import pickle

import numpy as np

TYPES = {
    "double": "f8", "float64": "f8", "float": "f4", "float32": "f4", "half": "f2", "float16": "f2",
    "bfloat16": "bfloat16", "long": "i8", "int64": "i8", "int": "i4", "int32": "i4",
    "short": "i2", "int16": "i2", "char": "i1", "int8": "i1", "byte": "u1", "uint8": "u1",
    "bool": "?",
}  # fmt: skip
NUMPY_TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


class Refused(pickle.UnpicklingError):
    """A file wants something that no weights need; the message names it."""


class Storage:
    """Numbers of one type in a row, filled when the file's data are read."""

    def __init__(self, kind, count):
        self.kind, self.count, self.values = kind, count, None  # kind: of TYPES, or "untyped"

    def fill(self, content, order="<"):
        """Sets the values from uint8 [n], numbers of the byte order "<" or ">"."""
        number = "u1" if self.kind == "untyped" else numpy_type(self.kind)
        if len(content) != self.count * np.dtype(number).itemsize:
            raise Refused(f"{len(content)} bytes in a storage of {self.count} numbers")
        self.values = content.view(order + number)


class Tensor:
    """A view of a storage, made an array once the storage has its values."""

    def __init__(self, storage, offset, size, stride, kind):
        self.storage, self.offset, self.kind = storage, offset, kind
        self.size, self.stride = tuple(size), tuple(stride)

    def array(self, order="<"):
        """The tensor as an array of its own; bfloat16 becomes float32."""
        values = self.storage.values
        if self.storage.kind == "untyped":
            number = np.dtype(order + numpy_type(self.kind))
            values = values[: len(values) // number.itemsize * number.itemsize].view(number)
        negative = min((*self.size, *self.stride, self.offset, 0)) < 0
        if len(self.size) != len(self.stride) or negative:
            raise Refused(f"a tensor of size {self.size} with stride {self.stride}")
        if 0 in self.size:
            array = np.zeros(self.size, values.dtype)
        else:
            last = sum((length - 1) * step for length, step in zip(self.size, self.stride))
            number_of_values = int(np.prod(self.size, dtype=object))
            if self.offset + last >= len(values) or number_of_values > len(values):
                raise Refused(f"a tensor of size {self.size} in a storage of {len(values)} numbers")
            steps = [step * values.itemsize for step in self.stride]
            array = np.lib.stride_tricks.as_strided(values[self.offset :], self.size, steps)
            array = np.ascontiguousarray(array).reshape(self.size)  # a copy only where it must be
        if self.kind == "bfloat16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(array.dtype.newbyteorder("="), copy=False)


class NumpyType:
    """A pickled numpy.dtype of plain numbers."""

    def __init__(self, name, *_):
        name = name.decode() if isinstance(name, bytes) else name
        if name not in NUMPY_TYPES:
            raise Refused(f"NumPy arrays of type {name!r}")
        self.name, self.order = name, "<"

    def __setstate__(self, state):
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        self.order = order if order in "<>" else "<"

    def dtype(self):
        """The numpy.dtype."""
        return np.dtype(self.order + self.name)


class NumpyArray:
    """A pickled numpy.ndarray, from the state that NumPy gives its pickles."""

    def __init__(self, *_):
        self.state = None

    def __setstate__(self, state):
        self.state = state

    def array(self, order="<"):
        """The array of its own memory."""
        del order
        _, shape, kind, fortran, content = self.state
        if not isinstance(kind, NumpyType) or not isinstance(content, (bytes, str)):
            raise Refused("a NumPy array of objects")
        content = content.encode("latin1") if isinstance(content, str) else content
        flat = np.frombuffer(content, kind.dtype())
        return np.array(flat.reshape(shape, order="F" if fortran else "C"))


def numpy_type(kind):
    """NumPy's type of the numbers of a storage; bfloat16 are 16 bits to it."""
    return "u2" if kind == "bfloat16" else TYPES[kind]


def _tensor(storage, offset, size, stride, *_):
    return Tensor(storage, offset, size, stride, storage.kind)


def _typed_tensor(storage, offset, size, stride, requires_grad, hooks, kind, *_):
    return Tensor(storage, offset, size, stride, kind)


def _parameter(data, *_):
    return data


def _numpy_scalar(kind, content):
    content = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(content, kind.dtype())[0].item()


class Beside:
    """What a training keeps beside its weights: takes what the pickle gives it, and drops it."""

    def __init__(self, *_):
        pass

    def __setitem__(self, *_):
        pass

    def __setstate__(self, _):
        pass


def _attribute(owner, *_):
    if owner is not Beside:
        raise Refused("getattr, which no weights need")
    return Beside()


def _encoded(text, encoding="latin1"):
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"text in {encoding!r}")
    return text.encode("latin1")


BESIDE = (
    ("argparse", "Namespace"),  # torchvision's references
    ("collections", "Counter"),  # the steps of PyTorch's MultiStepLR
    ("mmengine.logging.history_buffer", "HistoryBuffer"),  # mmdetection 3's log
    ("lightning.fabric.utilities.data", "AttributeDict"),
    ("lightning_fabric.utilities.data", "AttributeDict"),
    ("pytorch_lightning.utilities.parsing", "AttributeDict"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("pathlib._local", "PosixPath"),
    ("pathlib._local", "WindowsPath"),
)
ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): tuple,
    ("torch", "device"): lambda *name: name,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.storage", "UntypedStorage"): "untyped",
    ("numpy", "dtype"): NumpyType,
    ("numpy", "ndarray"): NumpyArray,
    **{
        (f"numpy.{core}.multiarray", name): builder
        for core in ("core", "_core")
        for name, builder in (("_reconstruct", NumpyArray), ("scalar", _numpy_scalar))
    },
    ("_codecs", "encode"): _encoded,
    **dict.fromkeys(BESIDE, Beside),
    ("__builtin__", "getattr"): _attribute,  # of a HistoryBuffer
    **{("torch", name): name for name in TYPES},
    **{
        (module, f"{name.capitalize() if name != 'bfloat16' else 'BFloat16'}Storage"): name
        for module in ("torch", "torch.cuda")
        for name in TYPES
    },
}


class Bounded:
    """A file without the room that Python makes for whatever number of bytes is asked for."""

    def __init__(self, file):
        self.file, self.readline = file, file.readline

    def read(self, size):
        """The next bytes. Raises EOFError where many are asked for and there are fewer."""
        if size > io.DEFAULT_BUFFER_SIZE:
            place = self.file.tell()
            if size > self.file.seek(0, io.SEEK_END) - place:
                raise EOFError(f"fewer than {size} bytes")
            self.file.seek(place)
        return self.file.read(size)


class Unpickler(pickle._Unpickler):
    """The unpickler in Python, whose memo is a dict; the one in C makes room for any number."""

    # Without byte arrays, which no weights have, and which get their room before they are read.
    dispatch = {
        key: load for key, load in pickle._Unpickler.dispatch.items() if key != pickle.BYTEARRAY8[0]
    }

    def __init__(self, file):
        super().__init__(Bounded(file), encoding="latin1")
        self.storages = {}

    def find_class(self, module, name):
        """What a name stands for. Raises Refused for one that is not in ALLOWED."""
        if (module, name) not in ALLOWED:
            raise Refused(f"{module}.{name}, which no weights need")
        return ALLOWED[module, name]

    def persistent_load(self, identity):
        """The Storage that a tensor names."""
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise Refused(f"{identity!r} where a storage is expected")
        _, kind, key, _, count = identity[:5]
        if kind not in (*TYPES, "untyped") or not isinstance(count, int) or count < 0:
            raise Refused(f"a storage of {count!r} numbers of type {kind!r}")
        if len(identity) > 5 and identity[5] is not None:
            raise Refused("a storage that is part of another one")
        return self.storages.setdefault(key, Storage(kind, count))
