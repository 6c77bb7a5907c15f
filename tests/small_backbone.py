"""A backbone of four convolutions, for tests in which graphs should be small; as a plugin too."""

from lhrcnn.models.backbones import BACKBONES, layers
from lhrcnn.models.parts import Backbone


def small(config):
    """{"c3", "c4", "c5"} of strides 8, 16 and 16, made of convolutions with batch norm."""
    image, x = layers.image(config)
    stages = {}
    for name, channels, strides in (("stem", 16, 4), ("c3", 32, 2), ("c4", 64, 2), ("c5", 64, 1)):
        x = layers.conv(x, layers.scaled(channels, config.width), 3, name, config, strides=strides)
        stages[name] = x
    maps = {name: stages[name] for name in ("c3", "c4", "c5")}
    strides = {"c3": 8, "c4": 16, "c5": 16}
    return Backbone(image, maps, strides, layers.PIXEL_MEAN, layers.PIXEL_STD, stages)


BACKBONES["small"] = small
