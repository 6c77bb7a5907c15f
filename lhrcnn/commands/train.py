"""`lhrcnn train`."""

import os
import pathlib

from lhrcnn import commands, config
from lhrcnn.errors import UsageError


def training_flags(default):
    """The flags of any training; `default` is the config without --config."""
    return (
        *commands.config_flags(default),
        commands.text(
            "run_dir",
            "",
            "folder for checkpoints, logs and results; none: runs/ and the name of the config, or "
            "of the data folder where the config is derived",
        ),
        commands.choice(
            "resume",
            "auto",
            ["auto", "never", "must"],
            "a run directory with checkpoints: auto goes on from them, never refuses, must fails "
            "where there are none",
        ),
        commands.integer(
            "seed",
            None,
            "of weights, order and augmentation, instead of the config's train.seed",
            lower_bound=0,
        ),
    )


FLAGS = (
    *training_flags(f"derived from the data of --data_dir, without that {commands.DEFAULT_CONFIG}"),
    commands.text(
        "init_from",
        "",
        "run directory or pretrained model whose weights a new run starts from; those of classes "
        "of equal name too",
    ),
    commands.number(
        "minutes",
        None,
        "how long a training with a derived config may take here; none: what suits the data",
        lower_bound=0.1,
    ),
    commands.choice(
        "workers",
        "env",
        ["env", "slurm"],
        "who names the workers of a training on several machines: the variable TF_CONFIG, where "
        "it is set, or Slurm, whose srun started this",
    ),
)


def run(values):
    """Trains, and prints what came out and where it is."""
    if values.workers == "slurm" or os.environ.get("TF_CONFIG"):
        from lhrcnn import workers

        if values.workers == "slurm":
            os.environ["TF_CONFIG"] = workers.from_slurm()
        # First of all: TensorFlow must not have computed anything before.
        them = workers.Workers(workers.strategy_of_workers())
        if values.minutes and them.number > 1:
            raise UsageError("--minutes: each worker would find another time; set train.max_steps")
        with them.one_voice():
            _train(values)
    else:
        _train(values)


def _train(values):
    # The data alone say how to train, or to go on: --data_dir without a config.
    if values.data_dir and not values.config and commands.is_users_data(values.data_dir):
        experiment, run_dir = _derived(values)
    else:
        if values.minutes:
            raise UsageError(
                "--minutes is for a config derived from the data of --data_dir; with --config, set "
                "train.epochs or train.max_steps"
            )
        experiment, run_dir = experiment_of(values, commands.DEFAULT_CONFIG)
        experiment = config.changed(experiment, _start(values))

    from lhrcnn.training import stages

    summary = stages.train(experiment, run_dir, values.resume)
    # Stages to come, and a training without a checkpoint, begin as its config says.
    doing = "train" if summary["interrupted"] else "eval"
    print(format_summary(summary, f"lhrcnn {doing} --run_dir {run_dir}"))


def _start(values):
    return [("train.init_from", values.init_from)] if values.init_from else []


def experiment_of(values, default):
    """(Config, run directory) of a training's flags, said in a line; `default` as above."""
    path, origin = _config_path(values, default)
    experiment = commands.load_config(values, path)
    if values.seed is not None:
        experiment = config.changed(experiment, {"train.seed": values.seed})
    run_dir = pathlib.Path(values.run_dir or pathlib.Path("runs", path.stem))
    print(f"config: {path}{origin}; run directory: {run_dir}", flush=True)
    return experiment, run_dir


def _derived(values):
    """(Config, run directory) for the data of --data_dir, its choices said with their reasons."""
    from lhrcnn.training import own_data

    commands.check_data_dir(values)
    name = os.path.basename(os.path.abspath(values.data_dir))  # which `.` and `..` have too
    run_dir = pathlib.Path(values.run_dir or pathlib.Path("runs", name))
    seed = [] if values.seed is None else [("train.seed", values.seed)]
    changes = [*values["set"].value, ("data.dir", values.data_dir), *_start(values), *seed]
    return own_data.config_for(changes, run_dir, values.minutes or 0), run_dir


def format_summary(summary, following):
    """The trainer's summary as lines: steps, best score, paths, and the command to go on with."""
    run_dir, best = summary["run_dir"], "not evaluated"
    if summary["best_score"] is not None:
        metric = summary.get("best_metric") or "score"  # runs of an older lhrcnn do not say
        best = f"{metric} {summary['best_score']:.3f} at step {summary['best_step']}"
    rows = [
        *([("stage", summary["stage"])] if "stage" in summary else []),
        ("steps", f"{summary['steps']} of {summary['total_steps']}"),
        ("best", best),
        ("run directory", run_dir),
        ("best weights", summary["best_checkpoint"] or "none yet"),
        ("newest weights", summary["checkpoint"] or "none yet"),
        ("curves", f"tensorboard --logdir {run_dir}"),
        ("next", following),
    ]
    return "\n" + "\n".join(f"{name:<15} {value}" for name, value in rows)


def _config_path(values, default):
    """(path of the config, what to say about it): --config, or what the run directory was started
    with, or the default."""
    started_with = pathlib.Path(values.run_dir, "config.yaml")
    if values.config:
        return commands.find_config(values.config), ""
    if values.run_dir and started_with.is_file():
        return started_with, " (what this run was started with)"
    return commands.find_config(default), " (the default; --config names another)"


COMMAND = commands.Command("train a detector; without flags the embedded example", FLAGS, run)
