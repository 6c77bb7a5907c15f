"""Batches for training and evaluation, see `schema`; those of training as `BatchPlan` has them.

Shape letters: N records, T steps asked for, B images of a batch, M padded boxes.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from lhrcnn.autograph import without_autograph
from lhrcnn.data.batches import cache
from lhrcnn.data.batches.plan import aspect_groups
from lhrcnn.data.batches.reading import num_workers, read_ahead
from lhrcnn.data.decoding import decode_in_pipeline
from lhrcnn.data.images import (
    canvases,
    evaluation_short_side,
    pad_image,
    resize,
    resized_size,
    scale_of,
)
from lhrcnn.data.transforms import augment, transform_of
from lhrcnn.errors import DataError

_LARGEST_CHUNK = 8


def training_batches(plan, data_config, start_step, stop_step, worker=0, workers=1):
    """tf.data.Dataset of the augmented batches of the steps from start up to stop, or of the rows
    of these that are one worker's of several.

    Any start gives the same stream from there on. Transforms mix the images of a batch, so that
    with them each worker reads all rows."""
    steps = [plan.batch(step) for step in range(start_step, stop_step)]
    share = plan.batch_size // workers
    own = slice(worker * share, (worker + 1) * share)
    read = slice(None) if data_config.transforms else own
    size = plan.batch_size if data_config.transforms else share
    index = np.concatenate([step.indices[read] for step in steps])
    short_sides = np.repeat([step.short_side for step in steps], size)
    canvas = np.array([step.canvas for step in steps], np.int32)
    each = {
        **_images(plan.dataset, data_config, index, short_sides, data_config.short_side),
        "canvas": np.repeat(canvas, size, axis=0),
        "numbers": np.concatenate([step.numbers[read] for step in steps]),
        "seed": np.repeat([step.seed for step in steps], size, axis=0),
    }
    transforms = [transform_of(name)(data_config) for name in data_config.transforms]

    def changed(image, row):
        return augment.augment_image(image, row["size"], row["numbers"], data_config)

    def finished(batch, rows):
        batch = augment.augment_objects(batch, rows["numbers"], data_config)
        return (batch, rows["seed"][0]) if transforms else batch

    def transformed(batch, seed):  # translated by AutoGraph: transforms may be anybody's
        for number, transform in enumerate(transforms):
            batch = transform(batch, tf.random.experimental.stateless_fold_in(seed, number))
        return {name: value[own] for name, value in batch.items()} if size != share else batch

    batches = _batched(each, changed, finished, plan.dataset, data_config, size)
    return read_ahead(batches.map(transformed) if transforms else batches)


def evaluation_batches(dataset, data_config, batch_size, worker=0, workers=1):
    """tf.data.Dataset of full batches with every record once, grouped by canvas; or of those that
    are one worker's of several, as many for each.

    Filling images have row -1 and no boxes."""
    cache_dir = data_config.cache_dir if data_config.whole_pixels else ""  # its pixels are whole
    data_config = dataclasses.replace(
        data_config, min_crop=1.0, max_expand=1.0, cache_dir=cache_dir
    )  # nothing is zoomed here
    groups, side = aspect_groups(dataset, data_config), evaluation_short_side(data_config)
    chunks, sizes = [], []
    for group, canvas in enumerate(canvases(side, data_config)):
        members = np.flatnonzero(groups == group)
        fillers = np.full(-len(members) % batch_size, -1)
        batches = np.concatenate([members, fillers]).reshape(-1, batch_size)
        chunks.extend(batches)
        sizes.extend([canvas] * len(batches))
    index = np.array(chunks, np.int64).reshape(-1, batch_size)
    real, index = index >= 0, np.where(index < 0, index[:, :1], index)
    own, there = _own_turns(len(index), worker, workers)
    real, index = (real[own] & there[:, None]).reshape(-1), index[own].reshape(-1)
    canvas = np.array(sizes, np.int32).reshape(-1, 2)[own]
    each = {
        **_images(dataset, data_config, index, np.full(len(index), side), [side]),
        "canvas": np.repeat(canvas, batch_size, axis=0),
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
        return resize(image, row["size"], data_config.antialias, data_config.whole_pixels)

    return read_ahead(_batched(each, changed, without_fillers, dataset, data_config, batch_size))


def _own_turns(number, worker, workers):
    """(which of `number` batches are a worker's, whether each is more than a filler)."""
    turns = np.arange(-(-number // workers)) * workers + worker
    return np.where(turns < number, turns, 0), turns < number


def _images(dataset, data_config, indices, short_sides, all_short_sides):
    """What there is to know of images before any is read, a row each: dict of arrays.

    `indices` [n] are of dataset.records. Fills data.cache_dir where there is one, for any of
    all_short_sides."""
    records = [dataset.records[index] for index in indices]
    before = [(record.height, record.width) for record in records]
    before = np.array(before, np.int32).reshape(-1, 2)
    size = resized_size(before[:, 0], before[:, 1], data_config, short_sides)
    size = np.stack(size, axis=-1).astype(np.int32)
    paths = np.array([record.path for record in records])
    if data_config.cache_dir:
        cached, column = cache.fill(dataset.records, data_config, all_short_sides), 0
        if cached.shape[1] > 1:
            column = np.argmax(np.equal.outer(short_sides, all_short_sides), axis=1)
        paths = cached[indices, column].astype(str)
    size = np.broadcast_to(size, before.shape)
    return {"index": indices, "path": paths, "before": before, "size": size}


def _decoded(item, data_config):
    """A list of the images of a chunk of items of `_images`, decoded and of their annotated
    sizes."""
    files = [tf.io.read_file(path) for path in tf.unstack(item["path"])]
    images = decode_in_pipeline(files, data_config.accurate_jpeg)
    sizes = tf.stack([tf.shape(image)[:2] for image in images])
    fits = tf.reduce_all(sizes == item["before"])
    arguments = [sizes, item["path"], item["before"]]
    checked = tf.cond(fits, lambda: True, lambda: tf.numpy_function(_refuse, arguments, tf.bool))
    with tf.control_dependencies([checked]):
        return [tf.identity(image) for image in images]


def _refuse(sizes, paths, before):
    """Raises DataError for the images whose height and width are not those of their annotation."""
    for size, path, annotated in zip(sizes.tolist(), paths, before.tolist()):
        if size != annotated:
            raise DataError(
                f"image {path.decode()} has height and width {size}, its annotation says "
                f"{annotated}; correct the annotation, or set data.on_error=skip to leave such "
                "images out"
            )


def _objects(dataset):
    """A graph function: record indices [B] -> {"boxes" [B, M, 4] px of the images on disk,
    "classes", "ignore" [B, M], "image_id" [B]}, and "proposals" [B, P, 4] px where the data set has
    some."""
    records = dataset.records
    counts = np.array([len(record.boxes) for record in records], np.int64)
    most = max(1, counts.max(initial=0))
    padding = {
        "boxes": np.zeros([1, 4], np.float32),
        "classes": np.array([-1], np.int32),
        "ignore": np.array([False]),
    }
    flat = {
        name: tf.constant(np.concatenate([getattr(record, name) for record in records] + [last]))
        for name, last in padding.items()
    }
    starts, padding_row = tf.constant(np.cumsum(counts) - counts), tf.constant(counts.sum())
    counts = tf.constant(counts)
    image_ids = tf.constant([record.image_id for record in records], tf.int64)

    def objects(index):
        row = tf.range(most, dtype=tf.int64)[None]
        there = row < tf.gather(counts, index)[:, None]
        at = tf.where(there, tf.gather(starts, index)[:, None] + row, padding_row)
        found = {name: tf.gather(values, at) for name, values in flat.items()}
        found["image_id"] = tf.gather(image_ids, index)
        if dataset.proposals:
            found["proposals"] = _proposals(dataset.proposals, found["image_id"])
        return found

    return objects


def _proposals(proposals, image_ids):
    """[B, P, 4] px of the images on disk, from the memory-mapped array, for image_ids [B]."""

    def read(image_ids):
        return proposals.boxes[[proposals.rows[image_id] for image_id in image_ids.tolist()]]

    found = tf.numpy_function(read, [image_ids], tf.float32)
    return tf.ensure_shape(found, [*image_ids.shape, *proposals.boxes.shape[1:]])


def _batched(each, changed, finished, dataset, data_config, batch_size):
    """tf.data.Dataset of the batches that rows `each` make.

    A batch is finished(batch, rows) of changed(image, row) of each image, then padded. tf.data
    calls its functions for chunks of images: a call costs a good part of what decoding a small one
    does."""
    chunk = max(size for size in range(1, _LARGEST_CHUNK + 1) if batch_size % size == 0)
    objects, parallel = _objects(dataset), num_workers(data_config)

    @without_autograph
    def read_images(item):
        rows = [dict(zip(item, row)) for row in zip(*map(tf.unstack, item.values()))]
        if data_config.cache_dir:
            images = [cache.read(path) for path in tf.unstack(item["path"])]
        else:
            images = _decoded(item, data_config)
        images = [
            _on_canvas(changed(image, row), row, data_config) for image, row in zip(images, rows)
        ]
        return tf.stack(images), item

    @without_autograph
    def merged(*values):
        return tf.nest.map_structure(
            lambda x: tf.reshape(x, tf.concat([[batch_size], tf.shape(x)[2:]], 0)), values
        )

    @without_autograph
    def batch(images, rows):
        scale, found = scale_of(rows["size"], rows["before"]), objects(rows["index"])
        for name in [key for key in ("boxes", "proposals") if key in found]:
            found[name] *= tf.tile(scale, [1, 2])[:, None]
        size = tf.cast(rows["size"], tf.float32)
        return finished({"image": images, "image_size": size, "scale": scale, **found}, rows)

    chunks = {name: rows.reshape(-1, chunk, *rows.shape[1:]) for name, rows in each.items()}
    batches = tf.data.Dataset.from_tensor_slices(chunks)
    batches = batches.map(read_images, num_parallel_calls=parallel, deterministic=True)
    if chunk < batch_size:
        batches = batches.batch(batch_size // chunk, drop_remainder=True).map(merged)
    return batches.map(batch)


def _on_canvas(image, row, data_config):
    if data_config.resize == "stretch":
        return tf.ensure_shape(image, [*data_config.stretch_size, 3])
    return tf.ensure_shape(pad_image(image, row["canvas"]), [None, None, 3])
