"""`lhrcnn export`."""

import pathlib

from absl import flags

from lhrcnn import commands
from lhrcnn.inference.export import EXPORTS, Options


def define(values):
    """The flags of `lhrcnn export`."""
    commands.define_run_flags(values)
    commands.define_output_flags(values, "", "folder of the model; none: RUN_DIR/export")
    flags.DEFINE_string(
        "format",
        "savedmodel",
        "; ".join(f"{name}: {format.meaning}" for name, format in EXPORTS.items()),
        flag_values=values,
    )
    flags.DEFINE_enum(
        "roi_impl",
        "tf",
        ["tf", "custom"],
        "tf: stock TensorFlow loads the model; custom: only with lhrcnn's compiled op",
        flag_values=values,
    )
    commands.define_set_flag(values)


def run(values, arguments):
    """Exports a run, and prints where the model is and what it cannot do."""
    del arguments
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    output = pathlib.Path(values.output or pathlib.Path(run_dir, "export"))
    overrides = commands.overrides_of_run(values)

    from lhrcnn.inference.export.write import export

    export(
        run_dir,
        output,
        values.format,
        Options(roi_impl=values.roi_impl),
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


COMMAND = commands.Command("write a run as a model for use elsewhere", define, run)
