"""Writer of the ImageNet DET layout, see `lhrcnn.data.readers.imagenet_det`."""

import os
import pathlib
import shutil

from lhrcnn.data.readers.imagenet_det import ANNOTATIONS, IMAGES, LISTS
from lhrcnn.data.tools.convert import voc_xml
from lhrcnn.errors import DataError


def write(datasets, folder):
    """Writes {list name: `Dataset`}, all of the same classes, in the DET layout; images are hard
    links where that is possible.

    Lists named train* go to the folder train, others to val. The wnids are made up: n00000001 is
    the first class. Raises DataError when the folder is not empty, classes differ, or two images
    share a name."""
    folder = pathlib.Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: is not empty; name a new folder")
    class_names = next(iter(datasets.values())).class_names
    wnids = [f"n{k:08d}" for k in range(1, len(class_names) + 1)]
    taken = set()
    for list_name, dataset in datasets.items():
        if dataset.class_names != class_names:
            raise DataError(
                f"{dataset.name}: its classes are {', '.join(dataset.class_names)}, not "
                f"{', '.join(class_names)}"
            )
        place = "train/ILSVRC2014_train_0000" if list_name.startswith("train") else "val"
        names = [f"{place}/{pathlib.PurePath(record.path).stem}" for record in dataset.records]
        for name, record in zip(names, dataset.records):
            if name in taken:
                raise DataError(
                    f"{record.path}: a second image named {name}; the layout cannot hold both"
                )
            taken.add(name)
            _write_image(folder, name, record, wnids)
        lines = "".join(f"{name} {number}\n" for number, name in enumerate(names, start=1))
        _write_text(folder / LISTS / f"{list_name}.txt", lines)
    pairs = enumerate(zip(wnids, class_names), start=1)
    lines = "".join(f"{wnid} {k} {name}\n" for k, (wnid, name) in pairs)
    _write_text(folder / "devkit" / "data" / "map_det.txt", lines)


def _write_image(folder, name, record, wnids):
    text = voc_xml(record, name.rpartition("/")[2], wnids, "zero_based_inclusive")
    _write_text(folder / ANNOTATIONS / f"{name}.xml", text)
    copy = folder / IMAGES / f"{name}.JPEG"
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(record.path, copy)
    except OSError:  # another file system, or one without links
        shutil.copyfile(record.path, copy)


def _write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
