"""`lhrcnn localisation`."""

import pathlib

from lhrcnn import commands
from lhrcnn.runs.directory import RunDirectory

FLAGS = (
    *commands.RUN,
    commands.DATA_DIR,
    commands.split_flag("images whose objects are used", "test_split"),
    *commands.output_flags(
        "", "JSON file for the table; none: RUN_DIR/eval/SPLIT_localisation.json"
    ),
    commands.SET,
)


def run(values):
    """Prints and writes how well a run localises boxes of given overlaps with objects."""
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    commands.refuse_several_looks(values)
    overrides = commands.overrides_of_run(values)

    from lhrcnn.evaluation.localisation import format_table, localisation_recall
    from lhrcnn.evaluation.proposals import LOOK_ONCE
    from lhrcnn.evaluation.tables import to_json
    from lhrcnn.inference.predictor import load_run

    trained = load_run(run_dir, values.checkpoint, [*overrides, *LOOK_ONCE])
    dataset, experiment, split = commands.dataset_of_run(trained, values)
    output = pathlib.Path(values.output or RunDirectory(run_dir).evaluation(split, "localisation"))
    written = commands.output_of(values, output.parent, of_run=not values.output)
    written.check(output.name)
    table = localisation_recall(trained.model, dataset, experiment)
    print(format_table(table))
    about = {"run_dir": run_dir, "step": trained.meta["step"], "data": dataset.name}
    written.write(output.name, to_json({**about, "localisation": table}))
    print(
        f"\nstep {trained.meta['step']} of {run_dir}, {len(dataset.records)} images\n"
        f"metrics     {output}"
    )


COMMAND = commands.Command(
    "how far a run moves boxes towards their objects: recall against the boxes' IoU", FLAGS, run
)
