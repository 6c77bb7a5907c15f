"""A transform of training batches of one's own: one file, which a config names.

    plugins: [examples/transform.py]
    data: {transforms: [cutout]}

What it owes to the rest of a training is written in lhrcnn/data/transforms/__init__.py.
"""

import tensorflow as tf

from lhrcnn.data.transforms import TRANSFORMS

SIDE_PX = 16


def cutout(data_config):
    """Blackens a square of each image, somewhere (DeVries and Taylor 2017, arXiv 1708.04552)."""

    def apply(batch, seed):
        shape = tf.shape(batch["image"])
        # Drawn with the seed of the step, it is the same again when a run is resumed.
        shares = tf.random.stateless_uniform([shape[0], 1, 1, 2], seed)
        corner = shares * batch["image_size"][:, None, None]
        rows = tf.range(shape[1], dtype=tf.float32)[None, :, None] - corner[..., 0]
        columns = tf.range(shape[2], dtype=tf.float32)[None, None] - corner[..., 1]
        hidden = (rows >= 0) & (rows < SIDE_PX) & (columns >= 0) & (columns < SIDE_PX)
        return {**batch, "image": tf.where(~hidden[..., None], batch["image"], 0)}

    return apply


TRANSFORMS["cutout"] = cutout
