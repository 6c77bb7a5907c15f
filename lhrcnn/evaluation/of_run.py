"""Evaluating a trained model: its data set, and the files that are kept of the outcome."""

import dataclasses
import hashlib
import json
import os

from absl import logging

from lhrcnn import config as configs
from lhrcnn.data.datasets import align_classes, open_dataset
from lhrcnn.data.readers.parsing import MALFORMED
from lhrcnn.evaluation.coco_files import read_results
from lhrcnn.evaluation.detect import detect_dataset
from lhrcnn.evaluation.tables import to_json


def dataset_of(trained, split=""):
    """(Dataset of a split with the classes of a predictor.LoadedRun, its Config, the split).

    Classes are the run's, whether or not the data set has them all; split: "" for its
    data.test_split. Images that were drawn for validation when the run began are so again. Raises
    DataError."""
    config = configs.changed(trained.config, {"data.classes": []})
    split = split or config.data.test_split
    dataset = open_dataset(config.data, split, held_out=trained.held_out)
    return align_classes(dataset, trained.class_names, trained.category_ids), config, split


def basis_of(config, dataset):
    """What detections on a Dataset depend on beside the weights, as text: options of a Config,
    classes and images, wherever these lie."""
    data = dataclasses.replace(
        config.data,
        dir="",
        cache_dir="",
        image_dir="",
        workers=0,
        proposals=dataset.proposals.fingerprint if dataset.proposals else "",
    )
    options = dataclasses.replace(
        config, data=data, train=configs.TrainConfig(), eval=configs.EvalConfig()
    )
    images = [
        (record.image_id, record.height, record.width, os.path.basename(record.path))
        for record in dataset.records
    ]
    return f"{configs.dump(options)}{images}{dataset.class_names}"


def about(run_dir, trained, dataset, split, ensemble=()):
    """{key: value} of what was evaluated, for `save`.

    "identity" is a digest of `basis_of` and of what the checkpoint says of its training."""
    identity = f"{basis_of(trained.config, dataset)}{trained.meta}"
    return {
        "run_dir": str(run_dir),
        "ensemble": list(ensemble),
        "step": trained.meta["step"],
        "data": dataset.name,
        "split": split,
        "images": len(dataset.records),
        "identity": hashlib.sha256(identity.encode()).hexdigest()[:16],
    }


def beside_metrics(path):
    """Path of the detections that belong to the metrics in `path`."""
    return path.with_name(f"{path.stem}_detections.json")


def kept(path, about, dataset):
    """The `Detections` that `save` left beside the metrics in `path`; None where there are none,
    damaged ones, or those of another evaluation than `about` says."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        # Older files lack some.
        of_same = ("ensemble", "step", "data", "split", "images", "identity")
        if all(content.get(key, about[key]) == about[key] for key in of_same):
            return read_results(beside_metrics(path), dataset)
    except FileNotFoundError:
        pass
    except MALFORMED as error:
        logging.warning("%s: not as `lhrcnn eval` left it (%s); detecting anew", path, error)
    return None


def kept_or_made(path, about, trained, dataset, config, strategy, overrides):
    """(`Detections`, whether they are those `kept`); made now where none are, or where `overrides`
    change the run's config."""
    found = None if overrides else kept(path, about, dataset)
    if found is not None:
        return found, True
    return detect_dataset(trained.model, dataset, config, strategy), False


def save(output, path, about, dataset, metrics, detections):
    """Writes metrics and, beside them, detections in COCO's result format; returns both paths.

    output: the files.Output of the folder of `path`; about: {key: value} of what was evaluated."""
    beside = beside_metrics(path)
    output.check(path.name, beside.name)
    output.write(path.name, to_json({**about, **metrics}))
    output.write(beside.name, json.dumps(detections.to_coco(dataset)))
    return path, beside
