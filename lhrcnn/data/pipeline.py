"""Batches for training and evaluation, see `schema`. What is in the batch of a step is a pure function of (seed, step).

Shape letters: N records, S steps of an epoch, T steps asked for, B pictures of a batch, M padded boxes.
"""
import typing

import numpy as np
import tensorflow as tf

from lhrcnn.data import augment, cache
from lhrcnn.data.image import aspect_group, canvases, decode_image, evaluation_short_side, num_aspect_groups, pad_image, resize_image


class PlannedBatch(typing.NamedTuple):
    """What one step is made of."""
    indices: np.ndarray               # [B] int64, of dataset.records
    canvas: typing.Tuple[int, int]    # height and width of the padded pictures, px
    short_side: int                   # px


class _Epoch(typing.NamedTuple):
    number: int
    indices: np.ndarray      # [S, B] int64
    canvases: np.ndarray     # [S, 2] int32
    short_sides: np.ndarray  # [S] int32


class BatchPlan:
    """Which pictures, canvas and short side every training step has; random by (seed, epoch), the same on every machine.

    An epoch shows each picture once. Pictures of one aspect group share a batch; the few left over of each group share batches
    on a canvas that holds them all, and the very last batch is filled from the start of the epoch's order."""

    def __init__(self, dataset, data_config, batch_size, seed):
        """seed: int from 0; batch_size: pictures of a step over all devices."""
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.steps_per_epoch = -(-len(dataset.records) // batch_size)
        self._data_config = data_config
        self._groups = _groups(dataset, data_config)
        self._canvases = {side: canvases(side, data_config) for side in data_config.short_side}
        self._epoch = None

    def batch(self, step):
        """The `PlannedBatch` of a step counted from 0."""
        epoch, row = self._epoch_of(step)
        return PlannedBatch(epoch.indices[row], tuple(int(side) for side in epoch.canvases[row]), int(epoch.short_sides[row]))

    def steps(self, start_step, stop_step):
        """(indices [T, B] int64, canvases [T, 2] int32, short sides [T] int32) of the steps from start up to stop."""
        batches = [self.batch(step) for step in range(start_step, stop_step)]
        return (np.array([b.indices for b in batches], np.int64).reshape(-1, self.batch_size),
                np.array([b.canvas for b in batches], np.int32).reshape(-1, 2), np.array([b.short_side for b in batches], np.int32))

    def _epoch_of(self, step):
        number, row = divmod(int(step), self.steps_per_epoch)
        if self._epoch is None or self._epoch.number != number:
            self._epoch = self._plan(number)
        return self._epoch, row

    def _plan(self, number):
        num_records, size, sides = len(self._groups), self.batch_size, self._data_config.short_side
        order = _permutation(num_records, 2 * self.seed, number)
        batches, leftovers = [], []
        for group in _neighbours(self._data_config):
            members = order[self._groups[order] == group]
            full = len(members) - len(members) % size
            batches.extend(members[:full].reshape(-1, size))
            leftovers.extend(members[full:])
        leftovers.extend(np.resize(order, -len(leftovers) % size))
        batches.extend(np.array(leftovers, np.int64).reshape(-1, size))
        indices = np.stack(batches)[_permutation(self.steps_per_epoch, 2 * self.seed + 1, number)]
        drawn = tf.random.stateless_uniform([self.steps_per_epoch], _key(self.seed, number), 0, len(sides), tf.int32).numpy()
        short_sides = np.array(sides, np.int32)[drawn]
        per_picture = np.stack([self._canvases[side][groups] for side, groups in zip(short_sides, self._groups[indices])])
        return _Epoch(number, indices, per_picture.max(axis=1), short_sides)


def max_boxes(dataset, data_config):
    """M: the most boxes of a picture of the data set, at most data.max_boxes, at least 1."""
    most = max((len(record.boxes) for record in dataset.records), default=1)
    return max(1, min(most, data_config.max_boxes))


def training_batches(plan, data_config, start_step, stop_step):
    """tf.data.Dataset of the augmented batches of the steps from start up to stop; any start gives the same stream from there on."""
    indices, sizes, short_sides = plan.steps(start_step, stop_step)
    batch_size = plan.batch_size
    load = _loader(plan.dataset, data_config, data_config.short_side)
    every = {"index": indices.reshape(-1), "canvas": np.repeat(sizes, batch_size, axis=0), "short_side": np.repeat(short_sides, batch_size),
             "step": np.repeat(np.arange(start_step, stop_step, dtype=np.int64), batch_size),
             "slot": np.tile(np.arange(batch_size, dtype=np.int64), len(indices))}

    def example(item):
        loaded = load(item["index"], item["short_side"])
        numbers = augment.random_numbers(plan.seed, item["step"], item["slot"])
        return _padded(augment.augment(loaded, numbers, data_config), item["canvas"], data_config)

    batches = _batched(every, example, batch_size, data_config)
    if data_config.keras_cv_augment:
        batches = batches.map(augment.keras_cv_augmenter(data_config.keras_cv_augment))
    return batches.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(dataset, data_config, batch_size):
    """tf.data.Dataset of full batches with every record once, grouped by canvas; filling pictures have image_id -1 and no boxes."""
    groups, side = _groups(dataset, data_config), evaluation_short_side(data_config)
    chunks, canvas_of = [], canvases(side, data_config)
    for group in range(num_aspect_groups(data_config)):
        members = np.flatnonzero(groups == group)
        members = np.concatenate([members, np.full(-len(members) % batch_size, -1)]).reshape(-1, batch_size)
        chunks.extend((chunk, canvas_of[group]) for chunk in members)
    load = _loader(dataset, data_config, [side])
    index = np.array([chunk for chunk, _ in chunks], np.int64)
    every = {"index": np.where(index < 0, index[:, :1], index).reshape(-1), "real": (index >= 0).reshape(-1),
             "canvas": np.repeat([size for _, size in chunks], batch_size, axis=0).astype(np.int32)}

    def example(item):
        loaded = load(item["index"], side)
        loaded["classes"] = tf.where(item["real"], loaded["classes"], -1)
        loaded["boxes"] = tf.where(item["real"], loaded["boxes"], 0.0)
        loaded["ignore"] = tf.logical_and(item["real"], loaded["ignore"])
        loaded["image_id"] = tf.where(item["real"], loaded["image_id"], -1)
        return _padded(loaded, item["canvas"], data_config)

    return _batched(every, example, batch_size, data_config).prefetch(tf.data.AUTOTUNE)


def _groups(dataset, data_config):
    heights, widths = (np.array([getattr(record, side) for record in dataset.records]) for side in ("height", "width"))
    return aspect_group(heights, widths, data_config)


def _neighbours(data_config):
    """Aspect groups from the tallest to the widest, so that leftovers next to each other waste little of a common canvas."""
    count = num_aspect_groups(data_config)
    return list(range(count - 1, 0, -2)) + list(range(0, count, 2))


def _permutation(count, seed, epoch):
    return tf.random.experimental.index_shuffle(tf.range(count, dtype=tf.int64), _key(seed, epoch), count - 1).numpy()


def _key(seed, number):
    return tf.constant([seed, number], tf.int64)


def _loader(dataset, data_config, short_sides):
    """A graph function (record index, short side out of short_sides) -> one unpadded example with M boxes."""
    records, most = dataset.records, max_boxes(dataset, data_config)
    kept = [_kept_boxes(record, most) for record in records]
    ends = np.cumsum([len(keep) for keep in kept], dtype=np.int64)
    flat = {name: tf.constant(np.concatenate([getattr(record, name)[keep] for record, keep in zip(records, kept)]))
            for name in ("boxes", "classes", "ignore")}
    starts, ends = tf.constant(np.concatenate([[0], ends[:-1]])), tf.constant(ends)
    image_ids = tf.constant([record.image_id for record in records], tf.int64)
    picture = (_cached_picture if data_config.cache_dir else _decoded_picture)(records, data_config, short_sides)

    def load(index, short_side):
        image, scale = picture(index, short_side)
        span, room = slice(starts[index], ends[index]), most - (ends[index] - starts[index])
        boxes = tf.pad(flat["boxes"][span] * tf.tile(scale, [2]), [[0, room], [0, 0]])
        return {"image": image, "scale": scale, "boxes": tf.ensure_shape(boxes, [most, 4]),
                "classes": tf.ensure_shape(tf.pad(flat["classes"][span], [[0, room]], constant_values=-1), [most]),
                "ignore": tf.ensure_shape(tf.pad(flat["ignore"][span], [[0, room]]), [most]), "image_id": image_ids[index]}

    return load


def _decoded_picture(records, data_config, _):
    """A graph function (record index, short side) -> (resized picture, scale) that reads and decodes the file."""
    paths = tf.constant([record.path for record in records])
    sizes = tf.constant([[record.height, record.width] for record in records], tf.int32)

    def picture(index, short_side):
        image = decode_image(tf.io.read_file(paths[index]))
        size = tf.shape(image)[:2]
        check = tf.debugging.Assert(tf.reduce_all(size == sizes[index]), [
            tf.strings.join(["picture ", paths[index], " has height and width"]), size, "its annotation says", sizes[index],
            "correct the annotation, or set data.on_error=skip to leave such pictures out"])
        with tf.control_dependencies([check]):
            return resize_image(image, data_config, short_side)

    return picture


def _cached_picture(records, data_config, short_sides):
    """A graph function like that of `_decoded_picture`, which fills data.cache_dir first and then reads from it."""
    paths = tf.constant(cache.fill(records, data_config, short_sides))
    sizes = tf.constant([[record.height, record.width] for record in records], tf.float64)

    def picture(index, short_side):
        column = tf.argmax(tf.equal(short_sides, short_side)) if data_config.resize == "keep_ratio" else 0
        image = cache.read(paths[index, column])
        if data_config.resize == "stretch":
            image = tf.ensure_shape(image, [*data_config.stretch_size, 3])
        return image, tf.cast(tf.cast(tf.shape(image)[:2], tf.float64) / sizes[index], tf.float32)

    return picture


def _kept_boxes(record, most):
    """Indices of the boxes that stay, in their order: those that count before ignored ones, large before small."""
    if len(record.boxes) <= most:
        return np.arange(len(record.boxes))
    extent = np.prod(record.boxes[:, 2:] - record.boxes[:, :2], axis=1)
    return np.sort(np.lexsort((-extent, record.ignore))[:most])


def _padded(example, canvas, data_config):
    image = example["image"]
    example["image_size"] = tf.cast(tf.shape(image)[:2], tf.float32)
    if data_config.resize == "keep_ratio":
        example["image"] = tf.ensure_shape(pad_image(image, canvas), [None, None, 3])
    return example


def _batched(every, example, batch_size, data_config):
    parallel = data_config.workers or tf.data.AUTOTUNE
    batches = tf.data.Dataset.from_tensor_slices(every).map(example, num_parallel_calls=parallel, deterministic=True)
    batches = batches.batch(batch_size, drop_remainder=True)
    options = tf.data.Options()
    # Every replica gets its slice of each batch; sharding by file or element would give it other pictures.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
