"""What the first bytes of an image file say, without decoding it: size, orientation, wholeness.

The one place that finds EXIF: in the segments of a JPEG file before its frame (EXIF 2.3, 4.5.4) and
in the eXIf chunk of a PNG file (PNG 1.5 extensions, 3.7); MPO is JPEG with more images behind it.
"""

import contextlib
import mmap
import struct
import typing

from lhrcnn.data import formats
from lhrcnn.errors import DataError

EXIF = b"Exif\x00\x00"
ORIENTATION_TAG = 0x0112
FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # SOFn
_WIDTH_TAG, _HEIGHT_TAG = 0x0100, 0x0101
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TRAILER_BYTES = 1 << 16  # what phones append to a JPEG file


class Header(typing.NamedTuple):
    """What an image file says of itself."""

    format: str  # JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF or HEIC
    height: int  # px, as shown
    width: int
    orientation: int  # EXIF's, 1...8; from 5 on height and width are swapped in the file


def read_header(path):
    """The `Header` of a file. Raises DataError naming it where it is no image that lhrcnn reads."""
    with _mapped(path) as data:
        kind = formats.format_of(data)
        if kind not in formats.PILLOW:
            raise DataError(f"{path}: not readable as an image: {formats.refusal(data)}")
        if kind not in formats.STOCK.values():
            return _pillow_header(path, kind)
        try:
            height, width = stored_size(kind, data)
        except (IndexError, struct.error):
            raise DataError(f"{path}: not readable as an image: it ends in its header") from None
        turn = orientation(data)
    return Header(kind, *((width, height) if turn >= 5 else (height, width)), turn)


def _pillow_header(path, kind):
    try:
        with open(path, "rb") as file, formats.open_with_pillow(file) as image:
            (width, height), turn = image.size, orientation_of(image)
            if kind == "TIFF":  # Pillow's versions differ in whether its size is as shown
                width, height = image.tag_v2[_WIDTH_TAG], image.tag_v2[_HEIGHT_TAG]
                turn = image.getexif().get(ORIENTATION_TAG, 1)  # by which Pillow turns it
    except Exception as error:  # noqa: BLE001  Pillow's plugins raise what they like
        raise DataError(f"{path}: not readable as an image: {error}") from None
    turn = turn if turn in range(1, 9) else 1
    return Header(kind, *((width, height) if turn >= 5 else (height, width)), turn)


def image_size(path):
    """(height, width) px of an image file as shown, after EXIF rotation. Raises DataError."""
    header = read_header(path)
    return header.height, header.width


def looks_whole(path):
    """Whether a file ends as its format ends; one that does not may be truncated."""
    with _mapped(path) as data:
        kind = formats.format_of(data)
        if kind in _ENDS:
            return data.rfind(_ENDS[kind], max(0, len(data) - _TRAILER_BYTES)) >= 0
        if kind == "GIF":
            return data[-1:] == b";"
        if kind not in ("WebP", "BMP"):
            return False  # no mark at their end: they are decoded
        length_at, before = (4, 8) if kind == "WebP" else (2, 0)
        return (
            len(data) >= before + struct.unpack_from("<I", data[:8].ljust(8, b"\0"), length_at)[0]
        )


def orientation(data):
    """EXIF's orientation, 1...8, of the bytes of an image file; 1 where it says nothing."""
    try:
        start, length = exif_block(data)
    except (IndexError, struct.error):
        return 1
    return tiff_orientation(data[start : start + length])


def orientation_of(image):
    """EXIF's orientation, 1...8, of a PIL image; XMP's, by which Pillow goes too, says nothing."""
    return tiff_orientation((image.info.get("exif") or b"").removeprefix(EXIF))


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


def stored_size(kind, data):
    """(height, width) px as stored of a JPEG, PNG, GIF or BMP file."""
    if kind == "JPEG":
        for start, marker, _ in _jpeg_segments(data):
            if marker in FRAMES:
                return struct.unpack_from(">HH", data, start + 5)
        raise IndexError("no frame")
    if kind == "PNG":
        width, height = struct.unpack_from(">II", data, 16)
    elif kind == "GIF":
        width, height = struct.unpack_from("<HH", data, 6)
    else:
        old = struct.unpack_from("<I", data, 14)[0] == 12  # OS/2's BITMAPCOREHEADER
        width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return abs(height), width


def fills_screen(data):
    """Whether the first image of a GIF file, given its bytes, is as large as what is shown."""
    start = 13 + (3 * 2 ** (1 + data[10] % 8) if data[10] & 0x80 else 0)
    while data[start] == 0x21:  # an extension: a label, and blocks up to an empty one
        start += 2
        while data[start]:
            start += 1 + data[start]
        start += 1
    place = struct.unpack_from("<HHHH", data, start + 1)
    return place == (0, 0, *struct.unpack_from("<HH", data, 6))


@contextlib.contextmanager
def _mapped(path):
    """The bytes of a file, of which only those that are looked at are read. Raises DataError."""
    if "\0" in str(path):
        raise DataError(f"{str(path)!r}: no name of a file")
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
