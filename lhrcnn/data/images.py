"""From encoded bytes to a padded image: the one path of training, evaluation, prediction and
exported models.

What is not for tf.data alone is plain TensorFlow, so that it can be part of a SavedModel. Shape
letters: H W of the image as shown, h w of the resized one, px.
"""

import numpy as np
import tensorflow as tf
from PIL import Image

from lhrcnn.data import headers

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation
_MAX_ENTRIES = 512  # of an EXIF directory that is looked through in a graph


def decode_image(contents):
    """uint8 RGB [H, W, 3] of the bytes (scalar string) of a JPEG, PNG, BMP or GIF file.

    Grey images are repeated, CMYK is converted, alpha is dropped, 16 bits become 8, a GIF gives its
    first frame, a JPEG or PNG is turned as its EXIF orientation says. Raises InvalidArgumentError
    (TensorFlow's, without a file name) for anything else."""
    image = decode_stored(contents)
    has_palette = tf.strings.regex_full_match(tf.strings.substr(contents, 0, 30), _PALETTE_BMP)
    image = tf.cond(has_palette, lambda: _palette_colours(contents, image), lambda: image)
    orientation = exif_orientation(contents)
    return tf.cond(orientation > 1, lambda: orient(image, orientation), lambda: image)


def decode_stored(contents):
    """`decode_image` but for EXIF orientations and palettes of BMP files, which few files have."""
    image = tf.io.decode_image(contents, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return image


# BITMAPFILEHEADER, then 8 bits a pixel at byte 28
_PALETTE_BMP = r"BM\C{26}\x08\x00"


def needs_care(contents):
    """Whether `decode_stored` falls short of `decode_image` for the bytes of a file."""
    return headers.orientation(contents) > 1 or (
        contents[:2] == b"BM" and contents[28:30] == b"\x08\x00"
    )


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
    tiff = image.info.get("exif", b"").removeprefix(headers.EXIF)
    turn = _TURNS.get(headers.tiff_orientation(tiff))
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


def evaluation_short_side(data_config):
    """Short side in px of evaluation and prediction."""
    return data_config.test_short_side or data_config.short_side[-1]


def resized_size(height, width, data_config, short_side=None):
    """Height and width (int32, of the same shape) of images after their resize; short_side in px:
    None is the one for testing."""
    if data_config.resize == "stretch":
        return tuple(data_config.stretch_size)
    short_side = evaluation_short_side(data_config) if short_side is None else short_side
    height, width, short_side = (
        tf.cast(value, tf.float64) for value in (height, width, short_side)
    )
    factor = tf.minimum(
        short_side / tf.minimum(height, width), data_config.long_side / tf.maximum(height, width)
    )
    return tuple(
        tf.maximum(tf.cast(tf.round(side * factor), tf.int32), 1) for side in (height, width)
    )


def resize_image(image, data_config, short_side=None):
    """(uint8 [h, w, 3], scale [2] float32) of an image uint8 [H, W, 3]; scale = (h / H, w / W), the
    factors really applied.

    short_side in px: an integer or scalar tensor, None: the one for testing. It is not used by a
    stretch resize."""
    before = tf.shape(image)[:2]
    size = tf.stack(resized_size(before[0], before[1], data_config, short_side))
    resized = resize(image, size, data_config.antialias)
    if data_config.resize == "stretch":
        resized.set_shape([*data_config.stretch_size, 3])
    return resized, scale_of(size, before)


def resize(image, size, antialias):
    """The image uint8 [H, W, 3] at `size` [2] int32 px by bilinear interpolation, uint8."""

    def resized():
        if not antialias:
            return tf.image.resize(image, size)
        # the filter changes nothing in an enlarged image, and costs several times as much
        shrinks = tf.reduce_any(size < before)
        return tf.cond(
            shrinks,
            lambda: tf.image.resize(image, size, antialias=True),
            lambda: tf.image.resize(image, size),
        )

    before = tf.shape(image)[:2]
    # bilinear weights are positive and sum to 1: it stays within 0...255
    return tf.cond(
        tf.reduce_all(size == before), lambda: image, lambda: tf.cast(tf.round(resized()), tf.uint8)
    )


def scale_of(size, before):
    """Network px per px of the image on disk, float32 [..., 2], of heights and widths [..., 2]
    after and before the resize."""
    return tf.cast(tf.cast(size, tf.float64) / tf.cast(before, tf.float64), tf.float32)


def num_aspect_groups(data_config):
    """How many canvases there are for one short side."""
    return 1 if data_config.resize == "stretch" else 2 * (len(data_config.aspect_groups) + 1)


def aspect_group(height, width, data_config):
    """Index of the canvas of images of height and width px, integers or NumPy arrays: NumPy int64
    of the same shape.

    Even: at least as wide as high; odd: higher. Pairs are sorted by the long/short ratio they hold;
    the last holds any."""
    height, width = np.asarray(height, np.float64), np.asarray(width, np.float64)
    if data_config.resize == "stretch":
        return np.zeros(height.shape, np.int64)
    ratio = np.maximum(height, width) / np.minimum(height, width)
    index = sum(
        ((ratio > limit).astype(np.int64) for limit in data_config.aspect_groups),
        np.zeros(ratio.shape, np.int64),
    )
    return 2 * index + (height > width)


def canvases(short_side, data_config):
    """int32 [num_aspect_groups, 2] height and width in px of the padded images of each aspect
    group."""
    if data_config.resize == "stretch":
        return np.array([data_config.stretch_size], np.int32)

    def padded(side):
        return -(-int(np.ceil(side)) // data_config.pad_multiple) * data_config.pad_multiple

    longest = data_config.long_side
    sides = [min(short_side * ratio, longest) for ratio in sorted(data_config.aspect_groups)] + [
        longest
    ]
    pairs = [(padded(min(short_side, longest)), padded(side)) for side in sides]
    return np.array(
        [pair for short, long in pairs for pair in ((short, long), (long, short))], np.int32
    )


def own_canvas(size, data_config):
    """Height and width in px, int32 [2], of the canvas of an image alone: its `size` [2] after the
    resize, padded no more than it must be."""
    return (
        size
        if data_config.resize == "stretch"
        else -(-size // data_config.pad_multiple) * data_config.pad_multiple
    )


def pad_image(image, canvas):
    """The image [h, w, 3] in the upper left corner of a canvas (height, width) px of zeros."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    return tf.pad(image, [[0, canvas[0] - height], [0, canvas[1] - width], [0, 0]])
