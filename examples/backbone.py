"""A backbone of one's own: one file, which a config names.

    plugins: [examples/backbone.py]
    model: {backbone: {name: plain, options: {channels: 16}}}

What it owes to the rest of a detector is written in lhrcnn/models/parts.py.
"""

from lhrcnn.keras import keras
from lhrcnn.models.backbones import BACKBONES, layers
from lhrcnn.models.parts import Backbone


def plain(config):
    """Five convolutions of stride 2, of which the last three give the maps c3, c4 and c5."""
    channels = config.options.get("channels", 16)
    image, x = layers.image(config)  # enlarged, where the config asks for it
    maps = {}
    for level in ("c1", "c2", "c3", "c4", "c5"):
        # The name= becomes part of the variables' names: backbone/c3/kernel.
        x = keras.layers.Conv2D(
            channels, 3, 2, "same", activation="relu", kernel_initializer="he_normal", name=level
        )(x)
        maps[level] = x
        channels *= 2
    return Backbone(
        image,
        maps={level: maps[level] for level in ("c3", "c4", "c5")},
        strides={"c3": 8, "c4": 16, "c5": 32},
        pixel_mean=(127.5, 127.5, 127.5),
        pixel_std=(127.5, 127.5, 127.5),
        stages=maps,  # model.backbone.frozen_stages: 2 freezes c1 and c2
    )


BACKBONES["plain"] = plain
