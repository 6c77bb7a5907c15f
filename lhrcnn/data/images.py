"""From an image to a padded canvas of the network's size: the one path of training, evaluation,
prediction and exported models.

All is plain TensorFlow, so that it can be part of a SavedModel. Shape letters: H W of the image
as shown, h w of the resized one, px.
"""

import numpy as np
import tensorflow as tf


def evaluation_short_side(data_config):
    """Short side in px of evaluation and prediction."""
    return data_config.test_short_side or data_config.short_side[-1]


ROUNDINGS = {
    "half_to_even": tf.round,
    "half_up": lambda sides: tf.floor(sides + 0.5),
    "floor": tf.floor,
}


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
    rounded = ROUNDINGS[data_config.size_rounding]
    return tuple(
        tf.maximum(tf.cast(rounded(side * factor), tf.int32), 1) for side in (height, width)
    )


def resize_image(image, data_config, short_side=None):
    """(uint8 [h, w, 3], scale [2] float32) of an image uint8 [H, W, 3]; scale = (h / H, w / W), the
    factors really applied. The image is float32 without data_config.whole_pixels.

    short_side in px: an integer or scalar tensor, None: the one for testing. It is not used by a
    stretch resize."""
    before = tf.shape(image)[:2]
    size = tf.stack(resized_size(before[0], before[1], data_config, short_side))
    resized = resize(image, size, data_config.antialias, data_config.whole_pixels)
    if data_config.resize == "stretch":
        resized.set_shape([*data_config.stretch_size, 3])
    return resized, scale_of(size, before)


def resize(image, size, antialias, whole=True):
    """The image uint8 [H, W, 3] at `size` [2] int32 px by bilinear interpolation: uint8, or what it
    is before it is made `whole`, float32."""

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
    same = tf.reduce_all(size == before)
    if not whole:
        return tf.cond(same, lambda: tf.cast(image, tf.float32), resized)
    # bilinear weights are positive and sum to 1: it stays within 0...255
    return tf.cond(same, lambda: image, lambda: tf.cast(tf.round(resized()), tf.uint8))


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
    index = (ratio[..., None] > np.asarray(data_config.aspect_groups)).sum(-1, dtype=np.int64)
    return 2 * index + (height > width)


def canvases(short_side, data_config):
    """int32 [num_aspect_groups, 2] height and width in px of the padded images of each aspect
    group."""
    if data_config.resize == "stretch":
        return np.array([data_config.stretch_size], np.int32)

    def padded(side):
        return -(-int(np.ceil(side)) // data_config.pad_multiple) * data_config.pad_multiple

    longest = data_config.long_side
    sides = [min(short_side * ratio, longest) for ratio in sorted(data_config.aspect_groups)]
    sides.append(longest)
    pairs = [(padded(min(short_side, longest)), padded(side)) for side in sides]
    return np.array(
        [pair for short, long in pairs for pair in ((short, long), (long, short))], np.int32
    )


def own_canvas(size, data_config):
    """Height and width in px, int32 [2], of the canvas of an image alone: its `size` [2] after the
    resize, padded no more than it must be."""
    if data_config.resize == "stretch":
        return size
    return -(-size // data_config.pad_multiple) * data_config.pad_multiple


def pad_image(image, canvas):
    """The image [h, w, 3] in the upper left corner of a canvas (height, width) px of zeros."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    return tf.pad(image, [[0, canvas[0] - height], [0, canvas[1] - width], [0, 0]])
