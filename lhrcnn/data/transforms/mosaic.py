"""Four images joined at a random point, the same again for the same step of a training."""

import tensorflow as tf

from lhrcnn.data.transforms.joined import joined_objects, seen_within

SHARE = 0.5  # of the images that become mosaics
MARGIN = 0.2  # least distance of the point from the border, as a share of the side


def exact_mosaic(data_config):
    """The transform: beyond a random point half the images show the next three of their batch.

    Right of the point the second is seen, below it the third, right of and below it the fourth,
    each at its own place and scale: the mosaic of arXiv 2004.10934 (section 3.4) by cutting alone,
    so that no pixel and no box moves. Objects whose centre is cut off become `ignore` as far as
    they are still seen; of more than M boxes the largest stay, counted ones before ignored. All of
    a mosaic counts as valid image, whatever parts of it were padding."""
    del data_config
    return _mosaic


def _mosaic(batch, seed):
    shape = tf.shape(batch["image"])
    canvas = tf.cast(shape[1:3], tf.float32)
    numbers = tf.random.stateless_uniform([shape[0], 3], seed)
    point = tf.round(canvas * (MARGIN + (1 - 2 * MARGIN) * numbers[:, 1:]))
    joined = numbers[:, :1] < SHARE
    point = tf.where(joined, point, canvas)  # [B, 2] px; at the far corner nothing is beyond it
    size = tf.where(joined, canvas, batch["image_size"])
    return {
        **batch,
        "image": _pixels(batch["image"], point),
        "image_size": tf.ensure_shape(size, batch["image_size"].shape),
        **_objects(batch, point, canvas),
    }


def _pixels(image, point):
    """Images [B, H, W, 3] joined with the next three of the batch at point [B, 2] px."""
    shape, point = tf.shape(image), tf.cast(point, tf.int32)
    below = (tf.range(shape[1]) >= point[:, :1])[:, :, tf.newaxis, tf.newaxis]
    right = (tf.range(shape[2]) >= point[:, 1:])[:, tf.newaxis, :, tf.newaxis]
    second, third, fourth = (tf.roll(image, -place, 0) for place in (1, 2, 3))
    return tf.where(below, tf.where(right, fourth, third), tf.where(right, second, image))


def _objects(batch, point, canvas):
    """{"boxes", "classes", "ignore"} of images joined at point [B, 2] px."""
    parts = []
    for place in range(4):
        beyond = tf.constant([place >= 2, place % 2 == 1])  # below the point, right of it
        low, high = tf.where(beyond, point, 0.0), tf.where(beyond, canvas, point)
        own = {name: tf.roll(batch[name], -place, 0) for name in ("boxes", "classes", "ignore")}
        parts.append(seen_within(own, low[:, tf.newaxis], high[:, tf.newaxis]))
    return joined_objects(parts, batch)
