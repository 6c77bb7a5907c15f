"""Weights that a backbone starts from: ImageNet's, a file's, or another run's, with an account of
what was used.
"""

import os
import pathlib
import re

import numpy as np
from absl import logging

from lhrcnn.errors import CheckpointError
from lhrcnn.models.names import present
from lhrcnn.runs import zoo
from lhrcnn.runs.fine_tune import read_run
from lhrcnn.weights import efficientnet_lite, keras_applications, tf_slim, torchvision
from lhrcnn.weights.files import read_arrays
from lhrcnn.weights.sources import KERAS_MODELS
from lhrcnn.weights.translate import translate

BACKBONE_SOURCES = (
    torchvision.describe,
    keras_applications.describe,
    tf_slim.describe,
    efficientnet_lite.describe,
)
# Where the layers of a classifier are in a detector.
PARTS = re.compile(r"backbone/|head/(stage5|fc\d+|skip)/")
# Searched for imagenet weights after $LHRCNN_WEIGHTS, relative to the working directory.
FOLDERS = ("weights",)


def load_backbone(detector, model):
    """Sets the variables of the backbone of a ModelConfig from its option backbone.weights, and
    logs what was used.

    That is a weights file (arrays under this library's names, or those of torchvision,
    keras.applications, TF-slim or the PyTorch EfficientNet-Lite), a run directory, or "imagenet":
    a file NAME_imagenet of a weights folder, else what keras.applications downloads. A last stage
    that runs in the head, and VGG16's fully connected layers, are set too. Returns (restored
    names, missing names).
    Raises RunError, and CheckpointError if there are none, no array fits or a shape differs."""
    source = model.backbone.weights
    imagenet = source == "imagenet"
    path, arrays = _imagenet(model.backbone.name) if imagenet else (source, _read(source))
    variables = {k: v for k, v in detector.named_variables().items() if PARTS.match(k)}
    if not any(PARTS.match(name) for name in arrays):
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        described = _describe_backbone(arrays, model, path)
        pixels = detector.pixel_mean, detector.pixel_std
        arrays = translate(described, shapes, *pixels, path).arrays
    restored, missing = assign(variables, arrays, path)
    hint = f"; not in the file: {', '.join(missing)}" if missing else ""
    numbers = len(restored), len(variables)
    logging.info("%s: %d of %d backbone variables restored%s", path, *numbers, hint)
    return restored, missing


def assign(variables, arrays, source):
    """Assigns arrays to the variables of the same name; returns (restored names, names without an
    array).

    Raises CheckpointError, with `source`, if a shape differs or nothing matches."""
    restored = [name for name in variables if name in arrays]
    if not restored:
        raise CheckpointError(
            f"{source}: none of its {len(arrays)} arrays fits this model; it holds "
            f"{', '.join(sorted(arrays)[:3])} ..., the model needs "
            f"{', '.join(sorted(variables)[:3])} ..."
        )
    wrong = [
        f"{name} {arrays[name].shape} instead of {tuple(variables[name].shape)}"
        for name in restored
        if arrays[name].shape != tuple(variables[name].shape)
    ]
    if wrong:
        raise CheckpointError(
            f"{source}: arrays of another shape than the model's: {'; '.join(wrong[:5])} "
            f"({len(wrong)} in all)"
        )
    for name in restored:
        variables[name].assign(arrays[name].astype(np.float32))
    return restored, [name for name in variables if name not in arrays]


def _read(source):
    """{name: array} of a weights file, or the best ones of a run directory or pretrained model."""
    if zoo.find_run(source).folder.is_dir():
        return read_run(source)
    return {present(name): array for name, array in read_arrays(source).items()}


def _imagenet(name):
    """(where they come from, arrays) of the ImageNet weights of a backbone."""
    for folder in filter(None, (os.environ.get("LHRCNN_WEIGHTS"), *FOLDERS)):
        paths = pathlib.Path(folder).glob(f"{name}_imagenet*")
        found = sorted(path for path in paths if ".data-" not in path.name)
        if found:
            return found[0], _read(found[0])
    if name not in KERAS_MODELS:
        raise CheckpointError(
            f"'model.backbone.weights': there are no public ImageNet weights for {name} to be had "
            "by name; set it to a file, a run directory, or '' to start from random weights"
        )
    return "keras.applications", keras_applications.download(name)


def _describe_backbone(arrays, model, path):
    """The Source of a classifier's arrays."""
    reasons = []
    for describe in BACKBONE_SOURCES:
        try:
            return describe(arrays, model)
        except CheckpointError as error:
            reasons.append(str(error))
    raise CheckpointError(
        f"{path}: none of its {len(arrays)} arrays fits this model; it holds "
        f"{', '.join(sorted(arrays)[:3])} ...:\n  " + "\n  ".join(reasons)
    )
