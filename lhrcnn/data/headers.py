"""What the first bytes of an image file say, without decoding it: size, orientation, wholeness.

The one place that finds EXIF: in the segments of a JPEG file before its frame (EXIF 2.3, 4.5.4) and
in the eXIf chunk of a PNG file (PNG 1.5 extensions, 3.7); MPO is JPEG with more images behind it.
"""

import contextlib
import mmap
import struct
import typing

from lhrcnn.errors import DataError

EXIF = b"Exif\x00\x00"
ORIENTATION_TAG = 0x0112
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # SOFn
_TRAILER_BYTES = 1 << 16  # what phones append to a JPEG file


class Header(typing.NamedTuple):
    """What an image file says of itself."""

    format: str  # JPEG, PNG, GIF or BMP
    height: int  # px, as shown
    width: int
    orientation: int  # EXIF's, 1...8; from 5 on height and width are swapped in the file


def read_header(path):
    """The `Header` of a file. Raises DataError naming it where it is no image that lhrcnn reads."""
    with _mapped(path) as data:
        try:
            kind, height, width = _stored_size(data)
        except (IndexError, struct.error):
            raise DataError(f"{path}: not readable as an image: it ends in its header") from None
        if not kind:
            raise DataError(
                f"{path}: not readable as an image: it begins with {bytes(data[:8])!r}; JPEG, PNG, "
                "BMP and GIF files are read"
            )
        turn = orientation(data)
    return Header(kind, *((width, height) if turn >= 5 else (height, width)), turn)


def image_size(path):
    """(height, width) px of an image file as shown, after EXIF rotation. Raises DataError."""
    header = read_header(path)
    return header.height, header.width


def looks_whole(path):
    """Whether a file ends as its format ends; one that does not may be truncated."""
    with _mapped(path) as data:
        if data[:2] == b"\xff\xd8":
            return data.rfind(b"\xff\xd9", max(0, len(data) - _TRAILER_BYTES)) >= 0
        if data[:4] == b"\x89PNG":
            return data.rfind(b"IEND", max(0, len(data) - _TRAILER_BYTES)) >= 0
        if data[:3] == b"GIF":
            return data[-1:] == b";"
        return len(data) >= struct.unpack_from("<I", data[:6].ljust(6, b"\0"), 2)[0]


def orientation(data):
    """EXIF's orientation, 1...8, of the bytes of an image file; 1 where it says nothing."""
    try:
        start, length = exif_block(data)
    except (IndexError, struct.error):
        return 1
    return tiff_orientation(data[start : start + length])


def exif_block(data):
    """(start, length) of the TIFF structure that is the EXIF of a file's bytes; length 0: none."""
    if data[:2] == b"\xff\xd8":
        for start, marker, length in _jpeg_segments(data):
            if marker == 0xE1 and data[start + 4 : start + 10] == EXIF:
                return start + 10, length - 8
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        start = 8
        while start + 12 <= len(data):
            (length,) = struct.unpack_from(">I", data, start)
            if data[start + 4 : start + 8] == b"eXIf":
                return start + 8, length
            start += 12 + length
    return 0, 0


def _jpeg_segments(data):
    """(start, marker, length) of the segments of a JPEG file up to its frame."""
    start, marker = 2, 0
    while marker not in FRAMES and start + 4 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker == 0xFF:  # a fill byte
            start += 1
            continue
        (length,) = struct.unpack_from(">H", data, start + 2)
        yield start, marker, length
        start += 2 + length


def tiff_orientation(tiff):
    """The orientation, 1...8, in a TIFF structure; 1 where it has none (EXIF 2.3, 4.6.2)."""
    order = "<" if tiff[:2] == b"II" else ">"
    with contextlib.suppress(struct.error):
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, directory)
        for start in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, start)
            if tag == ORIENTATION_TAG:
                return value if 1 <= value <= 8 else 1
    return 1


def _stored_size(data):
    """(format, height, width) as stored; the format is empty for a file that is none of these."""
    if data[:2] == b"\xff\xd8":
        for start, marker, _ in _jpeg_segments(data):
            if marker in FRAMES:
                return "JPEG", *struct.unpack_from(">HH", data, start + 5)
        raise IndexError("no frame")
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack_from(">II", data, 16)
        return "PNG", height, width
    if data[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack_from("<HH", data, 6)
        return "GIF", height, width
    if data[:2] == b"BM":
        old = struct.unpack_from("<I", data, 14)[0] == 12  # OS/2's BITMAPCOREHEADER
        width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
        return "BMP", abs(height), width
    return "", 0, 0


@contextlib.contextmanager
def _mapped(path):
    """The bytes of a file, of which only those that are looked at are read. Raises DataError."""
    try:
        with open(path, "rb") as file:
            try:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise DataError(f"{path}: not readable as an image: the file is empty") from None
            with data:
                yield data
    except FileNotFoundError:
        raise DataError(f"{path}: no such image file") from None
    except OSError as error:
        raise DataError(f"{path}: not readable: {error.strerror or error}") from None
