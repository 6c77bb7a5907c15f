"""Whether the run in a RunDirectory is the one that is asked for. All raise TrainingError."""

from lhrcnn import config as configs
from lhrcnn.errors import TrainingError, UsageError
from lhrcnn.models.names import present
from lhrcnn.runs.directory import CLASSES, CONFIG, data_of

RESUME = ("auto", "never", "must")
# Options that do not change what a step computes (the length does under a cosine); a resumed run
# may have other values of them.
FREE = tuple(
    (
        "data.dir data.image_dir data.proposals data.cache_dir data.workers data.val_split "
        "data.test_split data.test_short_side model.backbone.weights model.head.roi_impl "
        "model.postprocess. train.log_every train.checkpoint_every train.keep_checkpoints "
        "train.eval_every train.best_metric train.patience train.hours train.num_images "
        "train.init_from eval. test."
    ).split()
)
LENGTH = ("train.epochs", "train.max_steps")


def going_on(run, resume):
    """Whether the run is to be resumed. Raises UsageError for an unknown `resume`."""
    if resume not in RESUME:
        raise UsageError(f"--resume={resume}: allowed are {', '.join(RESUME)}")
    steps, folder = run.checkpoints.steps(), run.checkpoints.folder
    if resume == "never" and steps:
        raise TrainingError(
            f"{folder} already holds checkpoints (step {steps[-1]}) and --resume=never forbids to "
            "go on from them; give another --run_dir, or remove that folder"
        )
    if resume == "must" and not steps:
        raise TrainingError(
            f"{folder} holds no checkpoint to resume from, which --resume=must asks for; check "
            "--run_dir, or use --resume=auto"
        )
    return bool(steps)


def check_same_experiment(config, run):
    """Compares a Config with the one the run was started with."""
    path = run.folder / CONFIG
    if not path.exists():
        raise TrainingError(
            f"{path} is missing, so the run in this folder cannot be resumed; restore it, or give "
            "another --run_dir"
        )
    old, new = configs.flat(run.config()), configs.flat(config)
    for options in (old, new):  # keys of older runs name variables as they were called then
        factors = options["train.gradient_multipliers"].items()
        options["train.gradient_multipliers"] = {present(key): factor for key, factor in factors}
    free = FREE + (LENGTH if config.train.schedule == "step" and not config.train.stages else ())
    changed = [
        f"{key}: {old[key]!r} in the run, {new[key]!r} now"
        for key in new
        if old[key] != new[key] and not key.startswith(free)
    ]
    if changed:
        raise TrainingError(
            f"{path}: the run was started with other options, which cannot change on resuming:"
            + "".join(f"\n  {line}" for line in changed)
            + "\nResume with the run's own config, or give another --run_dir"
        )


def check_same_data(dataset, meta, run):
    """Compares the training Dataset with what a checkpoint's `meta` and the run's files tell."""
    other = "restore the data set, or give another --run_dir"
    if "converted_from" in meta:
        raise TrainingError(
            f"{run}: holds weights converted from {meta['converted_from']}, not a training to go "
            f"on with; start one from them with --init_from {run} and another --run_dir"
        )
    names = run.classes()[0] if (run.folder / CLASSES).exists() else dataset.class_names
    if names != dataset.class_names:
        raise TrainingError(
            f"{run.folder / CLASSES}: the run learns the classes {', '.join(names)}; the data set "
            f"has {', '.join(dataset.class_names)}; set data.classes to the run's, or give another "
            "--run_dir"
        )
    proposals = dataset.proposals.fingerprint if dataset.proposals else None
    if meta.get("proposals") != proposals:
        raise TrainingError(
            f"{run}: the run trains on proposals with the fingerprint {meta.get('proposals')}; "
            f"those of data.proposals now have {proposals}, so it cannot go on as it began; "
            "restore the files, or give another --run_dir"
        )
    number = meta.get("images", meta.get("pictures"))  # its name in older checkpoints
    if number != len(dataset.records):
        raise TrainingError(
            f"{run}: the run trains on {number} images; {dataset.name} now has "
            f"{len(dataset.records)}, so it cannot go on as it began; {other}"
        )
    noted = run.data()
    if noted and noted["digest"] != data_of(dataset)["digest"]:
        raise TrainingError(
            f"{run}: the run trains on {number} images; {dataset.name} now has as many, but not "
            "the same: their ids, order, sizes, boxes or classes differ, so it cannot go on as it "
            f"began; {other}"
        )
