"""`lhrcnn localisation`."""
import pathlib

from absl import flags

from lhrcnn import commands, files


def define(values):
    """The flags of `lhrcnn localisation`."""
    commands.define_run_flags(values)
    commands.define_data_dir_flag(values)
    flags.DEFINE_string("split", "", "pictures whose objects are used, named as in the config; none: its data.test_split", flag_values=values)
    flags.DEFINE_string("output", "", "JSON file for the table; none: RUN_DIR/eval/SPLIT_localisation.json", flag_values=values)
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
    files.check_writable(output.parent)
    table = localisation_recall(trained.model, dataset, experiment)
    print(format_table(table))
    output.write_text(to_json({"run_dir": str(run_dir), "step": trained.meta["step"], "data": dataset.name, "localisation": table}),
                      encoding="utf-8")
    print(f"\nstep {trained.meta['step']} of {run_dir}, {len(dataset.records)} pictures\nmetrics     {output}")


COMMAND = commands.Command("how far a run moves boxes towards their objects: recall against the boxes' IoU", define, run)
