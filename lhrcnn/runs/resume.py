"""Whether a run directory can be used, and whether the run in it is the one that is asked for. All raise TrainingError."""

import dataclasses
import json

from lhrcnn import config as configs
from lhrcnn.errors import TrainingError, UsageError

RESUME = ("auto", "never", "must")
# Options that do not change what a step computes (the length does under a cosine); a resumed run may have other values of them.
FREE = (
    "data.dir",
    "data.image_dir",
    "data.proposals",
    "data.cache_dir",
    "data.workers",
    "data.val_split",
    "data.test_split",
    "data.test_short_side",
    "model.backbone.weights",
    "model.head.roi_impl",
    "model.postprocess.",
    "train.log_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.eval_every",
    "train.num_images",
    "eval.",
    "test.",
)
LENGTH = ("train.epochs", "train.max_steps")


def going_on(store, resume):
    """Whether the run of a CheckpointStore is to be resumed. Raises UsageError for an unknown `resume`."""
    if resume not in RESUME:
        raise UsageError(f"--resume={resume}: allowed are {', '.join(RESUME)}")
    steps = store.steps()
    if resume == "never" and steps:
        raise TrainingError(
            f"{store.folder} already holds checkpoints (step {steps[-1]}) and --resume=never forbids to go on from them; "
            "give another --run_dir, or remove that folder"
        )
    if resume == "must" and not steps:
        raise TrainingError(
            f"{store.folder} holds no checkpoint to resume from, which --resume=must asks for; check --run_dir, "
            "or use --resume=auto"
        )
    return bool(steps)


def check_same_experiment(config, run_dir):
    """Compares a Config with the one the run was started with."""
    path = run_dir / "config.yaml"
    if not path.exists():
        raise TrainingError(
            f"{path} is missing, so the run in this folder cannot be resumed; restore it, or give another --run_dir"
        )
    old, new = _flat(configs.load(path)), _flat(config)
    free = FREE + (LENGTH if config.train.schedule == "step" and not config.train.stages else ())
    changed = [
        f"{key}: {old[key]!r} in the run, {new[key]!r} now"
        for key in new
        if old[key] != new[key] and not key.startswith(free)
    ]
    if changed:
        raise TrainingError(
            f"{path}: the run was started with other options, which cannot change on resuming:\n  "
            + "\n  ".join(changed)
            + "\nResume with the run's own config, or give another --run_dir"
        )


def check_same_data(dataset, meta, run_dir):
    """Compares the training Dataset with what a checkpoint's `meta` and classes.json tell."""
    if "converted_from" in meta:
        raise TrainingError(
            f"{run_dir}: holds weights converted from {meta['converted_from']}, not a training to go on with; start one from "
            f"them with --init_from {run_dir} and another --run_dir"
        )
    path = run_dir / "classes.json"
    names = (
        json.loads(path.read_text(encoding="utf-8"))["names"]
        if path.exists()
        else dataset.class_names
    )
    if names != dataset.class_names:
        raise TrainingError(
            f"{path}: the run learns the classes {', '.join(names)}; the data set has {', '.join(dataset.class_names)}; "
            "set data.classes to the run's, or give another --run_dir"
        )
    proposals = dataset.proposals.fingerprint if dataset.proposals else None
    if meta.get("proposals") != proposals:
        raise TrainingError(
            f"{run_dir}: the run trains on proposals with the fingerprint {meta.get('proposals')}; those of data.proposals "
            f"now have {proposals}, so it cannot go on as it began; restore the files, or give another --run_dir"
        )
    number = meta.get("images", meta.get("pictures"))  # its name in older checkpoints
    if number != len(dataset.records):
        raise TrainingError(
            f"{run_dir}: the run trains on {number} images; {dataset.name} now has {len(dataset.records)}, "
            "so it cannot go on as it began; restore the data set, or give another --run_dir"
        )


def _flat(node, prefix=""):
    """{dotted key: value} of a dataclass tree."""
    flat = {}
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        flat.update(
            _flat(value, f"{prefix}{field.name}.")
            if dataclasses.is_dataclass(value)
            else {prefix + field.name: value}
        )
    return flat
