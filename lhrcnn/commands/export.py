"""`lhrcnn export`."""

import pathlib

from absl import flags

from lhrcnn import commands


def define(values):
    """The flags of `lhrcnn export`."""
    commands.define_run_flags(values)
    commands.define_output_flags(values, "", "folder of the SavedModel; none: RUN_DIR/export")
    flags.DEFINE_enum(
        "roi_impl",
        "tf",
        ["tf", "custom"],
        "tf: stock TensorFlow loads the model; custom: only with lhrcnn's compiled op",
        flag_values=values,
    )
    commands.define_set_flag(values)


def run(values, arguments):
    """Writes a run as a SavedModel, and prints its path and signatures."""
    del arguments
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    output = pathlib.Path(values.output or pathlib.Path(run_dir, "export"))

    from lhrcnn.inference.export.savedmodel import export_saved_model

    export_saved_model(
        run_dir, output, values.roi_impl, values.checkpoint, values.overwrite, values["set"].value
    )
    megabytes = sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) / 1e6
    print(
        f"signature serving_default: image_bytes [images] string, encoded images\n"
        f"signature image_tensor: image_tensor [images, height, width, 3] uint8 RGB\n"
        f"SavedModel  {output} ({megabytes:.1f} MB)"
    )


COMMAND = commands.Command("write a run as a SavedModel", define, run)
