"""`lhrcnn zoo` and `lhrcnn pack`."""

import json
import pathlib

from lhrcnn import commands, files
from lhrcnn.choices import did_you_mean
from lhrcnn.errors import UsageError
from lhrcnn.runs import public, zoo


def list_models(values):
    """Prints the pretrained models with their scores."""
    del values
    print("In the package:")
    for entry in zoo.entries():
        print(
            f"  {entry.name}  {entry.megabytes:.1f} MB, {len(entry.class_names)} classes: "
            f"{', '.join(entry.class_names)}"
        )
        print("\n".join(f"      {score}" for score in entry.scores) or "      not evaluated")
    if not zoo.names():
        print("  none in this installation")
    print("\nPublic checkpoints, trained on COCO (80 classes), downloaded and converted once:")
    row = "  {:<42} {:<11} {:>12} {:>4} {:>5}  {:<12}  {}"
    print(row.format("name", "source", "AP published", "MB", "time", "licence", "here"))
    for model in public.models().values():
        there = model.folder if model.folder.is_dir() else ""
        shown = model.name, model.source, model.ap, model.megabytes, model.time, model.licence
        print(row.format(*shown, there).rstrip())
    print("time: of detection on a CPU, as a multiple of the first one's")


def get(values, arguments):
    """Makes the run directory of a public model, and says where it is."""
    name = _public(arguments)
    folder = public.get(name, values["from"].value)
    print(f"run directory  {folder}\nnext           lhrcnn predict photo.jpg --run_dir {name}")


def verify(values, arguments):
    """Evaluates a public model, and prints its AP beside the published one."""
    name = _public(arguments)
    data_dir = commands.require(values, "data_dir", "datasets/coco")
    output = pathlib.Path(values.output or f"{name}_verified.json")

    from lhrcnn import api

    scored = api.evaluate(name, {"dir": data_dir}, values.split, ["coco"], output=output)
    about = json.loads(output.read_text(encoding="utf-8"))
    print(
        f"                 box AP  images\n"
        f"published        {public.models()[name].ap:>6}    5000  COCO val2017\n"
        f"measured here    {100 * scored['coco']['AP']:>6.1f}  {about['images']:>6}  "
        f"{about['data']}\n"
        f"metrics          {output}"
    )


def _public(arguments):
    """The name of a public model that is the one argument. Raises UsageError."""
    if len(arguments) != 1 or arguments[0] not in public.models():
        given = arguments[0] if arguments else ""
        hint = did_you_mean(given, public.models()) or "`lhrcnn zoo` lists them"
        raise UsageError(f"name one public model, found '{' '.join(arguments)}'; {hint}")
    return arguments[0]


def pack(values):
    """Writes a small run directory and prints its size."""
    run_dir = commands.require(values, "run_dir", "runs/shapes")
    output = pathlib.Path(commands.require(values, "output", "shapes_small"))
    files.check_writable(output)

    from lhrcnn.runs.pack import pack as write_packed

    path = write_packed(run_dir, output, values.checkpoint)
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB\n"
        f"next            lhrcnn eval --run_dir {output}"
    )


LIST = commands.Command(
    "list the pretrained models: of the package, and public ones", (), list_models
)
GET = commands.Command(
    "download and convert a public model",
    (
        commands.text(
            "from",
            "",
            "its checkpoint file, where that is here already; for machines without a network",
        ),
    ),
    get,
    positional="NAME",
)
VERIFY = commands.Command(
    "the AP of a public model, measured and published",
    (
        commands.DATA_DIR,
        commands.split_flag("images to evaluate on", "test_split"),
        commands.text("output", "", "JSON file for the metrics; none: NAME_verified.json"),
    ),
    verify,
    positional="NAME",
)
PACK = commands.Command(
    "make a small run directory, to share or ship, of a trained one",
    (*commands.RUN, commands.new_folder_flag("the small run directory")),
    pack,
)
