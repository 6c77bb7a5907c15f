"""`lhrcnn train`."""
import pathlib

from absl import flags

from lhrcnn import commands


def define(values):
    """The flags of `lhrcnn train`."""
    commands.define_config_flags(values)
    flags.DEFINE_string("run_dir", "", "folder for checkpoints, logs and results; none: runs/NAME_OF_THE_CONFIG",
                        flag_values=values)
    flags.DEFINE_enum("resume", "auto", ["auto", "never", "must"], "a run directory with checkpoints: auto goes on from "
                      "them, never refuses, must fails where there are none", flag_values=values)
    flags.DEFINE_string("init_from", "", "run directory whose weights a new run starts from; those of classes of equal name too",
                        flag_values=values)
    flags.DEFINE_integer("seed", None, "of weights, order and augmentation, in place of the config's train.seed", lower_bound=0,
                         flag_values=values)


def run(values, arguments):
    """Trains, and prints what came out and where it is."""
    del arguments
    path = _config_path(values)
    experiment = commands.load_config(values, path)
    if values.seed is not None:
        experiment.train.seed = values.seed
    run_dir = pathlib.Path(values.run_dir or pathlib.Path("runs", path.stem))

    from lhrcnn.training.trainer import train
    print(format_summary(train(experiment, run_dir, values.resume, init_from=values.init_from)))


def format_summary(summary):
    """The trainer's summary as lines: steps, best score, paths, and what to do next."""
    run_dir, best = summary["run_dir"], summary["best_score"]
    following = "train" if summary["interrupted"] else "eval"
    rows = [("steps", f"{summary['steps']} of {summary['total_steps']}"),
            ("best", "not evaluated" if best is None else f"AP {best:.3f} at step {summary['best_step']}"),
            ("run directory", run_dir), ("best weights", summary["best_checkpoint"] or "none yet"),
            ("newest weights", summary["checkpoint"] or "none yet"),
            ("curves", f"tensorboard --logdir {run_dir}"), ("next", f"lhrcnn {following} --run_dir {run_dir}")]
    return "\n" + "\n".join(f"{name:<15} {value}" for name, value in rows)


def _config_path(values):
    """The config of the run: --config, or what the run directory was started with, or the embedded default."""
    started_with = pathlib.Path(values.run_dir, "config.yaml")
    if not values.config and values.run_dir and started_with.is_file():
        return started_with
    return commands.find_config(values.config or commands.DEFAULT_CONFIG)


COMMAND = commands.Command("train a detector; without flags the embedded example", define, run)
