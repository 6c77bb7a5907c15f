"""NumPy's .npz files, read into no more memory than a few times what they take on the disk.

`numpy.load` makes room for whatever shape a header names, before it reads a byte.
"""

import io
import pickle
import struct
import tokenize
import zipfile
import zlib

import numpy as np

MOST_PER_BYTE = 10  # bytes of arrays for a byte of the file: what weights are never compressed to
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What reading a damaged file raises, here and in torch_files.
UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    struct.error,
    MemoryError,
    OverflowError,
    SyntaxError,  # numpy reads headers as Python's literals
    tokenize.TokenError,
    RuntimeError,  # an archive with a password, or nested too deeply
)


def refuse_unpacking(on_disk, unpacked):
    """Raises ValueError where a file of on_disk bytes would become more than weights ever do."""
    if unpacked > MOST_PER_BYTE * on_disk:
        raise ValueError(f"{on_disk} bytes that would unpack to {unpacked}")


def read_npz(path):
    """{name: array} of a .npz file.

    Raises UNREADABLE for one that is damaged, holds objects, or is packed too well."""
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
        refuse_unpacking(path.stat().st_size, sum(entry.file_size for entry in entries))
        return {entry.filename.removesuffix(".npy"): _array(file, entry) for entry in entries}


def _array(file, entry):
    """The array of one entry of the archive."""
    content = bytearray(entry.file_size)
    with file.open(entry) as packed:
        if packed.readinto(content) != len(content) or packed.read(1):
            raise EOFError(f"{entry.filename} is not of the length that is noted")
    start = io.BytesIO(memoryview(content)[: 1 << 17])  # longer than any header
    version = np.lib.format.read_magic(start)
    if version not in HEADERS:
        raise ValueError(f"{entry.filename} is of format {version}")
    shape, in_columns, dtype = HEADERS[version](start)
    if dtype.hasobject:
        raise ValueError(f"{entry.filename} holds objects, which are never loaded")
    flat = (
        np.frombuffer(content, dtype, offset=start.tell()) if 0 not in shape else np.empty(0, dtype)
    )
    return flat.reshape(shape, order="F" if in_columns else "C")
