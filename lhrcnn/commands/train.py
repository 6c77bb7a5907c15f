"""`lhrcnn train`."""

import os
import pathlib

from lhrcnn import commands, config
from lhrcnn.errors import UsageError
from lhrcnn.runs import zoo
from lhrcnn.runs.directory import RUN_FILES


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
    init_from = values.init_from
    # The data alone say how to train, or to go on: --data_dir without a config.
    if values.data_dir and not values.config and commands.is_users_data(values.data_dir):
        experiment, run_dir = _derived(values)
        init_from = init_from or zoo.START
    else:
        if values.minutes:
            raise UsageError(
                "--minutes is for a config derived from the data of --data_dir; with --config, set "
                "train.epochs or train.max_steps"
            )
        experiment, run_dir = experiment_of(values, commands.DEFAULT_CONFIG)

    from lhrcnn.training import stages

    summary = stages.train(experiment, run_dir, values.resume, init_from=init_from)
    following = f"lhrcnn eval --run_dir {run_dir}"
    if summary["interrupted"]:
        # Stages to come, and a training without a checkpoint, begin with these weights.
        start = f" --init_from {init_from}" if init_from else ""
        following = f"lhrcnn train --run_dir {run_dir}{start}"
    print(format_summary(summary, following))


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
    name = os.path.basename(os.path.abspath(values.data_dir))  # which `.` and `..` have too
    run_dir = pathlib.Path(values.run_dir or pathlib.Path("runs", name))
    seed = {} if values.seed is None else {"train.seed": values.seed}
    begun = run_dir / "config.yaml"
    if begun.is_file():
        print(f"config: {begun} (what this run was started with)", flush=True)
        return config.changed(commands.load_config(values, begun), seed), run_dir
    return config.changed(_derive(values, begun), seed), run_dir


def _derive(values, path):
    """The Config for the data of --data_dir, to be kept in a file of this path."""
    from lhrcnn.data.datasets import open_dataset, read_dataset
    from lhrcnn.training import derive, pace

    source, own = values.init_from or zoo.START, values["set"].value
    start = zoo.find_run(source, RUN_FILES).config()
    base = commands.with_data_dir(config.changed(start, derive.OTHER_DATA), values)
    base = config.changed(base, own)  # what is wrong here shows before the data are read
    print(
        f"config: derived from the data, and kept in {path}; --config names another, --set changes "
        f"an option\nstart: {source}"
    )

    def decided(config_, choices):
        print("\n".join(derive.describe(choices)), flush=True)
        changes = {choice.option: choice.value for choice in choices}
        return config.changed(config.changed(config_, changes), own)

    data = base.data
    dataset = open_dataset(data, data.train_split, training=True)
    measures = derive.measure(dataset)
    choices = derive.derive(measures, base, derive.processor_has_bfloat16(), path.parent)
    sized = decided(base, choices)
    speed = pace.measure(sized, dataset)
    looks = derive.EVALUATIONS * (
        len(read_dataset(data, data.val_split).records) if data.val_split else 0
    )
    steps = speed.steps(60 * values.minutes, looks) if values.minutes else 0
    derived = decided(sized, derive.length(measures, sized, steps))
    print(f"time: {speed.describe(derive.num_steps(measures, derived.train), looks)}", flush=True)
    return derived


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
