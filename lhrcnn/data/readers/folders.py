"""Reader of images that are sorted into folders, or into none: SPLIT/CLASS/*.jpg as ImageNet is
unpacked, without any boxes."""

import os
import pathlib

import numpy as np

from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers.lookup import is_hidden, walk
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.errors import DataError


def read(data_config, split, training=False):
    """The `Dataset` of all images in and below a folder SPLIT of the data folder; its classes are
    the names of SPLIT's own folders.

    An image in one of these has one object, of that class, which is `ignore` and whose box is not
    known (zeros); files are not opened, so heights and widths are not known either. Raises
    DataError where there is no such folder, or no image."""
    folder = pathlib.Path(data_config.dir, split)
    if not folder.is_dir():
        parent = folder.parent
        found = (
            f"has the folders {', '.join(_subfolders(parent)[:10]) or '(none)'}"
            if parent.is_dir()
            else "does not exist"
        )
        raise DataError(
            f"{folder}: no such folder of images (data.format=folders reads "
            f"DIR/SPLIT/CLASS/*.jpg); {parent} {found}; set --data_dir, data.train_split and "
            "data.val_split"
        )
    names = _subfolders(folder)
    records = _records(folder, names)
    if not records:
        raise DataError(
            f"{folder}: no image ({', '.join(IMAGE_SUFFIXES)}) in it or in its {len(names)} folders"
        )
    return Dataset(str(folder), records, names, list(range(1, len(names) + 1)))


def _records(folder, names):
    """The images below each of the folders `names`, of its class, then those of none."""
    groups = [(_objects(k), walk(folder / name)) for k, name in enumerate(names)]
    groups.append((_objects(), map(str, sorted(folder.iterdir()))))
    images = [(path, objects) for objects, paths in groups for path in paths if _is_image(path)]
    return [
        Record(number, path, 0, 0, *objects)
        for number, (path, objects) in enumerate(images, start=1)
    ]


def _objects(*classes):
    """Boxes, classes, ignore and areas of an image of these classes; images share them."""
    boxes, areas = np.zeros([len(classes), 4], np.float32), np.zeros(len(classes), np.float32)
    return boxes, np.array(classes, np.int32), np.ones(len(classes), bool), areas


def _subfolders(folder):
    return sorted(
        entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name)
    )


def _is_image(path):
    name = os.path.basename(path)
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)
