"""`lhrcnn convert`."""

import pathlib

from lhrcnn import commands, config, files
from lhrcnn.errors import UsageError
from lhrcnn.weights.sources import SOURCES

FLAGS = (
    commands.choice(
        "source",
        None,
        list(SOURCES),
        "where the checkpoint comes from: "
        + "; ".join(f"{name}: {origin.meaning}" for name, origin in SOURCES.items()),
    ),
    commands.text(
        "checkpoint",
        "",
        "its file: .pth, .ckpt, .npz, .safetensors, .h5 or a TensorFlow checkpoint",
    ),
    commands.text(
        "config", "", "YAML file, or the name of a shipped one, that describes the same detector"
    ),
    commands.SET,
    commands.new_folder_flag("run directory to write"),
    commands.text(
        "classes",
        "",
        "file with the class names in the order of its outputs, one per line, without the "
        "background; none: those in the checkpoint, or of COCO or VOC by their number",
    ),
    commands.number(
        "epsilon",
        None,
        "of its batch norms, where not the usual one: 0 for torchvision detectors fine-tuned from "
        "COCO_V1",
        lower_bound=0,
    ),
)


def run(values):
    """Converts a checkpoint, and prints what became of every tensor."""
    source = commands.require(values, "source", "mmdet")
    checkpoint = commands.require(values, "checkpoint", "faster_rcnn_r50_fpn.pth")
    commands.require(values, "config", "faster_rcnn_resnet50_fpn_coco")
    output = pathlib.Path(commands.require(values, "output", "runs/converted"))
    experiment = config.load(commands.find_config(values.config), values["set"].value)
    names = _names(values.classes) if values.classes else []
    files.check_writable(output)

    from lhrcnn.runs.convert import convert

    result = convert(source, checkpoint, experiment, output, names, values.epsilon)
    for reason, dropped in result.dropped.items():
        shown = ", ".join(dropped[:3]) + (f" ... ({len(dropped)})" if len(dropped) > 3 else "")
        print(f"not used, {reason}: {shown}")
    if result.new:
        print(
            f"{len(result.new)} variables are not in the checkpoint and start from random weights: "
            f"{', '.join(result.new)}"
        )
    classes = result.class_names
    shown = ", ".join(classes[:5]) + (" ..." if len(classes) > 5 else "")
    following = "train --init_from" if result.new else "predict IMAGE --run_dir"
    print(
        f"{result.used} variables set\n"
        f"classes        {len(classes)}: {shown}\n"
        f"run directory  {output}\n"
        f"next           lhrcnn {following} {output}"
    )


def _names(path):
    """The lines of a file of --classes that are not empty. Raises UsageError."""
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    except ValueError as error:
        raise UsageError(f"--classes={path}: not readable as text in UTF-8: {error}") from None
    return [line.strip() for line in lines if line.strip()]


COMMAND = commands.Command("turn a checkpoint of another library into a run", FLAGS, run)
