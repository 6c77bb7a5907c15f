"""Data sets: reading them, checking them, and turning them into batches."""

import dataclasses
import difflib

import numpy as np
from absl import logging

from lhrcnn.choices import resolve
from lhrcnn.data.proposals import open_proposals
from lhrcnn.data.readers import READERS
from lhrcnn.data.readers.records import drop_missing, without_background
from lhrcnn.data.schema import Problem
from lhrcnn.data.tools import shapes
from lhrcnn.errors import DataError


def open_dataset(data_config, split, training=False):
    """The `Dataset` of a split, ready for use: missing images, wrong boxes and the like raise or are left out by data.on_error.

    data.classes picks and orders the classes; `training` leaves out images beyond data.max_aspect, and those without an object
    that counts, unless data.keep_empty; images that may show unlabelled objects of a class get no background (R-CNN, arXiv
    1311.2524, section 4.2). Under `skip` every image is decoded once, and `problems` tells what was left out. Where data.proposals is
    set, those of the split come with it. Raises DataError."""
    if data_config.format == "shapes" and not shapes.is_complete(data_config.dir):
        shapes.make_shapes(data_config.dir)
    dataset = read_dataset(data_config, split, training)
    errors = [problem for problem in dataset.problems if problem.severity == "error"]
    if errors and data_config.on_error == "fail":
        raise DataError(_failure(dataset.name, errors))
    if data_config.on_error == "skip":
        _drop_unreadable(dataset)
    for line in summary(dataset.problems):
        logging.warning("%s: %s", dataset.name, line)
    dataset = restrict_classes(dataset, data_config.classes)
    if not dataset.records:
        raise DataError(
            f"{dataset.name}: no usable image ({len(dataset.problems)} problems); check data.dir and the split"
        )
    if training:
        _restrict_training(dataset, data_config)
    if data_config.proposals:
        dataset.proposals = open_proposals(data_config.proposals, split, dataset.records)
    return dataset


def _restrict_training(dataset, data_config):
    """Leaves out images that are not to be trained on, and takes the background from those that are not labelled in full."""
    num_read = len(dataset.records)
    if data_config.max_aspect:
        dataset.records = [
            record
            for record in dataset.records
            if max(record.height, record.width)
            <= data_config.max_aspect * min(record.height, record.width)
        ]
    if not data_config.keep_empty:
        dataset.records = [record for record in dataset.records if not np.all(record.ignore)]
    if not dataset.records:
        raise DataError(
            f"{dataset.name}: none of the {num_read} images shows an object to learn "
            f"(classes: {', '.join(dataset.class_names)})"
        )
    dataset.records = [
        without_background(record) if record.unlabelled else record for record in dataset.records
    ]


def read_dataset(data_config, split, training=False):
    """The `Dataset` of a split as its reader finds it, without the faulty parts, each named in `problems`; writes nothing.

    Raises DataError."""
    if data_config.format == "shapes" and not shapes.is_complete(data_config.dir):
        raise DataError(
            f"{data_config.dir}: the shapes data set is not there; `lhrcnn data make-shapes` draws it, or set data.format "
            "to what the folder is (coco, voc, icdar, imagenet_det)"
        )
    reader = resolve(READERS[data_config.format])
    dataset = reader(data_config, split, training)
    dataset.records = drop_missing(dataset.records, dataset.problems)
    return dataset


def restrict_classes(dataset, names):
    """The `Dataset` with these classes in this order (all of it for an empty list). Raises DataError for an unknown name."""
    if not names:
        return dataset
    for name in names:
        if name not in dataset.class_names:
            close = difflib.get_close_matches(name, dataset.class_names, n=1)
            hint = (
                f"did you mean '{close[0]}'?"
                if close
                else f"it has {', '.join(dataset.class_names[:50])}"
            )
            raise DataError(f"data.classes: '{name}' is not a class of {dataset.name}; {hint}")
    old = [dataset.class_names.index(name) for name in names]
    new_of = np.full(dataset.num_classes, -1, np.int32)
    new_of[old] = np.arange(len(old))
    return dataclasses.replace(
        dataset,
        records=[_with_classes(record, new_of) for record in dataset.records],
        class_names=list(names),
        category_ids=[dataset.category_ids[k] for k in old],
    )


def align_classes(dataset, names, category_ids):
    """The `Dataset` with the classes of a model, in the model's order, for its evaluation.

    A class that the data set does not have is warned of and has no objects; its category id is the model's, or else a free one.
    Raises DataError where none is shared."""
    known = [name for name in names if name in dataset.class_names]
    if not known:
        raise DataError(
            f"{dataset.name}: has none of the model's classes ({', '.join(names[:20])}); it has {', '.join(dataset.class_names[:20])}"
        )
    if len(known) < len(names):
        logging.warning(
            "%s has no class %s",
            dataset.name,
            ", ".join(name for name in names if name not in known),
        )
    dataset = restrict_classes(dataset, known)
    ids = dict(zip(known, dataset.category_ids))
    for name, category_id in zip(names, category_ids):
        ids.setdefault(
            name,
            category_id
            if category_id not in ids.values()
            else max(*ids.values(), *category_ids) + 1,
        )
    new_of = np.array([names.index(name) for name in known], np.int32)
    return dataclasses.replace(
        dataset,
        records=[_with_classes(record, new_of) for record in dataset.records],
        class_names=list(names),
        category_ids=[ids[name] for name in names],
    )


def _with_classes(record, new_of):
    classes = new_of[record.classes]
    keep = classes >= 0
    unlabelled = new_of[np.asarray(record.unlabelled, np.int32)]
    return dataclasses.replace(
        record,
        boxes=record.boxes[keep],
        classes=classes[keep],
        ignore=record.ignore[keep],
        areas=record.areas[keep],
        unlabelled=tuple(k for k in unlabelled.tolist() if k >= 0),
    )


def _drop_unreadable(dataset):
    from lhrcnn.data.faults import image_faults  # needs TensorFlow

    faults = image_faults(dataset.records)
    dataset.problems.extend(Problem.error("unreadable image", fault) for fault in faults if fault)
    dataset.records = [record for record, fault in zip(dataset.records, faults) if not fault]


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
        plural = "s" if len(texts) > 1 else ""
        examples = "".join(f"\n    {text}" for text in texts[:num_examples])
        lines.append(f"{len(texts)} {severity}{plural}: {kind}, such as{examples}")
    return lines


def _failure(name, errors):
    lines = "\n  ".join(summary(errors, num_examples=3))
    return (
        f"{name}: {len(errors)} errors:\n  {lines}\nCorrect the files (`lhrcnn data check` lists "
        "everything), or set data.on_error=skip to leave out the images and boxes named."
    )
