"""What a detector consists of, and what each part owes to the others: all that a part of one's own
has to know.

    BACKBONES["mine"] = f(options: BackboneConfig) -> Backbone
    EXTRACTORS["mine"] = f(model: ModelConfig, strides) -> Extractor
    HEADS["mine"] = f(model: ModelConfig, strides, num_classes) -> Head

in a module that the config names under `plugins:`. Then `model.backbone.name: mine` is allowed, and
`model.head.kind: mine` for a head, or for an extractor, whose features heads.box.BoxHead scores.
Options of its own stand in `model.backbone.options` and `model.head.options`; `strides` is
{level: px} of the maps there are. Complete examples: examples/backbone.py, examples/head.py.

Whatever holds variables is a Keras layer (of lhrcnn.keras) with a name= of its own among its
neighbours: names of variables in checkpoints are made of these. L2 is on the variables that are a
layer's `kernel` (or what else step.KERNELS lists).

Shape letters: B images, H W px of the padded batch, h w cells of a map, N proposals, M padded
ground-truth boxes, K foreground classes, L boxes per proposal (K or 1), C channels, F features.
Boxes are float32 (ymin, xmin, ymax, xmax) px of the network input. They do not stand in the first
argument of a layer's call: with 16 bits Keras rounds that one.

AutoGraph is off in parts: `if` and `for` see options and shapes, and what depends on the numbers in
a tensor is a tf.cond or tf.while_loop.
"""

import dataclasses
import typing

from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.names import variables_of


@dataclasses.dataclass
class Backbone:
    """A feature extractor: `model` maps images [B, H, W, 3], normalised, to {level: map}."""

    image: typing.Any  # the Keras input: float32 [B, H, W, 3], (RGB - pixel_mean) / pixel_std
    maps: dict  # {level: Keras tensor [B, h, w, C]}, from fine to coarse: c3, c4, c5
    strides: dict[str, int]  # {level: px of the map's cells}
    pixel_mean: tuple[float, ...]  # RGB, 0-255
    pixel_std: tuple[float, ...]
    stages: dict  # {name: Keras tensor where it ends}, in order: what frozen_stages counts

    def __post_init__(self):
        self.model = keras.Model(self.image, self.maps, name="backbone")

    def named_variables(self):
        """{name: variable}, the names being those they have in a detector."""
        return variables_of(self.model, "backbone")

    def freeze(self, num_stages):
        """Excludes the layers of the first `num_stages` stages from training."""
        ends = list(self.stages.values())[:num_stages]
        for layer in keras.Model(self.image, ends).layers if ends else ():
            layer.trainable = False


def shared_maps(maps, levels, option):
    """{level: map} of the levels that an option names, which the same layers read. Raises
    ConfigError where these cannot: their channels differ."""
    channels = {level: maps[level].shape[-1] for level in levels}
    if len(set(channels.values())) > 1:
        raise ConfigError(
            f"'{option}': the same layers read all of its maps, whose channels differ: "
            f"{', '.join(f'{number} in {level}' for level, number in channels.items())}; name one, "
            "or levels of a pyramid (model.fpn.channels)"
        )
    return {level: maps[level] for level in levels}


class Extractor(typing.Protocol):
    """RoI features, a Keras layer."""

    def prepare(self, maps, training=False):
        """What boxes are pooled from, of {level: map}: computed once per image; no boxes in it."""

    def __call__(self, prepared, boxes, training=False):
        """Features [B, N, F] of boxes [B, N, 4] px."""


class Head(typing.Protocol):
    """The second stage, a Keras layer; heads.box.RoIHead has all but `prepare` and `call`, and is
    what LocNet can stand beside.

    `test.merge: maxout` also asks for features(prepared, boxes) -> [B, N, F], outputs(features) ->
    (logits, deltas) and decode(logits, deltas, proposals, image_size), as BoxHead has them."""

    targets: typing.Any  # box_targets.BoxTargets, what its deltas are normalised by

    def prepare(self, maps, image_size, training=False):
        """What it pools from, of {level: map} of images of valid size image_size [B, 2]."""

    def localise(self, prepared, proposals, image_size):
        """Boxes [B, N, L, 4] px inside the images, and class scores [B, N, K] in 0...1."""

    def losses(self, prepared, proposals, batch, order, training):
        """({name: losses.LossSum}, foreground [B, S] bool of S sampled boxes) of proposals
        [B, N, 4] and a batch (lhrcnn/data/schema.py); order [B, N + M] in [0, 1): random."""

    def class_outputs(self):
        """A list of ClassOutputs: what a training that starts from other classes' weights copies
        class by class."""


class ClassOutputs(typing.NamedTuple):
    """A layer whose outputs, the last axis of its variables, stand for classes: bin by bin, then
    class by class (the background last, where there is one), then the numbers of a class."""

    layer: typing.Any
    per_class: bool = True  # False: one set of numbers serves all classes
    background: bool = False
    bins: int = 1
    targets: typing.Any = None  # the BoxTargets whose normalised deltas it gives, if it does
