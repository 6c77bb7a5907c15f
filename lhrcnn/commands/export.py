"""`lhrcnn export`."""

import pathlib

from lhrcnn import commands
from lhrcnn.errors import UsageError
from lhrcnn.inference.export import EXPORTS, Options
from lhrcnn.runs.directory import RUN_FILES, RunDirectory

IMAGES = 300  # that int8 is calibrated on, at most


FLAGS = (
    *commands.RUN,
    *commands.output_flags(
        "", "folder of the model; none: RUN_DIR/export, or RUN_DIR/export_FORMAT"
    ),
    commands.text(
        "format",
        "savedmodel",
        "; ".join(f"{name}: {format.meaning}" for name, format in EXPORTS.items()),
    ),
    commands.text(
        "size",
        "",
        "HxW: height and width in px of the images that forms of fixed size take, such as 480x640; "
        "none: the run's own",
    ),
    commands.integer(
        "batch_size", 1, "images that forms of fixed size take at once", lower_bound=1
    ),
    commands.switch("int8", False, "products in 8 bits; needs --calibrate, except for litert"),
    commands.text(
        "calibrate",
        "",
        "split whose images, 300 at most, the ranges of --int8 are taken from; not the one that is "
        "tested on",
    ),
    commands.DATA_DIR,
    commands.choice(
        "roi_impl",
        "tf",
        ["tf", "custom"],
        "tf: stock TensorFlow loads the model; custom: only with lhrcnn's compiled op",
    ),
    commands.SET,
)


def run(values):
    """Exports a run, and prints where the model is and what it cannot do."""
    commands.check_pairs(values, ("data_dir", "calibrate"))
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    output = pathlib.Path(values.output or RunDirectory(run_dir).exported(values.format))
    size = commands.size(values) if values.size else None
    ranges = EXPORTS[values.format].int8 if values.format in EXPORTS else ""
    if ranges == "input" and values.calibrate:
        raise UsageError(
            f"--calibrate: {values.format} takes the ranges of activations from each input; "
            "--int8 alone"
        )
    if ranges == "calibration" and values.int8 != bool(values.calibrate):
        raise UsageError(
            "--int8 and --calibrate go together: --int8 --calibrate train takes the ranges of "
            "activations from images of that split"
        )
    overrides = commands.overrides_of_run(values)
    calibration = _calibration(values, overrides) if values.calibrate else ()

    from lhrcnn.inference.export.write import export

    export(
        run_dir,
        output,
        values.format,
        Options(values.roi_impl, size, values.batch_size, calibration, values.int8),
        values.checkpoint,
        values.overwrite,
        overrides,
    )
    megabytes = sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) / 1e6
    if EXPORTS[values.format].takes:
        print(EXPORTS[values.format].takes)
    if EXPORTS[values.format].cannot:
        print(f"it cannot {EXPORTS[values.format].cannot}")
    print(f"{values.format:<11} {output} ({megabytes:.1f} MB)")


def _calibration(values, overrides):
    """Paths of at most `IMAGES` images of --calibrate, evenly over the split."""
    from lhrcnn.data.datasets import open_dataset
    from lhrcnn.runs.zoo import find_run

    run = find_run(values.run_dir, RUN_FILES)
    settings = commands.with_data_dir(run.config(overrides), values)
    records = open_dataset(settings.data, values.calibrate).records
    return tuple(record.path for record in records[:: -(-len(records) // IMAGES)])


COMMAND = commands.Command("write a run as a model for use elsewhere", FLAGS, run)
