"""`lhrcnn pretrain`."""

from lhrcnn import commands
from lhrcnn.commands.train import define_training_flags, experiment_of, format_summary

DEFAULT_CONFIG = "xception_imagenet"


def define(values):
    """The flags of `lhrcnn pretrain`."""
    define_training_flags(values, DEFAULT_CONFIG)


def run(values, arguments):
    """Pretrains a backbone, and prints what came out, where it is, and how a detector starts from it."""
    del arguments
    experiment, run_dir = experiment_of(values, DEFAULT_CONFIG)

    from lhrcnn.training.pretrain import pretrain

    summary = pretrain(experiment, run_dir, values.resume)
    score = "explained variance" if experiment.pretrain.teacher else "top-1"
    following = (
        f"lhrcnn pretrain --run_dir {run_dir}"
        if summary["interrupted"]
        else (
            f"lhrcnn train --config CONFIG --set model.backbone.name={experiment.model.backbone.name} --set model.backbone.weights={run_dir}"
        )
    )
    print(format_summary(summary, score, following))


COMMAND = commands.Command(
    "train a backbone by itself, on folders of classes or from another backbone's features",
    define,
    run,
)
