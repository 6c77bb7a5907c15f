"""`lhrcnn export`."""

import pathlib
import re

from absl import flags

from lhrcnn import commands
from lhrcnn.errors import UsageError
from lhrcnn.inference.export import EXPORTS, Options


def define(values):
    """The flags of `lhrcnn export`."""
    commands.define_run_flags(values)
    commands.define_output_flags(
        values, "", "folder of the model; none: RUN_DIR/export, or RUN_DIR/export_FORMAT"
    )
    flags.DEFINE_string(
        "format",
        "savedmodel",
        "; ".join(f"{name}: {format.meaning}" for name, format in EXPORTS.items()),
        flag_values=values,
    )
    flags.DEFINE_string(
        "size",
        "",
        "HxW: height and width in px of the images that forms of fixed size take, such as 480x640; "
        "none: the run's own",
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
    name = "export" if values.format == "savedmodel" else f"export_{values.format}"
    output, size = pathlib.Path(values.output or pathlib.Path(run_dir, name)), _size(values)
    overrides = commands.overrides_of_run(values)

    from lhrcnn.inference.export.write import export

    export(
        run_dir,
        output,
        values.format,
        Options(roi_impl=values.roi_impl, size=size),
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


def _size(values):
    """(height, width) of --size, None without. Raises UsageError."""
    match = re.fullmatch(r"(\d+)x(\d+)", values.size)
    if values.size and not match:
        raise UsageError(f"--size={values.size}: expected HxW in px, such as --size 480x640")
    return (int(match[1]), int(match[2])) if match else None


COMMAND = commands.Command("write a run as a model for use elsewhere", define, run)
