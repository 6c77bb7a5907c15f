"""Two images mixed pixel by pixel, the same again for the same step of a training."""

import tensorflow as tf

from lhrcnn.data.transforms.joined import joined_objects

SHARE = 0.5  # of the images that are mixed
LEAST = 0.35  # weight of either image


def exact_mix_up(data_config):
    """The transform: half the images become a weighted mean of themselves and the next of their
    batch, which has a random weight of LEAST to 1 - LEAST.

    No box moves: the objects of both count, in full, where arXiv 1902.04103 (section 3.1) weights
    their losses and lets one image fade away. Of more than M boxes the largest stay, counted ones
    before ignored. The valid area holds those of both images."""
    del data_config
    return _mix_up


def _mix_up(batch, seed):
    numbers = tf.random.stateless_uniform([tf.shape(batch["image"])[0], 2], seed)
    mixed = numbers[:, 0] < SHARE
    weight = tf.where(mixed, LEAST + (1 - 2 * LEAST) * numbers[:, 1], 0.0)
    others = {name: tf.roll(batch[name], -1, 0) for name in ("boxes", "classes", "ignore")}
    others["boxes"] = tf.where(mixed[:, tf.newaxis, tf.newaxis], others["boxes"], 0.0)
    others["classes"] = tf.where(mixed[:, tf.newaxis], others["classes"], -1)
    others["ignore"] &= mixed[:, tf.newaxis]
    size = tf.where(mixed[:, tf.newaxis], tf.roll(batch["image_size"], -1, 0), 0.0)
    return {
        **batch,
        "image": _pixels(batch["image"], weight),
        "image_size": tf.maximum(batch["image_size"], size),
        **joined_objects([{name: batch[name] for name in others}, others], batch),
    }


def _pixels(image, weight):
    """Images [B, H, W, 3], the next of the batch having a weight [B] in each."""
    own, weight = tf.cast(image, tf.float32), weight[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return tf.cast(tf.round(own + weight * (tf.roll(own, -1, 0) - own)), tf.uint8)
