"""From encoded bytes to pixels as they are to be shown: the one path of training, evaluation,
prediction and exported models.

`decode_image` is plain TensorFlow, so that it can be part of a SavedModel; `decode` and
`decode_in_pipeline` read more formats. Shape letters: H W of the image as shown, px.
"""

import contextlib
import functools
import io
import math
import pathlib
import re
import struct

import numpy as np
import tensorflow as tf
from PIL import Image

from lhrcnn.data import formats, headers
from lhrcnn.errors import DataError

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation
_MOST_BYTES = 1 << 29  # of the pixels that TensorFlow decodes
_SMALL_BYTES = 500_000  # no smaller file holds so many
_MAX_ENTRIES = 512  # of an EXIF directory that is looked through in a graph


def read_image(path, accurate_jpeg=False):
    """uint8 RGB [H, W, 3] of an image file of any format that is read, as it is to be shown; `path`
    may be anything that has read_bytes.

    accurate_jpeg: as of DataConfig, everywhere here. Raises DataError naming the file."""
    file = path if hasattr(path, "read_bytes") else pathlib.Path(path)
    try:
        return decode(file.read_bytes(), accurate_jpeg, _graph(accurate_jpeg))
    except FileNotFoundError:
        raise DataError(f"{path}: no such image file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def decode(contents, accurate_jpeg=False, graph=None):
    """`decode_image` for bytes in Python, also of the formats that Pillow reads: a NumPy array.

    graph: of `_graph`, tried first. Raises DataError, without the file's name."""
    kind = formats.format_of(contents)
    if kind not in formats.PILLOW:
        raise DataError(f"not readable as an image: {formats.refusal(contents)}")
    if kind not in formats.STOCK.values() or _beyond_tensorflow(contents, kind):
        return as_rgb(formats.open_with_pillow(io.BytesIO(contents)))
    if graph:
        with contextlib.suppress(tf.errors.OpError):  # whose message names nodes of the graph
            return graph(tf.constant(contents)).numpy()
    try:
        return decode_image(tf.constant(contents), accurate_jpeg).numpy()
    except tf.errors.OpError as error:
        raise DataError(f"not decodable: {_reason(error)}") from None


@functools.cache
def _graph(accurate_jpeg):
    """`decode_image` as a graph: op by op it takes three times as long, and TensorFlow keeps 1.4 kB
    of memory for each call. Not for tf.data, whose threads it might wait for."""
    return tf.function(
        lambda contents: decode_image(contents, accurate_jpeg),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    ).get_concrete_function()  # else threads that begin together trace it once each


def _beyond_tensorflow(contents, kind):
    """Whether a JPEG, PNG, GIF or BMP file is too large for TensorFlow, a GIF file with a first
    image smaller than its screen, which that does not see, or a BMP file that it does not know: of
    OS/2, compressed, or of other than 8, 24 and 32 bits a pixel."""
    if kind == "BMP":
        header_size, bits, compression = struct.unpack("<I10xHI", contents[14:34].ljust(20, b"\0"))
        if header_size < 40 or bits not in (8, 24, 32) or compression:
            return True
    with contextlib.suppress(IndexError, struct.error):
        if kind == "GIF" and not headers.fills_screen(contents):
            return True
    if len(contents) < _SMALL_BYTES:
        return False
    try:
        return 3 * math.prod(headers.stored_size(kind, contents)) >= _MOST_BYTES
    except (IndexError, struct.error):
        return False


def _reason(error):
    """The sentence in a TensorFlow error, without node names."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]( name:.*)?", "", error.message).strip()
    return text.splitlines()[0] if text else type(error).__name__


def as_rgb(image):
    """`rgb_of` a PIL image, turned by EXIF. Raises DataError, also where it cannot be decoded."""
    try:
        return rgb_of(as_shown(image))
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001  Pillow's plugins raise what they like
        raise DataError(f"not decodable: {error}") from None


def rgb_of(image):
    """uint8 RGB [H, W, 3] of a PIL image; alpha is dropped, 16 bits become 8.

    Raises DataError where it holds numbers that are no brightness."""
    if image.mode in ("I", "F"):
        raise DataError(
            f"its pixels are 32-bit numbers (mode {image.mode} of Pillow), and nothing says which "
            "is white; save it with 8 or 16 bits"
        )
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def decode_in_pipeline(contents, accurate_jpeg=False):
    """The images uint8 [H, W, 3] of a list of files' bytes (scalar strings), for tf.data.

    What few files need costs the others one call of Python for all."""
    images = tf.cond(
        tf.numpy_function(lambda files: any(map(needs_care, files)), [contents], tf.bool),
        lambda: tf.numpy_function(
            lambda files: [decode(file, accurate_jpeg) for file in files],
            [contents],
            [tf.uint8] * len(contents),
        ),
        lambda: [_decode_stock(file, accurate_jpeg) for file in contents],
    )
    return [tf.ensure_shape(image, [None, None, 3]) for image in tf.nest.flatten(images)]


def decode_image(contents, accurate_jpeg=False):
    """uint8 RGB [H, W, 3] of the bytes (scalar string) of a JPEG, PNG, BMP or GIF file.

    Grey images are repeated, CMYK is converted, alpha is dropped, 16 bits become 8, a GIF gives its
    first frame, without the rest of its screen, a JPEG or PNG is turned as its EXIF orientation
    says. Raises InvalidArgumentError (TensorFlow's, without a file name) for anything else."""
    image = decode_stored(contents, accurate_jpeg)
    image = tf.cond(has_palette(contents), lambda: _palette_colours(contents, image), lambda: image)
    return turned(image, contents)


def turned(image, contents):
    """An image [H, W, 3] as stored in a file, turned as EXIF in the file's bytes says."""
    orientation = exif_orientation(contents)
    return tf.cond(orientation > 1, lambda: orient(image, orientation), lambda: image)


def decode_stored(contents, accurate_jpeg=False):
    """`decode_image` but for EXIF orientations and palettes of BMP files, which few files have."""
    starts = {length: tf.strings.substr(contents, 0, length) for length in (2, 6, 8)}
    offered = tf.reduce_any([starts[len(start)] == start for start in formats.STOCK])
    # the decoder sees nothing of another format, also where it would know it
    return _decode_stock(tf.where(offered, contents, ""), accurate_jpeg)


def _decode_stock(contents, accurate_jpeg):
    """`decode_stored` for the bytes of a file that is known to be of a format of formats.STOCK."""
    by_any = functools.partial(tf.io.decode_image, contents, 3, expand_animations=False)
    as_jpeg = functools.partial(tf.io.decode_jpeg, contents, 3, dct_method=dct_method(True))
    # decode_image takes no dct_method
    is_jpeg = tf.strings.substr(contents, 0, 2) == b"\xff\xd8"
    image = tf.cond(is_jpeg, as_jpeg, by_any) if accurate_jpeg else by_any()
    image.set_shape([None, None, 3])
    return image


def dct_method(accurate_jpeg):
    """What TensorFlow's decoders of JPEG call a transform: the one of Pillow, or their own
    choice."""
    return "INTEGER_ACCURATE" if accurate_jpeg else ""


def has_palette(contents):
    """Whether the bytes (scalar string) are a BMP file of colours with numbers (scalar bool)."""
    # BITMAPFILEHEADER, then 8 bits a pixel at byte 28
    return tf.strings.regex_full_match(tf.strings.substr(contents, 0, 30), r"BM\C{26}\x08\x00")


def needs_care(contents):
    """Whether `decode_stored` falls short of `decode_image` for the bytes of a file."""
    if contents[:2] == b"BM" and contents[28:30] == b"\x08\x00":
        return True
    if not contents.startswith(tuple(formats.STOCK)) or headers.orientation(contents) > 1:
        return True
    return _beyond_tensorflow(contents, formats.format_of(contents))


def _palette_colours(contents, image):
    """Colours of a BMP file of 8 bits a pixel, whose palette TensorFlow's decoder passes over."""
    pixels_at, header_size = (
        tf.io.decode_raw(tf.strings.substr(contents, at, 4), tf.int32)[0] for at in (10, 14)
    )
    table = tf.io.decode_raw(
        tf.strings.substr(contents, 14 + header_size, pixels_at - 14 - header_size), tf.uint8
    )
    return tf.gather(tf.reshape(table, [-1, 4])[:, 2::-1], tf.cast(image[..., 0], tf.int32))


def exif_orientation(contents):
    """EXIF's orientation 1...8 (scalar int32) of the bytes of a file (scalar string); 1 without
    one.

    `headers.orientation` in TensorFlow, for graphs."""
    if tf.executing_eagerly():
        return tf.constant(headers.orientation(tf.constant(contents).numpy()))
    return _tiff_orientation(_exif(contents))


def _exif(contents):
    """The TIFF structure (scalar string) that is a file's EXIF, and maybe more; empty: none."""
    is_png = tf.strings.substr(contents, 0, 8) == b"\x89PNG\r\n\x1a\n"
    is_jpeg = tf.strings.substr(contents, 0, 2) == b"\xff\xd8"
    end = tf.strings.length(contents)

    def is_exif(start):
        jpeg = is_jpeg & (part(start, 2) == b"\xff\xe1") & (part(start + 4, 6) == headers.EXIF)
        return jpeg | is_png & (part(start + 4, 4) == b"eXIf")

    def part(start, length):
        return tf.strings.substr(contents, tf.minimum(start, end), length)

    def goes_on(start):
        frame = tf.reduce_any(_number(part(start + 1, 1)) == sorted(headers.FRAMES))
        in_jpeg = is_jpeg & (part(start, 1) == b"\xff") & ~frame
        return (in_jpeg | is_png) & (start + 12 <= end) & ~is_exif(start)

    def following(start):
        fill = is_jpeg & (part(start + 1, 1) == b"\xff")
        length = tf.where(is_png, 12 + _number(part(start, 4)), 2 + _number(part(start + 2, 2)))
        return start + tf.where(fill, 1, tf.maximum(length, 1))

    start = tf.while_loop(goes_on, following, [tf.where(is_png, 8, 2)])[0]
    start = tf.where(is_exif(start), start + tf.where(is_png, 8, 10), end)
    return tf.strings.substr(contents, tf.minimum(start, end), -1)


def _number(text):
    """The big-endian number (scalar int32, at most 2^31 - 1) in up to 4 bytes (scalar string)."""
    values = tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int64)
    powers = 8 * tf.range(tf.size(values, tf.int64) - 1, -1, -1)
    number = tf.reduce_sum(tf.bitwise.left_shift(values, powers))
    return tf.cast(tf.minimum(number, 2**30), tf.int32)


def _tiff_orientation(tiff):
    """Orientation 1...8 (scalar int32) in a TIFF structure (scalar string; EXIF 2.3, 4.6.2)."""
    little = tf.strings.substr(tiff, 0, 2) == b"II"
    data = tf.cast(tf.io.decode_raw(tf.strings.substr(tiff, 0, 1 << 16), tf.uint8), tf.int32)
    size = tf.size(data)
    data = tf.concat([data, [0]], 0)

    def number(start, length):
        at = tf.expand_dims(start, -1) + tf.range(length)
        powers = tf.where(little, tf.range(length), tf.range(length - 1, -1, -1))
        values = tf.gather(data, tf.clip_by_value(at, 0, size))
        return tf.reduce_sum(tf.bitwise.left_shift(values, 8 * powers), axis=-1)

    directory = tf.clip_by_value(number(tf.constant(4), 4), 0, 1 << 16)
    entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory, 2), _MAX_ENTRIES))
    matches = (number(entries, 2) == headers.ORIENTATION_TAG) & (entries + 12 <= size)
    value = tf.reduce_max(tf.where(matches, number(entries + 8, 2), 0))
    return tf.where((value >= 1) & (value <= 8), value, 1)


def as_shown(image):
    """A PIL image turned as `decode_image` turns its file: by EXIF, not by what XMP says."""
    image.load()  # a PNG file may have its EXIF last
    turn = _TURNS.get(headers.orientation_of(image))
    return image if turn is None else image.transpose(turn)


def orient(image, orientation):
    """The image [H, W, 3] stored with an EXIF orientation 1...8 (scalar int32), as it is to be
    shown."""
    swaps_axes = orientation >= 5
    turned = tf.transpose(image, tf.where(swaps_axes, [1, 0, 2], [0, 1, 2]))
    mirrored = tf.stack(
        [tf.reduce_any(tf.equal(orientation, axis)) for axis in ((3, 4, 7, 8), (2, 3, 6, 7))]
    )
    turned = tf.reverse(turned, tf.boolean_mask([0, 1], mirrored))
    turned.set_shape([None, None, 3])
    return turned
