"""What was read of a data folder of many files, kept until one of them changes.

Files under `lhrcnn.files.cache_dir()`, one for each folder, split and options. They hold the time
and length of every file below the folder and of the readers, in a digest, beside the columns of all
records.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile

import numpy as np
from absl import logging

from lhrcnn.data.readers import lookup
from lhrcnn.data.schema import Dataset, Problem, Record
from lhrcnn.files import cache_dir, replacing, save_npz

# Those with a file for each image, and nothing that they read outside the folder but images.
FORMATS = ("yolo", "voc", "voc_folder", "labelme", "kitti", "icdar", "imagenet_det")
FROM_FILES = 5_000  # smaller folders are read in a few seconds
_COLUMNS = {"boxes": np.float32, "classes": np.int32, "ignore": bool, "areas": np.float32}


def read(reader, data_config, split, training):
    """reader(data_config, split, training), or what that was when all files were what they are."""
    if data_config.format not in FORMATS:
        return reader(data_config, split, training)
    folder = os.path.abspath(data_config.dir)
    files = lookup.walk(folder)
    if len(files) < FROM_FILES:
        return reader(data_config, split, training)
    digest = _digest(files)
    options = json.dumps([folder, split, training, dataclasses.asdict(data_config)])
    name = hashlib.sha256(options.encode()).hexdigest()[:40] + ".npz"
    path = cache_dir() / "data" / name
    try:
        return _load(path, digest)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # not there, of other files, or not whole
    dataset = reader(data_config, split, training)
    if {os.path.abspath(record.path) for record in dataset.records} <= set(files):
        _store(path, digest, dataset)
    return dataset


def _digest(files):
    """SHA-256 (hex) of the paths, times and lengths of files, and of those of the readers."""
    digest = hashlib.sha256()
    for path in (*files, *sorted(map(str, pathlib.Path(__file__).parent.glob("*.py")))):
        try:
            status = os.stat(path)
        except OSError:
            continue  # a broken link
        digest.update(f"{path}\0{status.st_mtime_ns}\0{status.st_size}\0".encode(errors="replace"))
    return digest.hexdigest()


def _store(path, digest, dataset):
    records = dataset.records
    about = {
        "digest": digest,
        "name": dataset.name,
        "class_names": dataset.class_names,
        "category_ids": dataset.category_ids,
        "problems": dataset.problems,
        "paths": [record.path for record in records],
        "source_ids": [record.source_id for record in records],
        "unlabelled": [record.unlabelled for record in records],
    }
    images = [(r.image_id, r.height, r.width, len(r.boxes)) for r in records]
    columns = {
        name: np.concatenate([getattr(record, name) for record in records])
        for name in (_COLUMNS if records else ())
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            text = np.frombuffer(json.dumps(about).encode(), np.uint8)
            save_npz(file, about=text, images=np.array(images, np.int64), **columns)
    except OSError as error:
        logging.info("%s: what was read is not kept: %s", path, error.strerror or error)


def _load(path, digest):
    """The `Dataset` in a file. Raises ValueError where it is of other files."""
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        if about["digest"] != digest:
            raise ValueError("other files")
        images = stored["images"].reshape(-1, 4).tolist()
        columns = [stored[name].astype(kind, copy=False) for name, kind in _COLUMNS.items()]
    records, start = [], 0
    rows = zip(images, about["paths"], about["source_ids"], about["unlabelled"])
    for (image_id, height, width, count), image_path, source_id, unlabelled in rows:
        own = [column[start : start + count] for column in columns]
        record = Record(image_id, image_path, height, width, *own, tuple(unlabelled), source_id)
        records.append(record)
        start += count
    problems = [Problem(*problem) for problem in about["problems"]]
    return Dataset(about["name"], records, about["class_names"], about["category_ids"], problems)
