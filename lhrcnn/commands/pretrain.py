"""`lhrcnn pretrain`."""

from lhrcnn import commands
from lhrcnn.commands.train import experiment_of, format_summary, training_flags

DEFAULT_CONFIG = "xception_imagenet"


def run(values):
    """Pretrains a backbone, and prints what came out, and how a detector starts from it."""
    experiment, run_dir = experiment_of(values, DEFAULT_CONFIG)

    from lhrcnn.training.pretrain import pretrain

    summary = pretrain(experiment, run_dir, values.resume)
    following = (
        f"lhrcnn train --config CONFIG --set model.backbone.name={experiment.model.backbone.name} "
        f"--set model.backbone.weights={run_dir}"
    )
    if summary["interrupted"]:
        following = f"lhrcnn pretrain --run_dir {run_dir}"
    print(format_summary(summary, following))


COMMAND = commands.Command(
    "train a backbone by itself, on folders of classes or from another backbone's features",
    training_flags(DEFAULT_CONFIG),
    run,
)
