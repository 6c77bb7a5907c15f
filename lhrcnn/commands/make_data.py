"""`lhrcnn data convert`, `make-shapes`, `make-text`, `imagenet-split` and `voc-to-det`."""

import os
import pathlib

from lhrcnn import commands
from lhrcnn.data.readers import READERS
from lhrcnn.errors import DataError, UsageError


def _generated_flags(folder, seed, num_train, num_val):
    """The flags of commands that draw a data set; `seed` says what it decides."""
    return (
        commands.new_folder_flag("folder of the data set", folder),
        commands.integer("seed", 0, seed, lower_bound=0),
        commands.integer("num_train", num_train, "images of the split `train`", lower_bound=1),
        commands.integer("num_val", num_val, "images of the split `val`", lower_bound=1),
    )


def make_shapes(values):
    """Draws the embedded data set."""
    from lhrcnn.data.tools import shapes

    shapes.make_shapes(values.output, values.seed, values.num_train, values.num_val)
    print(
        f"{values.num_train} images for training, {values.num_val} for validation, "
        f"classes: {', '.join(shapes.CLASSES)}\n"
        f"COCO data set  {values.output}"
    )


def make_text(values):
    """Writes words on images."""
    images = commands.require(values, "images", "photos")
    from lhrcnn.data.tools import words

    words.make_text(values.output, images, values.seed, values.num_train, values.num_val)
    print(
        f"{values.num_train} images for training, {values.num_val} for validation, "
        f"{len(words.usable_fonts())} fonts\n"
        f"ICDAR data set  {values.output}"
    )


def imagenet_split(values):
    """Writes the lists train, val1 and val2, and prints how well the halves are balanced."""
    import numpy as np

    from lhrcnn.data.readers import imagenet_det
    from lhrcnn.data.tools import imagenet_split as split

    root = imagenet_det.find_root(commands.require(values, "data_dir", "datasets/ILSVRC2015"))
    lists = {}
    lists["val1"], lists["val2"], imbalance = split.split_validation(root, values.seed, values.val2)
    lists["train"] = split.training_images(root, values.per_class, values.seed)
    for name, images in lists.items():
        if images:
            print(f"{len(images):7} images  {split.write_list(root, name, images)}")
    print(
        "imbalance |a - b| / (a + b) of a class between val1 and val2: "
        f"median {np.median(imbalance):.3f}, largest {imbalance.max():.3f}\n"
        "next     lhrcnn train --config faster_rcnn_resnet101_imagenet_det --data_dir "
        + values.data_dir
    )


def voc_to_det(values):
    """Writes splits of a VOC or COCO data set in the layout of ImageNet DET."""
    output = commands.require(values, "output", "datasets/voc_as_det")
    commands.require(values, "list", "train=VOC2007/trainval")
    splits, data = _named_splits(values, "list"), commands.load_config(values).data

    from lhrcnn.data.datasets import open_dataset
    from lhrcnn.data.tools import imagenet_det_files

    datasets = {name: open_dataset(data, split) for name, split in splits.items()}
    imagenet_det_files.write(datasets, output)
    for name, dataset in datasets.items():
        print(f"{len(dataset.records):7} images  {name}  of {dataset.name}")
    print(f"DET data set  {output}")


def _convert_to(flag_values):
    """--to, defined where it is asked for: its formats need NumPy."""
    from lhrcnn.data.tools.convert import WRITERS

    commands.choice("to", None, list(WRITERS), "format to write")(flag_values=flag_values)


def convert(values):
    """Writes splits of a data set in another format, and names what that cannot hold."""
    from lhrcnn import config
    from lhrcnn.data.datasets import drop_unreadable, read_dataset, summary
    from lhrcnn.data.readers import auto, lookup
    from lhrcnn.data.tools import convert as converting

    folder = commands.require(values, "data_dir", "datasets/mine")
    format_ = commands.require(values, "to", "coco")
    output = commands.require(values, "output", "datasets/mine_as_coco")
    options = [f"data.format={values['from'].value}", *values["set"].value]
    data = config.changed(config.load(overrides=options), {"data.dir": folder}).data
    splits = _named_splits(values, "split")
    if not splits:
        data, splits = auto.settle(data)
    datasets = {name: read_dataset(data, split) for name, split in splits.items()}
    for dataset in datasets.values():
        drop_unreadable(dataset)
    inputs = [record.path for dataset in datasets.values() for record in dataset.records]
    if not inputs:
        found = summary([problem for dataset in datasets.values() for problem in dataset.problems])
        raise DataError("\n  ".join([f"{folder}: no usable image in {', '.join(splits)}", *found]))
    written = commands.output_of(values, output, inputs)
    written.inputs.update(
        os.path.realpath(path)
        for path in lookup.walk(folder)
        if not written.owns(os.path.relpath(path, output))  # of an earlier call, in this folder
    )
    lost = converting.convert(datasets, format_, written, values.images)
    for name, dataset in datasets.items():
        boxes = sum(len(record.boxes) for record in dataset.records)
        print(f"{len(dataset.records):7} images  {boxes:8} objects  {name}  of {dataset.name}")
        for line in summary(dataset.problems):
            print(f"        {line}")
    for line in lost:
        print(f"lost: {line}")
    print(f"{format_} data set  {output}")


def _named_splits(values, flag):
    """{name: split} of NAME=SPLIT, or of a split that gives its own last word as a name. Raises
    UsageError."""
    splits = {}
    for text in values[flag].value:
        name, equals, split = text.partition("=")
        if not equals:
            name, split = pathlib.PurePath(text.split("+")[0]).stem, text
        if not name or not split or name in splits:
            again = f"'{name}' is the name of {splits[name]}, too; " if name in splits else ""
            raise UsageError(
                f"--{flag} {text}: {again}expected NAME=SPLIT, each name once, such as "
                "train=VOC2007/trainval"
            )
        splits[name] = split
    return splits


MAKE_SHAPES = commands.Command(
    "draw the embedded data set of shapes",
    _generated_flags("datasets/shapes", "images are the same for the same seed", 400, 100),
    make_shapes,
)
IMAGENET_SPLIT = commands.Command(
    "write the lists train, val1 and val2 of ImageNet DET",
    (
        commands.DATA_DIR,
        commands.text(
            "val2",
            "",
            "list of the images of val2, a name or a .txt file; none: halves of the same class "
            "balance",
        ),
        commands.integer("per_class", 0, "most training images per class; 0: all", lower_bound=0),
        commands.integer(
            "seed", 0, "of the halves and of the training images that stay", lower_bound=0
        ),
    ),
    imagenet_split,
)
VOC_TO_DET = commands.Command(
    "write a VOC or COCO data set in the layout of ImageNet DET",
    (
        *commands.config_flags(),
        commands.several(
            "list",
            [],
            "LIST=SPLIT: a list of the new data set and the split that fills it, such as "
            "train=VOC2007/trainval; images of lists named train... lie in train/, others in "
            "val/; may be repeated",
        ),
        commands.new_folder_flag("folder of the data set"),
    ),
    voc_to_det,
)
MAKE_TEXT = commands.Command(
    "write words on images: a scene-text data set in ICDAR's layout",
    (
        *_generated_flags(
            "datasets/text", "images are the same for the same seed, images and fonts", 7000, 500
        ),
        commands.text("images", "", "folder of images that words are written on"),
    ),
    make_text,
)
CONVERT = commands.Command(
    "write a data set in the format of COCO, VOC, YOLO or labelme",
    (
        commands.DATA_DIR,
        commands.SET,
        commands.text(
            "from",
            "auto",
            f"format of the data set, of {', '.join(READERS)} and those of plugins; auto: it is "
            "found",
        ),
        _convert_to,
        commands.several(
            "split",
            [],
            "split to convert, or NAME=SPLIT to call it otherwise; none: all that are found; may "
            "be repeated",
        ),
        commands.switch("images", True, "copy the images, too"),
        *commands.output_flags("", "folder of the new data set"),
    ),
    convert,
)
