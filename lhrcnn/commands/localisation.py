"""`lhrcnn localisation`."""

import pathlib

from absl import flags

from lhrcnn import commands, files


def define(values):
    """The flags of `lhrcnn localisation`."""
    commands.define_run_flags(values)
    commands.define_data_dir_flag(values)
    flags.DEFINE_string(
        "split",
        "",
        "images whose objects are used, named as in the config; none: its data.test_split",
        flag_values=values,
    )
    commands.define_output_flags(
        values, "", "JSON file for the table; none: RUN_DIR/eval/SPLIT_localisation.json"
    )
    commands.define_set_flag(values)


def run(values, arguments):
    """Prints and writes how well a run localises boxes of given overlaps with the truth."""
    del arguments
    run_dir = pathlib.Path(commands.require(values, "run_dir", "runs/shapes"))

    from lhrcnn.evaluation.localisation import format_table, localisation_recall
    from lhrcnn.evaluation.report import to_json
    from lhrcnn.inference.predictor import load_run

    trained = load_run(run_dir, values.checkpoint, overrides=values["set"].value)
    dataset, experiment, split = commands.dataset_of_run(trained, values)
    output = pathlib.Path(values.output or run_dir / "eval" / f"{split}_localisation.json")
    written = files.Output(
        output.parent, overwrite=values.overwrite or not values.output
    )  # RUN_DIR/eval is the run's
    written.check(output.name)
    table = localisation_recall(trained.model, dataset, experiment)
    print(format_table(table))
    about = {"run_dir": str(run_dir), "step": trained.meta["step"], "data": dataset.name}
    written.write(output.name, to_json({**about, "localisation": table}))
    print(
        f"\nstep {trained.meta['step']} of {run_dir}, {len(dataset.records)} images\nmetrics     {output}"
    )


COMMAND = commands.Command(
    "how far a run moves boxes towards their objects: recall against the boxes' IoU", define, run
)
