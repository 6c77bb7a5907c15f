"""Decoded, resized images on disk, one raw file each, so that later epochs and runs skip decoding.
Images that random windows are cut from (data.min_crop, data.max_expand) are whole, or shrunk to
what the smallest window needs where that is half of their sides or less.

A file is 8 bytes (height and width, little-endian int32) and the uint8 RGB pixels. Its name is a
hash of the image's path, time and length and of the resize options, so a changed image or option
never meets an old file. Files appear by renaming: a run killed while filling the cache leaves
nothing half-written under a name that is used.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib

import numpy as np
import tensorflow as tf
from absl import logging

from lhrcnn.data.faults import load_image
from lhrcnn.data.images import resize, resized_size
from lhrcnn.data.transforms.augment import zooms
from lhrcnn.errors import DataError
from lhrcnn.files import replacing

SHRUNK_FROM = 2  # times the sides that the smallest window needs
_HEADER_BYTES = 8
_FORMAT = 1
_THREADS = 8


def fill(records, data_config, short_sides):
    """Paths (object array [N, len(short_sides)]) of the cached images of N records, after making
    those not there yet; one column where all short sides have the same image.

    Raises DataError naming each image that is not readable or not of its annotated size, or when
    the folder cannot be written."""
    folder = pathlib.Path(data_config.cache_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = set(os.listdir(folder))
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be used as data.cache_dir: {error.strerror}; choose "
            "another or leave it empty"
        ) from None
    if data_config.resize == "stretch" or zooms(data_config):
        short_sides = [max(short_sides)]
    sizes = _sizes(records, data_config, short_sides)
    files = [
        [(_name(record, data_config, side, size), size) for side, size in zip(short_sides, row)]
        for record, row in zip(records, sizes)
    ]
    missing = [
        (record, [(name, size) for name, size in own if name not in there])
        for record, own in zip(records, files)
    ]
    missing = [(record, wanted) for record, wanted in missing if wanted]
    if missing:
        text = "filling the cache %s with %d of %d images"
        logging.info(text, folder, len(missing), len(records))
        _store_all(folder, missing, data_config)
    return np.array([[str(folder / name) for name, _ in own] for own in files], object)


def _sizes(records, data_config, short_sides):
    """Height and width in px, int32 [N, len(short_sides), 2], of the cached images of N records."""
    whole = np.array([(record.height, record.width) for record in records], np.int32).reshape(-1, 2)
    sizes = np.empty([len(records), len(short_sides), 2], np.int32)
    for number, side in enumerate(short_sides):
        size = np.stack(np.broadcast_arrays(*resized_size(*whole.T, data_config, side)), axis=-1)
        if zooms(data_config):
            needed = np.ceil(size / min(data_config.min_crop, 1)).astype(np.int32)
            size = np.where((SHRUNK_FROM * needed <= whole).all(1, keepdims=True), needed, whole)
        sizes[:, number] = size
    return sizes


def _store_all(folder, missing, data_config):
    """Writes files for each (record, [(name, size)]). Raises DataError naming what failed."""
    shrink = tf.function(
        lambda image, size: resize(image, size, zooms(data_config) or data_config.antialias),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)],
    )
    accurate = data_config.accurate_jpeg
    shrink.get_concrete_function()  # traced once, before the threads call it
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        faults = list(pool.map(lambda pair: _store(folder, *pair, shrink, accurate), missing))
    faults = [fault for fault in faults if fault]
    if faults:
        raise DataError(
            "\n  ".join([f"{len(faults)} images cannot be cached:"] + faults[:10])
            + "\nCorrect them or set data.on_error=skip to leave unreadable images out."
        )


def read(path):
    """uint8 [h, w, 3] image of a cache file (scalar string tensor)."""
    contents = tf.io.read_file(path)
    size = tf.io.decode_raw(tf.strings.substr(contents, 0, _HEADER_BYTES), tf.int32)
    return tf.reshape(
        tf.io.decode_raw(tf.strings.substr(contents, _HEADER_BYTES, -1), tf.uint8),
        [size[0], size[1], 3],
    )


def _name(record, data_config, short_side, size):
    try:
        status = os.stat(record.path)
    except OSError as error:
        raise DataError(f"{record.path}: {error.strerror} (image id {record.image_id})") from None
    key = [_FORMAT, os.path.abspath(record.path), status.st_mtime_ns, status.st_size]
    if data_config.accurate_jpeg:
        key.append("accurate_jpeg")
    if zooms(data_config):
        if tuple(size) != (record.height, record.width):
            key += ["shrunk", size.tolist()]
    else:
        how = (
            data_config.stretch_size
            if data_config.resize == "stretch"
            else [int(short_side), data_config.long_side, data_config.size_rounding]
        )
        key += [data_config.resize, how, data_config.antialias]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:40] + ".rgb"


def _store(folder, record, wanted, shrink, accurate_jpeg):
    """Writes the missing sizes of one image; returns what went wrong, or ""."""
    try:
        image = load_image(record, accurate_jpeg)
        for name, size in wanted:
            pixels = shrink(image, size).numpy()
            with replacing(folder / name) as file:
                file.write(np.array(pixels.shape[:2], "<i4").tobytes())
                file.write(pixels.tobytes())
    except DataError as error:
        return str(error)
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    return ""
