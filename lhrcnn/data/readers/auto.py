"""data.format=auto: finds out what a data folder is, says what it took and why, finds its splits.

Where a folder names no split, or none to validate on, a fifth of the images is drawn for that: the
same ones each time, with every class's share.
"""

import dataclasses
import functools
import os
import random
import re

from absl import logging

from lhrcnn.choices import resolve
from lhrcnn.data.readers import READERS, kept, signs
from lhrcnn.data.readers.gathering import ALL, NoSplits
from lhrcnn.errors import DataError

VAL_SHARE, SEED = 0.2, 0


@dataclasses.dataclass(frozen=True)
class Recognised:
    """What a data folder was taken for."""

    format: str  # a key of READERS
    why: str  # "train/_annotations.coco.json: images, annotations and categories"
    splits: dict  # {"train", "val" or "test": what data.format calls it}
    whole: tuple = (ALL,)  # the split of every image, or the several that hold them all

    def place(self, split):
        """(split of the format, the part to divide it into and keep, "" for all of it).

        Without a split to validate on, `val` is a part of what would be `train`; without one to
        test on, `test` is `val`. Raises DataError where every image is asked for, and the format
        has no split of them all."""
        if split in ("", ALL):
            return self.everything(), ""
        split = "val" if split == "test" and "test" not in self.splits else split
        divided = split in ("train", "val") and not {"train", "val"} <= set(self.splits)
        if divided:
            return self.splits.get("train") or self.everything(), split
        return self.splits.get(split, split), ""

    def everything(self):
        """The split of every image. Raises DataError where there is none."""
        if len(self.whole) > 1:
            places = ", ".join(self.whole[:10])
            raise DataError(
                f"data.format={self.format} reads one file or folder at a time, and all images are "
                f"in {len(self.whole)}: {places}; name one of them in --split or data.train_split"
            )
        return self.whole[0]


def read(data_config, split, training=False, held_out=()):
    """The `Dataset` of `train`, `val`, `test` or `*` (all), or of a split that the format knows.

    held_out: see `read_part`. Raises DataError where the format is not to be found out, or may be
    more than one."""
    found = recognise(data_config.dir)
    _say(f"{data_config.dir}: data.format={found.format} ({found.why})")
    settled = dataclasses.replace(data_config, format=found.format)
    place, part = found.place(split)
    dataset = read_part(settled, place, "", training, held_out)
    if part and "train" not in found.splits and "test" in found.splits:
        dataset = _without(dataset, read_part(settled, found.splits["test"]))
    return _part_of(dataset, part, data_config.dir, held_out) if part else dataset


def _without(dataset, tested):
    """The Dataset without the images of another one, unless these are all."""
    paths = {record.path for record in tested.records}
    left = [record for record in dataset.records if record.path not in paths]
    if not left:
        return dataset
    number = len(dataset.records) - len(left)
    _say(f"{dataset.name}: its {number} images to test on are not trained on, and do not validate")
    return dataclasses.replace(dataset, records=left)


def read_part(data_config, split, part="", training=False, held_out=()):
    """The `Dataset` of a split of data.format, or of the `train` or `val` part of its images.

    They are divided too where there are no splits at all, and one is asked for. held_out: names, in
    the data folder, of the images that were drawn for validation once; they are taken again, if any
    is there. Raises DataError."""
    reader = resolve(READERS[data_config.format])
    if reader is read:
        return read(data_config, split, training, held_out)
    try:
        dataset = kept.read(reader, data_config, split, training)
    except NoSplits:
        if split not in ("train", "val", "test"):
            raise
        dataset = kept.read(reader, data_config, ALL, training)
        part = "train" if split == "train" else "val"
    return _part_of(dataset, part, data_config.dir, held_out) if part else dataset


def _part_of(dataset, part, folder, held_out):
    """The `train` or `val` part of a Dataset that has no split to validate on."""
    names = {record.image_id: os.path.relpath(record.path, folder) for record in dataset.records}
    val = {image_id for image_id, name in names.items() if name in set(held_out)}
    if val:
        _say(f"{dataset.name}: {len(val)} images validate, as when the run was started")
    else:
        _say(
            f"{dataset.name}: no split to validate on; {VAL_SHARE:.0%} of the {len(names)} images "
            f"are drawn for it (seed {SEED})"
        )
        val = divide(dataset)["val"]
    chosen = val if part == "val" else set(names) - val
    if names and not chosen:
        raise DataError(
            f"{dataset.name}: of {len(names)} image none is left for '{part}'; add images, or set "
            "data.val_split= to train without validation"
        )
    drawn = tuple(name for image_id, name in names.items() if image_id in val)
    records = [record for record in dataset.records if record.image_id in chosen]
    return dataclasses.replace(dataset, records=records, held_out=drawn)


@functools.cache
def _say(line):
    """Says a line once a process."""
    logging.info("%s", line)


def settle(data_config):
    """(the options with the format that was found, {name: split} of its own splits, or of `all`).

    Raises DataError where they are not to be found out."""
    found = recognise(data_config.dir, data_config.format)
    if data_config.format not in ("auto", found.format):
        raise DataError(
            f"{data_config.dir}: looks like data.format={found.format} ({found.why}), not "
            f"{data_config.format}: its splits are not known; name them with --split"
        )
    settled = dataclasses.replace(data_config, format=found.format)
    return settled, found.splits or {"all": found.everything()}


def recognise(folder, format_="auto"):
    """The `Recognised` of a data folder, which is of this format if it may be.

    Raises DataError that names all it may be."""
    listing = signs.Listing(folder)
    found = {name: why for name, (sign, _) in signs.FORMATS.items() if (why := sign(listing))}
    found = {format_: found[format_]} if format_ in found else found
    for name, weaker in signs.STRONGER.items():
        if name in found:
            found = {other: why for other, why in found.items() if other not in weaker}
    if len(found) > 1:
        lines = "".join(f"\n  data.format={name}: {why}" for name, why in found.items())
        raise DataError(
            f"{folder}: may be one of several data sets; set data.format to one of{lines}"
        )
    if not found:
        there = ", ".join(
            f"{count} {suffix or 'without suffix'}" for suffix, count in listing.counts()
        )
        csv = ", or data.format=csv and data.csv_columns" if ".csv" in there else ""
        raise DataError(
            f"{folder}: none of the formats {', '.join(signs.FORMATS)} is recognised in its "
            f"{len(listing.paths)} files ({there or 'none'}); set data.format{csv}, see "
            "docs/formats.md"
        )
    ((name, why),) = found.items()
    _, splits_of = signs.FORMATS[name]
    return Recognised(name, why, *splits_of(listing))


def has_test(folder):
    """Whether a data folder is recognised and has a split to test on."""
    try:
        return "test" in recognise(folder).splits
    except DataError:
        return False


def divide(dataset):
    """{"train", "val": sets of image ids}: a fifth of the images for val, of each class too.

    From the rarest class on, each class's images that are still free are divided; copies that
    Roboflow made of one image (`a_jpg.rf.1f2e.jpg`) stay together. Names alone decide."""
    groups = {}
    for record in sorted(dataset.records, key=lambda record: record.path):
        folder, name = os.path.split(record.path)
        name = os.path.join(folder, re.sub(r"\.rf\.[0-9a-zA-Z]+", "", name))
        groups.setdefault(name, []).append(record)
    names = sorted(groups)
    random.Random(SEED).shuffle(names)
    classes = {name: {int(k) for record in groups[name] for k in record.classes} for name in names}
    images_of = [[name for name in names if k in classes[name]] for k in range(dataset.num_classes)]
    val, free = set(), set(names)
    for images in (*sorted(filter(None, images_of), key=len), names):
        wanted = round(VAL_SHARE * len(images)) - len(val.intersection(images))
        left = [name for name in images if name in free]
        val.update(left[: max(0, wanted)])
        free.difference_update(left)
    if not val and len(names) > 1:
        val.add(names[0])
    ids = {record.image_id for name in val for record in groups[name]}
    return {"train": {record.image_id for record in dataset.records} - ids, "val": ids}
