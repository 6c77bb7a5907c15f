"""`lhrcnn zoo` and `lhrcnn pack`."""

import pathlib

from lhrcnn import commands, files
from lhrcnn.runs import zoo


def define_nothing(values):
    """`lhrcnn zoo` has no flags."""


def list_models(values, arguments):
    """Prints the pretrained models of the package with their scores."""
    del values, arguments
    for entry in zoo.entries():
        print(
            f"{entry.name}  {entry.megabytes:.1f} MB, {len(entry.class_names)} classes: "
            f"{', '.join(entry.class_names)}"
        )
        print("\n".join(f"    {score}" for score in entry.scores) or "    not evaluated")
    if not zoo.names():
        print("no pretrained model in this installation")


def define_pack(values):
    """The flags of `lhrcnn pack`."""
    commands.define_run_flags(values)
    commands.define_new_folder_flag(values, "the small run directory")


def pack(values, arguments):
    """Writes a small run directory and prints its size."""
    del arguments
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    output = pathlib.Path(commands.require(values, "output", "shapes_small"))
    files.check_writable(output)

    from lhrcnn.runs.pack import pack as write_packed

    path = write_packed(run_dir, output, values.checkpoint)
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB\n"
        f"next            lhrcnn eval --run_dir {output}"
    )


LIST = commands.Command("list the pretrained models of the package", define_nothing, list_models)
PACK = commands.Command(
    "make a small run directory, to share or ship, of a trained one", define_pack, pack
)
