"""Data sets: reading them, checking them, and turning them into batches."""

import dataclasses

import numpy as np
from absl import logging

from lhrcnn.choices import did_you_mean
from lhrcnn.data.faults import image_faults
from lhrcnn.data.proposals import open_proposals
from lhrcnn.data.readers import READERS, auto
from lhrcnn.data.readers.records import drop_missing, without_background
from lhrcnn.data.schema import Problem
from lhrcnn.data.tools import shapes
from lhrcnn.errors import DataError

# Files are looked at before the start in data sets of up to so many images; that takes seconds.
_CHECKED_AT_ONCE = 20_000
_LARGEST_SHARE_PX = 2.0  # what a share of 1 may have become where corners were inclusive


def open_dataset(data_config, split, training=False, held_out=()):
    """The `Dataset` of a split, ready for use, with data.classes in their order.

    What is dropped is counted and said; errors raise, or are left out where data.on_error says so.
    `training` leaves out images beyond data.max_aspect and, unless data.keep_empty, those without
    an object that counts, ignores boxes beyond data.max_boxes, and takes the background from images
    that are not labelled in full (R-CNN, arXiv 1311.2524, section 4.2). Proposals come with it
    where data.proposals is set. held_out: see `auto.read_part`. Raises DataError."""
    if data_config.format == "shapes" and not shapes.is_complete(data_config.dir):
        shapes.make_shapes(data_config.dir)
    dataset = read_dataset(data_config, split, training, held_out)
    if len(dataset.records) <= _CHECKED_AT_ONCE:
        drop_unreadable(dataset, deep=data_config.on_error == "skip")
    errors = [problem for problem in dataset.problems if problem.severity == "error"]
    if errors and data_config.on_error == "fail":
        raise DataError(_failure(dataset.name, errors))
    dataset = restrict_classes(dataset, data_config.classes)
    if not dataset.records:
        _say(dataset)
        raise DataError(
            f"{dataset.name}: no usable image ({len(dataset.problems)} problems); check data.dir "
            "and the split"
        )
    if training:
        _restrict_training(dataset, data_config)
    _say(dataset)
    if data_config.proposals:
        dataset.proposals = open_proposals(data_config.proposals, split, dataset.records)
    return dataset


def _say(dataset):
    for line in summary(dataset.problems):
        logging.warning("%s: %s", dataset.name, line)


def drop_unreadable(dataset, deep=False):
    """Leaves out images that are not readable as annotated, by headers and ends, or decoded."""
    faults = image_faults(dataset.records, deep)
    dataset.problems.extend(fault for fault in faults if fault)
    dataset.records = [record for record, fault in zip(dataset.records, faults) if not fault]


def _restrict_training(dataset, data_config):
    """Leaves out images that are not to be trained on; what is not to be learnt is ignored."""
    records, num_read, where = dataset.records, len(dataset.records), dataset.name
    if data_config.max_aspect:
        limit = data_config.max_aspect
        records = [r for r in records if max(r.height, r.width) <= limit * min(r.height, r.width)]
        if len(records) < num_read:
            text = f"{where}: {num_read - len(records)} images are beyond data.max_aspect {limit}"
            dataset.problems.append(Problem.note("images too long for data.max_aspect", text))
    if not data_config.keep_empty:
        full = [record for record in records if not np.all(record.ignore)]
        if len(full) < len(records):
            text = (
                f"{where}: {len(records) - len(full)} of {len(records)} images show no object and "
                "are not trained on; data.keep_empty=true trains on them too"
            )
            dataset.problems.append(Problem.note("images without objects", text))
        records = full
    if not records:
        raise DataError(
            f"{where}: none of the {num_read} images shows an object to learn "
            f"(classes: {', '.join(dataset.class_names)})"
        )
    if data_config.max_boxes:
        records = [_with_surplus_ignored(r, data_config.max_boxes, dataset) for r in records]
    dataset.records = [without_background(r) if r.unlabelled else r for r in records]


def _with_surplus_ignored(record, limit, dataset):
    """The record with all but its `limit` largest boxes that count ignored."""
    counting = np.flatnonzero(~record.ignore)
    if len(counting) <= limit:
        return record
    extent = np.prod(record.boxes[:, 2:] - record.boxes[:, :2], axis=1)[counting]
    ignore = record.ignore.copy()
    ignore[counting[np.argsort(-extent, kind="stable")[limit:]]] = True
    text = f"{record.path}: {len(counting)} objects, the {limit} largest are learnt"
    dataset.problems.append(Problem.note("objects ignored beyond data.max_boxes", text))
    return dataclasses.replace(record, ignore=ignore)


def read_dataset(data_config, split, training=False, held_out=()):
    """The `Dataset` of a split as its reader finds it, each fault in `problems`; writes nothing
    but the user's cache folder.

    held_out: see `auto.read_part`. Raises DataError."""
    if data_config.format == "shapes" and not shapes.is_complete(data_config.dir):
        raise DataError(
            f"{data_config.dir}: the shapes data set is not there; `lhrcnn data make-shapes` draws "
            f"it, or set data.format to what the folder is ({', '.join(READERS)})"
        )
    dataset = auto.read_part(data_config, split, "", training, held_out)
    dataset.records = drop_missing(dataset.records, dataset.problems)
    boxes = [record.boxes for record in dataset.records if record.height > 16]
    hint = "; set data.format to what the files are (yolo reads shares)"
    refuse_relative(np.concatenate([np.zeros([0, 4], np.float32), *boxes]), dataset.name, hint)
    return dataset


def refuse_relative(boxes, where, hint=""):
    """Raises DataError where boxes [n, 4] in px are shares of the images' sides."""
    if len(boxes) and boxes.max() <= _LARGEST_SHARE_PX:
        raise DataError(
            f"{where}: all {len(boxes)} boxes end within {_LARGEST_SHARE_PX:g} px of the corner: "
            f"they are shares of height and width, and px are expected{hint}"
        )


def restrict_classes(dataset, names):
    """The `Dataset` with these classes in this order (all of it for an empty list).

    Raises DataError for an unknown name."""
    if not names:
        return dataset
    for name in names:
        if name not in dataset.class_names:
            there = f"it has {', '.join(dataset.class_names[:50])}"
            hint = did_you_mean(name, dataset.class_names) or there
            raise DataError(f"data.classes: '{name}' is not a class of {dataset.name}; {hint}")
    ids = dict(zip(dataset.class_names, dataset.category_ids))
    return dataset.with_classes(names, [ids[name] for name in names])


def align_classes(dataset, names, category_ids):
    """The `Dataset` with the classes of a model, in the model's order, for its evaluation.

    A class that the data set does not have is warned of and has no objects; its category id is the
    model's, or else a free one. Raises DataError where none is shared."""
    known = [name for name in names if name in dataset.class_names]
    if not known:
        raise DataError(
            f"{dataset.name}: has none of the model's classes ({', '.join(names[:20])}); it has "
            f"{', '.join(dataset.class_names[:20])}"
        )
    if len(known) < len(names):
        missing = ", ".join(name for name in names if name not in known)
        logging.warning("%s has no class %s", dataset.name, missing)
    ids = dict(zip(dataset.class_names, dataset.category_ids))
    ids = {name: ids[name] for name in known}
    for name, category_id in zip(names, category_ids):
        free = max(*ids.values(), *category_ids) + 1
        ids.setdefault(name, free if category_id in ids.values() else category_id)
    return dataset.with_classes(names, [ids[name] for name in names])


def summary(problems, num_examples=1):
    """Lines "3 warnings: empty box, such as ...", one for each kind of problem, errors first."""
    groups = {}
    for problem in problems:
        groups.setdefault((problem.severity, problem.kind), []).append(problem.text)
    lines = []
    for severity, kind in sorted(
        groups, key=lambda key: ("error", "warning", "note").index(key[0])
    ):
        texts = groups[severity, kind]
        such_as = ", such as" if len(texts) > num_examples else ":"
        plural = "s" if len(texts) > 1 else ""
        examples = "".join(f"\n    {text}" for text in texts[:num_examples])
        lines.append(f"{len(texts)} {severity}{plural}, {kind}{such_as}{examples}")
    return lines


def _failure(name, errors):
    lines = "\n  ".join(summary(errors, num_examples=3))
    return (
        f"{name}: {len(errors)} errors:\n  {lines}\nCorrect the files (`lhrcnn data check` lists "
        "everything), or set data.on_error=skip to leave out the images and boxes named."
    )
