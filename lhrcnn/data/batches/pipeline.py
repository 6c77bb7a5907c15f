"""Batches for training and evaluation, see `schema`. What is in the batch of a step is a pure function of (seed, step).

Shape letters: N records, S steps of an epoch, T steps asked for, B images of a batch, M padded boxes.
"""

import typing

import numpy as np
import tensorflow as tf

from lhrcnn.choices import resolve
from lhrcnn.data.batches import cache
from lhrcnn.data.batches.reading import num_workers, read_ahead
from lhrcnn.data.images import (
    HEADER_BYTES,
    aspect_group,
    canvases,
    decode_image,
    decode_stored,
    evaluation_short_side,
    exif_and_palette,
    num_aspect_groups,
    pad_image,
    resize,
    resized_size,
    scale_of,
)
from lhrcnn.data.transforms import TRANSFORMS, augment
from lhrcnn.errors import DataError

_LARGEST_CHUNK = 8


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
    seeds: np.ndarray  # [S, 2] int64


class BatchPlan:
    """Which images, canvas, short side and random numbers every training step has; drawn by (seed, epoch), the same on every machine.

    An epoch shows each image once. Images of one aspect group share a batch; the few left over of each group share batches
    on a canvas that holds them all, and the very last batch is filled from the start of the epoch's order."""

    def __init__(self, dataset, data_config, batch_size, seed, num_draws=augment.NUM_DRAWS):
        """seed: int from 0; batch_size: images of a step over all devices; num_draws: random numbers per image."""
        self.dataset, self.batch_size, self.seed, self.num_draws = (
            dataset,
            batch_size,
            seed,
            num_draws,
        )
        self.steps_per_epoch = -(-len(dataset.records) // batch_size)
        self._data_config = data_config
        self._groups = _groups(dataset, data_config)
        self._canvases = {side: canvases(side, data_config) for side in data_config.short_side}
        self._epoch = None

    def batch(self, step):
        """The `PlannedBatch` of a step counted from 0."""
        epoch, row = self._epoch_of(step)
        canvas = tuple(int(side) for side in epoch.canvases[row])
        return PlannedBatch(
            epoch.indices[row],
            canvas,
            int(epoch.short_sides[row]),
            epoch.numbers[row],
            epoch.seeds[row],
        )

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
        key = _key(self.seed, number)
        drawn = tf.random.stateless_uniform(
            [self.steps_per_epoch], key, 0, len(sides), tf.int32
        ).numpy()
        numbers = tf.random.stateless_uniform(
            [self.steps_per_epoch, size, self.num_draws],
            tf.random.experimental.stateless_fold_in(key, 1),
        )
        seeds = tf.random.stateless_uniform(
            [self.steps_per_epoch, 2],
            tf.random.experimental.stateless_fold_in(key, 2),
            None,
            None,
            tf.int64,
        )
        short_sides = np.array(sides, np.int32)[drawn]
        per_image = np.stack(
            [
                self._canvases[side][groups]
                for side, groups in zip(short_sides, self._groups[indices])
            ]
        )
        canvas = per_image.max(axis=1)
        return _Epoch(number, indices, canvas, short_sides, numbers.numpy(), seeds.numpy())


def max_boxes(dataset, data_config):
    """M: the most boxes of an image of the data set, at most data.max_boxes, at least 1."""
    most = max((len(record.boxes) for record in dataset.records), default=1)
    return max(1, min(most, data_config.max_boxes))


def training_batches(plan, data_config, start_step, stop_step):
    """tf.data.Dataset of the augmented batches of the steps from start up to stop; any start gives the same stream from there on."""
    steps = [plan.batch(step) for step in range(start_step, stop_step)]
    each = {
        **_images(
            plan.dataset,
            data_config,
            np.concatenate([step.indices for step in steps]),
            np.repeat([step.short_side for step in steps], plan.batch_size),
            data_config.short_side,
        ),
        "canvas": np.repeat(
            np.array([step.canvas for step in steps], np.int32), plan.batch_size, axis=0
        ),
        "numbers": np.concatenate([step.numbers for step in steps]),
        "seed": np.repeat([step.seed for step in steps], plan.batch_size, axis=0),
    }
    transforms = [resolve(TRANSFORMS[name])(data_config) for name in data_config.transforms]

    def changed(image, item):
        return augment.augment_image(image, item["size"], item["numbers"], data_config)

    def finished(batch, rows):
        batch = augment.augment_objects(batch, rows["numbers"], data_config)
        for number, transform in enumerate(transforms):
            seed = tf.random.experimental.stateless_fold_in(rows["seed"][0], number)
            batch = transform(batch, seed)
        return batch

    return read_ahead(_batched(each, changed, finished, plan.dataset, data_config, plan.batch_size))


def evaluation_batches(dataset, data_config, batch_size):
    """tf.data.Dataset of full batches with every record once, grouped by canvas; filling images have row -1 and no boxes."""
    groups, side = _groups(dataset, data_config), evaluation_short_side(data_config)
    chunks, sizes = [], []
    for group, canvas in enumerate(canvases(side, data_config)):
        members = np.flatnonzero(groups == group)
        members = np.concatenate([members, np.full(-len(members) % batch_size, -1)]).reshape(
            -1, batch_size
        )
        chunks.extend(members)
        sizes.extend([canvas] * members.size)
    index = np.array(chunks, np.int64).reshape(-1, batch_size)
    real = (index >= 0).reshape(-1)
    index = np.where(index < 0, index[:, :1], index).reshape(-1)
    each = {
        **_images(dataset, data_config, index, np.full(len(index), side), [side]),
        "canvas": np.array(sizes, np.int32),
        "real": real,
    }

    def without_fillers(batch, rows):
        keep = rows["real"][:, None]
        return {
            **batch,
            "classes": tf.where(keep, batch["classes"], -1),
            "boxes": tf.where(keep[..., None], batch["boxes"], 0.0),
            "ignore": keep & batch["ignore"],
            "image_id": tf.where(rows["real"], batch["image_id"], -1),
            "row": tf.where(rows["real"], rows["index"], -1),
        }

    def changed(image, row):
        return resize(image, row["size"], data_config.antialias)

    return read_ahead(_batched(each, changed, without_fillers, dataset, data_config, batch_size))


def _groups(dataset, data_config):
    heights, widths = (
        np.array([getattr(record, side) for record in dataset.records])
        for side in ("height", "width")
    )
    return aspect_group(heights, widths, data_config)


def _neighbours(data_config):
    """Aspect groups from the tallest to the widest, so that leftovers next to each other waste little of a common canvas."""
    count = num_aspect_groups(data_config)
    return list(range(count - 1, 0, -2)) + list(range(0, count, 2))


def _permutation(count, seed, epoch):
    return tf.random.experimental.index_shuffle(
        tf.range(count, dtype=tf.int64), _key(seed, epoch), count - 1
    ).numpy()


def _key(seed, number):
    return tf.constant([seed, number], tf.int64)


def _images(dataset, data_config, indices, short_sides, all_short_sides):
    """What there is to know of images before any is read, a row each: dict of arrays. `indices` [n] are of dataset.records.

    Fills data.cache_dir where there is one, for any of all_short_sides."""
    records = [dataset.records[index] for index in indices]
    before = np.array([(record.height, record.width) for record in records], np.int32).reshape(
        -1, 2
    )
    size = np.stack(
        resized_size(before[:, 0], before[:, 1], data_config, short_sides), axis=-1
    ).astype(np.int32)
    paths = np.array([record.path for record in records])
    if data_config.cache_dir:
        cached = cache.fill(dataset.records, data_config, all_short_sides)
        column = (
            np.argmax(np.equal.outer(short_sides, all_short_sides), axis=1)
            if cached.shape[1] > 1
            else 0
        )
        paths = cached[indices, column].astype(str)
    return {
        "index": indices,
        "path": paths,
        "before": before,
        "size": np.broadcast_to(size, before.shape),
    }


def _decoded(item):
    """A list of the images of a chunk of items of `_images`, decoded."""
    contents = [tf.io.read_file(path) for path in tf.unstack(item["path"])]
    images = [decode_stored(one) for one in contents]
    special = tf.stack(
        exif_and_palette(tf.stack([tf.strings.substr(one, 0, HEADER_BYTES) for one in contents]))
    )
    usual = ~tf.reduce_any(special) & tf.reduce_all(
        tf.stack([tf.shape(image)[:2] for image in images]) == item["before"]
    )
    images = tf.cond(
        usual,
        lambda: images,
        lambda: tf.numpy_function(
            _decoded_with_care, [contents, item["path"], item["before"]], [tf.uint8] * len(images)
        ),
    )
    return [tf.ensure_shape(image, [None, None, 3]) for image in tf.nest.flatten(images)]


def _decoded_with_care(contents, paths, before):
    """Images as they are to be shown; outside the graph, so that what few files need costs the others nothing.

    Raises DataError for one whose height and width are not those of its annotation."""
    images = [decode_image(one).numpy() for one in contents]
    for image, path, size in zip(images, paths, before):
        if image.shape[:2] != tuple(size):
            raise DataError(
                f"image {path.decode()} has height and width {list(image.shape[:2])}, its annotation says {size.tolist()}; "
                "correct the annotation, or set data.on_error=skip to leave such images out"
            )
    return images


def _objects(dataset, data_config):
    """A graph function (record indices [B]) -> {"boxes" [B, M, 4] px of the images on disk, "classes", "ignore" [B, M], "image_id" [B]},
    and "proposals" [B, P, 4] px of those images where the data set has some."""
    records, most = dataset.records, max_boxes(dataset, data_config)
    kept = [_kept_boxes(record, most) for record in records]
    counts = np.array([len(keep) for keep in kept])
    padding = {
        "boxes": np.zeros([1, 4], np.float32),
        "classes": np.array([-1], np.int32),
        "ignore": np.array([False]),
    }
    flat = {
        name: tf.constant(
            np.concatenate(
                [getattr(record, name)[keep] for record, keep in zip(records, kept)] + [last]
            )
        )
        for name, last in padding.items()
    }
    starts, counts, padding_row = (
        tf.constant(np.cumsum(counts) - counts),
        tf.constant(counts),
        tf.constant(counts.sum()),
    )
    image_ids = tf.constant([record.image_id for record in records], tf.int64)

    def objects(index):
        row = tf.range(most, dtype=tf.int64)[None]
        at = tf.where(
            row < tf.gather(counts, index)[:, None],
            tf.gather(starts, index)[:, None] + row,
            padding_row,
        )
        found = {
            **{name: tf.gather(values, at) for name, values in flat.items()},
            "image_id": tf.gather(image_ids, index),
        }
        return (
            {**found, "proposals": _proposals(dataset.proposals, found["image_id"])}
            if dataset.proposals
            else found
        )

    return objects


def _proposals(proposals, image_ids):
    """[B, P, 4] px of the images on disk, read from the memory-mapped array of `Proposals` for image_ids [B]."""

    def read(image_ids):
        return proposals.boxes[[proposals.rows[image_id] for image_id in image_ids.tolist()]]

    return tf.ensure_shape(
        tf.numpy_function(read, [image_ids], tf.float32),
        [*image_ids.shape, *proposals.boxes.shape[1:]],
    )


def _kept_boxes(record, most):
    """Indices of the boxes that stay, in their order: those that count before ignored ones, large before small."""
    if len(record.boxes) <= most:
        return np.arange(len(record.boxes))
    extent = np.prod(record.boxes[:, 2:] - record.boxes[:, :2], axis=1)
    return np.sort(np.lexsort((-extent, record.ignore))[:most])


def _batched(each, changed, finished, dataset, data_config, batch_size):
    """tf.data.Dataset of the batches that rows `each` make: finished(batch, rows) of changed(image, row) of each, then padded.

    tf.data calls its functions for chunks of images, since a call costs a good part of what decoding a small image does."""
    chunk = max(size for size in range(1, _LARGEST_CHUNK + 1) if batch_size % size == 0)
    objects, parallel = _objects(dataset, data_config), num_workers(data_config)

    def read_images(item):
        rows = [dict(zip(item, row)) for row in zip(*map(tf.unstack, item.values()))]
        images = (
            [cache.read(path) for path in tf.unstack(item["path"])]
            if data_config.cache_dir
            else _decoded(item)
        )
        images = [changed(image, row) for image, row in zip(images, rows)]
        if data_config.resize == "stretch":
            images = [tf.ensure_shape(image, [*data_config.stretch_size, 3]) for image in images]
        if data_config.resize == "keep_ratio":
            images = [
                tf.ensure_shape(pad_image(image, row["canvas"]), [None, None, 3])
                for image, row in zip(images, rows)
            ]
        return tf.stack(images), item

    def merged(*values):
        return tf.nest.map_structure(
            lambda x: tf.reshape(x, tf.concat([[batch_size], tf.shape(x)[2:]], 0)), values
        )

    def batch(images, rows):
        scale, found = scale_of(rows["size"], rows["before"]), objects(rows["index"])
        found.update(
            {
                name: found[name] * tf.tile(scale, [1, 2])[:, None]
                for name in ("boxes", "proposals")
                if name in found
            }
        )
        return finished(
            {
                "image": images,
                "image_size": tf.cast(rows["size"], tf.float32),
                "scale": scale,
                **found,
            },
            rows,
        )

    batches = tf.data.Dataset.from_tensor_slices(
        {name: rows.reshape(-1, chunk, *rows.shape[1:]) for name, rows in each.items()}
    )
    batches = batches.map(read_images, num_parallel_calls=parallel, deterministic=True)
    if chunk < batch_size:
        batches = batches.batch(batch_size // chunk, drop_remainder=True).map(merged)
    return batches.map(batch)
