"""Square batches of whole images, for pretraining: random parts of them in training, their middle
in testing.

A batch holds `image` [B, S, S, 3] uint8 RGB and `label` [B] int32: the class of an image's first
object, 0 where it has none, -1 where it only fills the batch up. S is pretrain.crop_size.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from lhrcnn.autograph import without_autograph
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.batches.reading import num_workers, read_ahead
from lhrcnn.data.decoding import decode_in_pipeline
from lhrcnn.data.images import resize
from lhrcnn.data.transforms import augment

_NUM_DRAWS = augment.NUM_DRAWS + 1  # the last is the part's aspect ratio
_MAX_ASPECT = 4 / 3


def plan_of(dataset, config):
    """The BatchPlan of a Dataset for a Config, whose batches all have one square canvas."""
    side = config.pretrain.crop_size
    square = dataclasses.replace(config.data, resize="stretch", stretch_size=[side, side])
    return BatchPlan(dataset, square, config.train.batch_size, config.train.seed, _NUM_DRAWS)


def training_crops(plan, config, start_step, stop_step):
    """tf.data.Dataset of the batches of the steps from start up to stop; any start gives the same
    stream from there on."""
    steps = [plan.batch(step) for step in range(start_step, stop_step)]
    rows = _rows(plan.dataset, np.concatenate([step.indices for step in steps]))
    rows["numbers"] = np.concatenate([step.numbers for step in steps])

    def changed(image, row):
        numbers, least = row["numbers"], config.pretrain.min_crop_area
        image = _cut(image, *random_part(tf.shape(image)[:2], numbers, least), config)
        return augment.mirror_and_colour(image, numbers, config.data)

    return _batches(rows, changed, config, plan.batch_size)


def held_out_crops(dataset, config, batch_size):
    """tf.data.Dataset of full batches with the middle of every image once: as if its short side
    were resized to pretrain.test_resize."""
    index = np.arange(-(-len(dataset.records) // batch_size) * batch_size)
    rows = _rows(dataset, index % len(dataset.records))
    rows["label"][len(dataset.records) :] = -1

    def changed(image, row):
        size = tf.shape(image)[:2]
        short = tf.cast(tf.reduce_min(size), tf.float32)
        side = tf.round(short * config.pretrain.crop_size / config.pretrain.test_resize)
        side = tf.fill([2], tf.maximum(tf.cast(side, tf.int32), 1))
        return _cut(image, (size - side) // 2, side, config)

    return _batches(rows, changed, config, batch_size)


def random_part(size, numbers, min_area):
    """(top left corner, height and width), int32 [2] px, of a part of an image of `size` [2] = (H,
    W), by `numbers` [9] in [0, 1).

    It has a uniform share of the image's area from `min_area` up and a log-uniform aspect ratio up
    to 4 : 3 either way, and lies anywhere (Szegedy et al. 2015, arXiv 1409.4842, section 6); where
    the image is too narrow for it, it is cut short."""
    area = (min_area + numbers[1] * (1 - min_area)) * tf.cast(tf.reduce_prod(size), tf.float32)
    aspect = tf.exp((2 * numbers[8] - 1) * math.log(_MAX_ASPECT))
    part = tf.cast(tf.round(tf.sqrt(tf.stack([area / aspect, area * aspect]))), tf.int32)
    part = tf.clip_by_value(part, 1, size)
    corner = tf.cast(numbers[2:4] * tf.cast(size - part + 1, tf.float32), tf.int32)
    return tf.minimum(corner, size - part), part


def _rows(dataset, indices):
    """Paths and labels of the records at `indices` [n], for tf.data."""
    records = [dataset.records[index] for index in indices]
    labels = [record.classes[0] if len(record.classes) else 0 for record in records]
    paths = [record.path for record in records]
    return {"path": np.array(paths, object), "label": np.array(labels, np.int32)}


def _cut(image, corner, part, config):
    """The part [2] px from `corner` [2] on of an image, resized to a square."""
    side = config.pretrain.crop_size
    image = tf.slice(image, [*tf.unstack(corner), 0], [*tf.unstack(part), 3])
    image = resize(image, tf.constant([side, side]), config.data.antialias)
    return tf.ensure_shape(image, [side, side, 3])


def _batches(rows, changed, config, batch_size):
    @without_autograph
    def example(row):
        (image,) = decode_in_pipeline([tf.io.read_file(row["path"])], config.data.accurate_jpeg)
        return {"image": changed(image, row), "label": row["label"]}

    examples = tf.data.Dataset.from_tensor_slices(rows)
    examples = examples.map(
        example, num_parallel_calls=num_workers(config.data), deterministic=True
    )
    return read_ahead(examples.batch(batch_size, drop_remainder=True))
