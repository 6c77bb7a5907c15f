"""From encoded bytes to a padded image: the one path of training, evaluation, prediction and exported models.

What is not for tf.data alone is plain TensorFlow, so that it can be part of a SavedModel. Shape letters: H W of the image as shown,
h w of the resized one, px.
"""

import numpy as np
import tensorflow as tf

HEADER_BYTES = 4096  # cameras and editors write EXIF first
_EXIF = b"Exif\x00\x00"
_ORIENTATION_TAG = 0x0112


def decode_image(contents):
    """uint8 RGB [H, W, 3] of the bytes (scalar string) of a JPEG, PNG, BMP or GIF file.

    Grey images are repeated, CMYK is converted, alpha is dropped, 16 bits become 8, a GIF gives its first frame, a JPEG is
    turned as its EXIF orientation says. Raises InvalidArgumentError (TensorFlow's, without a file name) for anything else."""
    image = decode_stored(contents)
    has_exif, has_palette = exif_and_palette(contents)
    image = tf.cond(has_palette, lambda: _palette_colours(contents, image), lambda: image)
    return tf.cond(
        has_exif,
        lambda: orient(image, exif_orientation(tf.strings.substr(contents, 0, HEADER_BYTES))),
        lambda: image,
    )


def decode_stored(contents):
    """`decode_image` but for EXIF orientations and palettes of BMP files, which few files have."""
    image = tf.io.decode_image(contents, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return image


def exif_and_palette(contents):
    """Which files are JPEG with EXIF, and which BMP with a palette: two bool [...] for the HEADER_BYTES or all [...] of each."""
    is_jpeg = tf.equal(tf.strings.substr(contents, 0, 2), b"\xff\xd8")
    parts = tf.strings.split(
        tf.reshape(tf.strings.substr(contents, 0, HEADER_BYTES), [-1]), _EXIF, maxsplit=1
    )
    # BITMAPFILEHEADER, then 8 bits a pixel at byte 28
    has_palette = tf.strings.regex_full_match(
        tf.strings.substr(contents, 0, 30), r"BM\C{26}\x08\x00"
    )
    return is_jpeg & tf.reshape(parts.row_lengths() > 1, tf.shape(is_jpeg)), has_palette


def _palette_colours(contents, image):
    """Colours of a BMP file of 8 bits a pixel, whose palette TensorFlow's decoder passes over."""
    pixels_at, header_size = (
        tf.io.decode_raw(tf.strings.substr(contents, at, 4), tf.int32)[0] for at in (10, 14)
    )
    table = tf.io.decode_raw(
        tf.strings.substr(contents, 14 + header_size, pixels_at - 14 - header_size), tf.uint8
    )
    return tf.gather(tf.reshape(table, [-1, 4])[:, 2::-1], tf.cast(image[..., 0], tf.int32))


def exif_orientation(header):
    """Orientation 1...8 (scalar int32) in the EXIF block of the first bytes (scalar string) of a JPEG file; 1 without one.

    EXIF 2.3, 4.5.4 (APP1) and 4.6.2 (TIFF header, little or big endian)."""
    data = tf.cast(tf.io.decode_raw(header, tf.uint8), tf.int32)
    data = tf.pad(data, [[0, HEADER_BYTES - tf.size(data)]])
    count = HEADER_BYTES - len(_EXIF)
    match = tf.reduce_all(
        tf.stack([data[i : i + count] == byte for i, byte in enumerate(_EXIF)]), axis=0
    )
    tiff = tf.argmax(match, output_type=tf.int32) + len(_EXIF)
    little = tf.equal(tf.gather(data, tiff), ord("I"))

    def number(start, length):
        at = tf.expand_dims(start, -1) + tf.range(length)
        powers = tf.where(little, tf.range(length), tf.range(length - 1, -1, -1))
        values = tf.gather(data, tf.clip_by_value(at, 0, HEADER_BYTES - 1))
        return tf.reduce_sum(tf.bitwise.left_shift(values, 8 * powers), axis=-1)

    directory = tiff + tf.clip_by_value(number(tiff + 4, 4), 0, HEADER_BYTES)
    entries = directory + 2 + 12 * tf.range(tf.minimum(number(directory, 2), HEADER_BYTES // 12))
    is_orientation = tf.logical_and(
        number(entries, 2) == _ORIENTATION_TAG, entries + 12 <= HEADER_BYTES
    )
    value = tf.reduce_max(tf.where(is_orientation, number(entries + 8, 2), 0))
    known = tf.reduce_any(match) & (value >= 1) & (value <= 8)
    return tf.where(known, value, 1)


def orient(image, orientation):
    """The image [H, W, 3] stored with an EXIF orientation 1...8 (scalar int32), as it is to be shown."""
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
    """Height and width (int32, of the same shape) of images after their resize; short_side in px: None is the one for testing."""
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
    """(uint8 [h, w, 3], scale [2] float32) of an image uint8 [H, W, 3]; scale = (h / H, w / W), the factors really applied.

    short_side in px: an integer or scalar tensor, None: the one for testing. It is not used by a stretch resize."""
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
    """Network px per px of the image on disk, float32 [..., 2], of heights and widths [..., 2] after and before the resize."""
    return tf.cast(tf.cast(size, tf.float64) / tf.cast(before, tf.float64), tf.float32)


def num_aspect_groups(data_config):
    """How many canvases there are for one short side."""
    return 1 if data_config.resize == "stretch" else 2 * (len(data_config.aspect_groups) + 1)


def aspect_group(height, width, data_config):
    """Index of the canvas of images of height and width px, integers or NumPy arrays: NumPy int64 of the same shape.

    Even: at least as wide as high; odd: higher. Pairs are sorted by the long/short ratio they hold; the last holds any."""
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
    """int32 [num_aspect_groups, 2] height and width in px of the padded images of each aspect group."""
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
    """Height and width in px, int32 [2], of the canvas of an image alone: its `size` [2] after the resize, padded no more than it must be."""
    return (
        size
        if data_config.resize == "stretch"
        else -(-size // data_config.pad_multiple) * data_config.pad_multiple
    )


def pad_image(image, canvas):
    """The image [h, w, 3] in the upper left corner of a canvas (height, width) px of zeros."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    return tf.pad(image, [[0, canvas[0] - height], [0, canvas[1] - width], [0, 0]])
