"""What happens to an image and its boxes before the network.

`TRANSFORMS` has, by name, what can be done to training batches after the resize, zoom, mirroring
and colours that options of their own ask for; `data.transforms` lists keys, applied in order.

A transform is a function `transform(data_config)` that returns a function `apply(batch, seed)`:
`batch` and what it returns are as in `lhrcnn.data.schema`, with the same keys, types and shapes;
`apply` is TensorFlow code of a tf.data graph, run for one batch at a time. `seed`, int64 [2], is
another one for every step: all that is drawn with it (`tf.random.stateless_uniform`) is the same
again when a run is resumed.

An entry is such a function, or "module:function", which is imported when it is used; `Joining` of
it where an image gets objects of others, which boxes of `data.proposals` could not follow. A plugin
puts its own: `TRANSFORMS["my_transform"] = transform`.
"""

import typing

from lhrcnn.choices import resolve


class Joining(typing.NamedTuple):
    """The entry of a transform that makes one image of several."""

    transform: typing.Any


TRANSFORMS = {
    "ExactMixUp": Joining("lhrcnn.data.transforms.mixup:exact_mix_up"),
    "ExactMosaic": Joining("lhrcnn.data.transforms.mosaic:exact_mosaic"),
    "MixUp": Joining("lhrcnn.data.transforms.keras_cv:mix_up"),
    "Mosaic": Joining("lhrcnn.data.transforms.keras_cv:mosaic"),
    "RandomColorJitter": "lhrcnn.data.transforms.keras_cv:color_jitter",
    "RandomHue": "lhrcnn.data.transforms.keras_cv:hue",
    "RandomSaturation": "lhrcnn.data.transforms.keras_cv:saturation",
    "Grayscale": "lhrcnn.data.transforms.keras_cv:grayscale",
    "ChannelShuffle": "lhrcnn.data.transforms.keras_cv:channel_shuffle",
    "Solarization": "lhrcnn.data.transforms.keras_cv:solarization",
    "AutoContrast": "lhrcnn.data.transforms.keras_cv:auto_contrast",
    "Equalization": "lhrcnn.data.transforms.keras_cv:equalization",
}


def transform_of(name):
    """The function of an entry."""
    entry = TRANSFORMS[name]
    return resolve(entry.transform if isinstance(entry, Joining) else entry)


def joining():
    """The names of the transforms that make one image of several, sorted."""
    return sorted(name for name, entry in TRANSFORMS.items() if isinstance(entry, Joining))
