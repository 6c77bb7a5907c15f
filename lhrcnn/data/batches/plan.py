"""What every training step is made of: a pure function of (seed, step), the same on every machine.

Shape letters: N records, T images and S steps of an epoch, B images of a batch.
"""

import typing

import numpy as np
import tensorflow as tf

from lhrcnn.data.batches.repeats import repeat_factors, repeated
from lhrcnn.data.images import aspect_group, canvases, num_aspect_groups
from lhrcnn.data.transforms import augment


class PlannedBatch(typing.NamedTuple):
    """What one step is made of."""

    indices: np.ndarray  # [B] int64, of dataset.records
    canvas: tuple[int, int]  # height and width of the padded images, px
    short_side: int  # px
    numbers: np.ndarray  # [B, num_draws] float32 in [0, 1), of the augmentation
    seed: np.ndarray  # [2] int64, of the transforms


class _Epoch(typing.NamedTuple):
    number: int
    indices: np.ndarray  # [S, B] int64
    canvases: np.ndarray  # [S, 2] int32
    short_sides: np.ndarray  # [S] int32
    numbers: np.ndarray  # [S, B, num_draws] float32


class BatchPlan:
    """Which images, canvas, short side and random numbers every training step has.

    An epoch shows each image once, with data.repeat_below those of rare classes more often. Images
    of one aspect group share a batch; the few left over of each group share batches on a canvas
    that holds them all, and the very last batch is filled from the start of the epoch's order."""

    def __init__(self, dataset, data_config, batch_size, seed, num_draws=augment.NUM_DRAWS):
        """batch_size: images of a step over all devices; seed: int from 0; num_draws: per image."""
        self.dataset, self.batch_size = dataset, batch_size
        self.seed, self.num_draws = seed, num_draws
        self._data_config, self._factors = data_config, None
        images = len(dataset.records)
        if data_config.repeat_below:
            self._factors = repeat_factors(dataset.records, data_config.repeat_below)
            images = round(self._factors.sum())
        self.steps_per_epoch = -(-images // batch_size)
        self._groups = aspect_groups(dataset, data_config)
        self._canvases = {side: canvases(side, data_config) for side in data_config.short_side}
        self._epoch = None

    def batch(self, step):
        """The `PlannedBatch` of a step counted from 0."""
        number, row = divmod(int(step), self.steps_per_epoch)
        if self._epoch is None or self._epoch.number != number:
            self._epoch = self._plan(number)
        epoch, seed = self._epoch, np.array([self.seed, step], np.int64)
        canvas = tuple(epoch.canvases[row].tolist())
        short_side = int(epoch.short_sides[row])
        return PlannedBatch(epoch.indices[row], canvas, short_side, epoch.numbers[row], seed)

    def _plan(self, number):
        size, sides = self.batch_size, self._data_config.short_side
        order = self._order(number)
        batches, leftovers = [], []
        for group in _neighbours(self._data_config):
            members = order[self._groups[order] == group]
            full = len(members) - len(members) % size
            batches.extend(members[:full].reshape(-1, size))
            leftovers.extend(members[full:])
        leftovers.extend(np.resize(order, -len(leftovers) % size))
        batches.extend(np.array(leftovers, np.int64).reshape(-1, size))
        steps = self.steps_per_epoch
        indices = np.stack(batches)[_permutation(steps, 2 * self.seed + 1, number)]
        key = _key(self.seed, number)
        drawn = tf.random.stateless_uniform([steps], key, 0, len(sides), tf.int32).numpy()
        numbers = tf.random.stateless_uniform(
            [steps, size, self.num_draws], tf.random.experimental.stateless_fold_in(key, 1)
        )
        short_sides = np.array(sides, np.int32)[drawn]
        pairs = zip(short_sides, self._groups[indices])
        canvas = np.stack([self._canvases[side][groups].max(axis=0) for side, groups in pairs])
        return _Epoch(number, indices, canvas, short_sides, numbers.numpy())

    def _order(self, number):
        """The records of an epoch, shuffled: int64 [T]."""
        if self._factors is None:
            return _permutation(len(self._groups), 2 * self.seed, number)
        key = tf.random.experimental.stateless_fold_in(_key(self.seed, number), 2)
        shown = repeated(self._factors, tf.random.stateless_uniform([], key).numpy())
        return shown[_permutation(len(shown), 2 * self.seed, number)]


def aspect_groups(dataset, data_config):
    """The aspect group of each record, int64 [N]."""
    heights = np.array([record.height for record in dataset.records])
    widths = np.array([record.width for record in dataset.records])
    return aspect_group(heights, widths, data_config)


def _neighbours(data_config):
    """Aspect groups from the tallest to the widest: leftovers next to each other waste little."""
    count = num_aspect_groups(data_config)
    return list(range(count - 1, 0, -2)) + list(range(0, count, 2))


def _permutation(count, seed, epoch):
    return tf.random.experimental.index_shuffle(
        tf.range(count, dtype=tf.int64), _key(seed, epoch), count - 1
    ).numpy()


def _key(seed, number):
    return tf.constant([seed, number], tf.int64)
