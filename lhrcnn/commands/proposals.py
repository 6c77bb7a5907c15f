"""`lhrcnn proposals`."""

from lhrcnn import commands, files
from lhrcnn.runs.directory import RunDirectory

FLAGS = (
    *commands.RUN,
    commands.DATA_DIR,
    commands.split_flag("images to propose boxes in", "train_split"),
    *commands.output_flags(
        "",
        "folder that gets a file for the split, to be named in data.proposals; none: "
        "RUN_DIR/proposals",
    ),
    commands.SET,
)


def run(values):
    """Writes what the RPN of a run proposes."""
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    output = values.output or RunDirectory(run_dir).proposals()
    commands.refuse_several_looks(values)
    overrides = commands.overrides_of_run(values)
    files.check_writable(output)

    from lhrcnn.data.datasets import open_dataset
    from lhrcnn.evaluation.proposals import LOOK_ONCE, cache_proposals

    trained, strategy = commands.loaded_run(values, run_dir, [*overrides, *LOOK_ONCE])
    experiment = commands.with_data_dir(trained.config, values)
    split = values.split or experiment.data.train_split
    dataset = open_dataset(experiment.data, split, held_out=trained.held_out)
    made = cache_proposals(
        trained.model, dataset, experiment, output, split, strategy, values.overwrite
    )
    print(
        f"step {trained.meta['step']} of {run_dir}: up to {experiment.model.rpn.post_nms_test} "
        f"proposals for each of {len(dataset.records)} images "
        f"{'written' if made else 'are there already'}\n"
        f"next     lhrcnn train or eval with --set data.proposals={output}"
    )


COMMAND = commands.Command(
    "write what a run's RPN proposes, for second stages without one", FLAGS, run
)
