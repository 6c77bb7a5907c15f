"""From a foreign checkpoint to arrays under this library's names, with every tensor accounted
for.
"""

import re
import typing

import numpy as np

from lhrcnn.errors import CheckpointError
from lhrcnn.weights import layouts

FIRST_LAYERS = ("backbone/stem", "backbone/block0", "backbone/conv1_1")
TORCH_ROLES = {
    "kernel": ".weight",
    "depthwise_kernel": ".weight",
    "bias": ".bias",
    "gamma": ".weight",
    "beta": ".bias",
    "moving_mean": ".running_mean",
    "moving_variance": ".running_var",
}
EPSILON, PYRAMID_EPSILON = 1e-5, 1e-3  # of our batch norms
TORCH_COUNTER = (r".*\.num_batches_tracked", "a counter of training steps")


class Pixels(typing.NamedTuple):
    """What a checkpoint's first convolution takes."""

    bgr: bool = False
    mean: typing.Optional[tuple] = None  # RGB, 0-255; None: as the config says
    std: typing.Optional[tuple] = None


class Source(typing.NamedTuple):
    """A checkpoint, of PyTorch unless it says otherwise, and where the variables of a detector are
    in it."""

    state: dict  # their name -> array
    # (pattern of our layers, their layer: a template or match -> name, functions of layouts)
    layers: tuple
    dropped: tuple = ()  # (pattern of their names, why no variable takes the tensor)
    roles: dict = TORCH_ROLES  # our last part of a name -> the end of theirs
    layout: typing.Callable = layouts.from_torch  # applied to every array first
    pixels: Pixels = Pixels()
    epsilon: float = 1e-5  # of its batch norms
    # K; None: a backbone, and the rest of a detector starts from random weights
    num_classes: typing.Optional[int] = None
    labels: tuple = ((), ())  # usual (names, category ids), where there are K of them


class Translation(typing.NamedTuple):
    """What came out."""

    arrays: dict  # our name -> array
    dropped: dict  # their name -> why
    new: list  # our names without a counterpart


def translate(source, shapes, pixel_mean, pixel_std, what):
    """The Translation of a Source, whose state is used up, for variables {our name: shape} of a
    detector that normalises pixels by pixel_mean and pixel_std (RGB).

    `what` stands before messages. Raises CheckpointError that lists every tensor that is
    missing, unknown, or of another shape."""
    arrays, new, problems = {}, [], []
    for name, shape in shapes.items():
        found = find(source, name)
        if found is None:
            new.append(name)
            continue
        theirs, steps = found
        if theirs not in source.state:
            problems.append(f"{theirs}: not in the checkpoint, needed for {name} {list(shape)}")
            continue
        original = source.state.pop(theirs)  # not in memory twice where a step copies it
        array = _stepwise(original, (source.layout, *steps))
        if array is None or array.shape != tuple(shape):
            problems.append(f"{theirs}: {list(original.shape)} does not make {name} {list(shape)}")
            continue
        arrays[name] = array
    if source.num_classes is not None:
        problems += [f"{name}: has no counterpart in such a checkpoint" for name in new]
    dropped, unknown = _left_over(source)
    problems += [
        f"{theirs}: {list(source.state[theirs].shape)} in the checkpoint, unknown to this model"
        for theirs in unknown
    ]
    if problems:
        raise CheckpointError(
            f"{what}: does not fit the config's model ({len(problems)} tensors):\n  "
            + "\n  ".join(sorted(problems))
        )
    _adapt_batch_norms(arrays, source.epsilon)
    _adapt_first_layer(arrays, source.pixels, pixel_mean, pixel_std)
    return Translation(
        {name: np.asarray(array, np.float32) for name, array in arrays.items()}, dropped, new
    )


def _left_over(source):
    """({their name: why it is dropped}, names that are unknown) of tensors that were not used."""
    dropped, unknown = {}, []
    for theirs in source.state:
        known = (*source.dropped, TORCH_COUNTER)
        reasons = [reason for pattern, reason in known if re.fullmatch(pattern, theirs)]
        if reasons:
            dropped[theirs] = reasons[0]
        else:
            unknown.append(theirs)
    return dropped, unknown


def find(source, name):
    """(their name, functions for the array) of our variable, or None where such a checkpoint has
    none."""
    layer, role = name.rsplit("/", 1)
    for pattern, template, *steps in source.layers:
        match = re.fullmatch(pattern, layer)
        if match:
            return (
                template(match) if callable(template) else match.expand(template)
            ) + source.roles[role], steps
    return None


def _stepwise(array, steps):
    """The array after all steps; None where one of them cannot be done, as on a shape that is not
    expected."""
    try:
        for step in steps:
            array = step(array)
    except (ValueError, IndexError):
        return None
    return array


def _adapt_batch_norms(arrays, epsilon):
    for variance in [name for name in arrays if name.endswith("/moving_variance")]:
        gamma = variance.replace("/moving_variance", "/gamma")
        ours = PYRAMID_EPSILON if variance.startswith("backbone/fpn_") else EPSILON
        arrays[gamma], arrays[variance] = layouts.match_epsilon(
            arrays[gamma], arrays[variance], epsilon, ours
        )


def _adapt_first_layer(arrays, pixels, pixel_mean, pixel_std):
    layer = next((layer for layer in FIRST_LAYERS if f"{layer}/kernel" in arrays), None)
    if layer is None:
        return
    kernel = arrays[f"{layer}/kernel"]
    kernel = kernel[:, :, ::-1] if pixels.bgr else kernel
    if pixels.mean is not None:
        kernel, shift = layouts.renormalise(kernel, pixels.mean, pixels.std, pixel_mean, pixel_std)
        name, sign = (
            (f"{layer}/bias", 1) if f"{layer}/bias" in arrays else (f"{layer}_norm/moving_mean", -1)
        )
        arrays[name] = arrays[name] + sign * shift
    arrays[f"{layer}/kernel"] = kernel
