"""Files of torch.save, and pickled NumPy arrays, as arrays; see unpickling.py."""

import concurrent.futures
import io
import struct
import zipfile
import zlib

import numpy as np

from lhrcnn.weights.unpickling import NumpyArray, Refused, Tensor, Unpickler, numpy_type

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # first pickle of the older format
PROTOCOL = 1001  # its second


def read(path):
    """What a .pth or .pkl file holds: dicts, lists, numbers, and arrays (bfloat16 as float32).

    Raises pickle.UnpicklingError or another error of pickle, zipfile and NumPy for a file that is
    damaged, or (Refused) that wants anything but numbers."""
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    with open(path, "rb") as file:
        content = Unpickler(file).load()
        if content != MAGIC_NUMBER:
            return _finished(content, "<")
        return _read_older(file)


def _read_zip(path):
    """The format since PyTorch 1.6: FOLDER/data.pkl, and FOLDER/data/KEY for each storage."""
    with zipfile.ZipFile(path) as file:
        names = [name for name in file.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise Refused("a zip archive that torch.save did not write")
        folder = names[0][: -len("data.pkl")]
        for entry in file.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise Refused(f"{entry.filename}, which is compressed")
        order = "<"
        if f"{folder}byteorder" in file.namelist():
            order = ">" if file.read(f"{folder}byteorder") == b"big" else "<"
        unpickler = Unpickler(io.BytesIO(file.read(names[0])))
        result = unpickler.load()

        def fill(key):
            unpickler.storages[key].fill(_stored(path, file.getinfo(f"{folder}data/{key}")), order)

        with concurrent.futures.ThreadPoolExecutor() as pool:  # checksums take as long as reading
            list(pool.map(fill, unpickler.storages))
    return _finished(result, order)


def _read_older(file):
    """The format before: pickles of protocol, system, object and list of storages; then numbers."""
    protocol, system = Unpickler(file).load(), Unpickler(file).load()
    if protocol != PROTOCOL or not isinstance(system, dict):
        raise Refused(f"protocol {protocol!r}")
    order = "<" if system.get("little_endian", True) else ">"
    unpickler = Unpickler(file)
    result = unpickler.load()
    for key in Unpickler(file).load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack(f"{order}q", file.read(8))
        if count != storage.count:
            raise Refused(f"storage {key} of {count} numbers, announced as {storage.count}")
        size = count * np.dtype(numpy_type(storage.kind)).itemsize
        storage.fill(_bytes(file, size), order)
    return _finished(result, order)


def _stored(path, entry):
    """uint8 [n], the content of a zip file's entry, checked."""
    with open(path, "rb") as file:
        file.seek(entry.header_offset + 26)
        file.seek(sum(struct.unpack("<HH", file.read(4))), 1)  # name and extra field
        content = _bytes(file, entry.file_size)
    if zlib.crc32(content) != entry.CRC:
        raise zipfile.BadZipFile(f"another checksum of {entry.filename}")
    return content


def _bytes(file, size):
    """The next uint8 [size] of a file."""
    place = file.tell()
    if size > file.seek(0, 2) - place:
        raise EOFError(f"fewer than {size} bytes")
    file.seek(place)
    return np.fromfile(file, np.uint8, size)


def _finished(node, order):
    """The content with arrays for tensors."""
    if isinstance(node, dict):
        return {key: _finished(value, order) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_finished(value, order) for value in node]
    return node.array(order) if isinstance(node, (Tensor, NumpyArray)) else node
