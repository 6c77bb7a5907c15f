"""Xception*, the small backbone of Light-Head R-CNN (arXiv 1711.07264, table 7).

The table gives widths, strides and repeats but leaves the unit open. Here a unit is 1x1 (a quarter
of its output) -> depthwise 3x3 -> 1x1, with its input added; a unit of stride 2 concatenates the
average-pooled input instead. That is the reading whose cost, 143 million multiply-adds at 224 x 224
with the classifier, meets the table's 145.
"""

from lhrcnn.keras import keras
from lhrcnn.models.backbones import layers
from lhrcnn.models.parts import Backbone

STEM_CHANNELS = 24
STAGES = (("c3", 144, 4), ("c4", 288, 8), ("c5", 576, 4))  # name, channels, units


def xception(config):
    """The Backbone of {"c3", "c4", "c5"}, of strides 8, 16 and config.out_stride.

    `config` is a BackboneConfig; there is no dilation, as in the paper's small model."""
    image, x = layers.image(config)
    x = layers.conv(x, layers.scaled(STEM_CHANNELS, config.width), 3, "stem", config, strides=2)
    maps, stages = {}, {"stem": x}
    x = layers.MaxPool(name="stem_pool")(x)
    for name, channels, units in STAGES:
        stride = 1 if name == "c5" and config.out_stride == 16 else 2
        for index in range(units):
            width, own = layers.scaled(channels, config.width), stride if index == 0 else 1
            x = _unit(x, width, own, f"{name}_{index + 1}", config)
        maps[name] = x
    strides = {"c3": 8, "c4": 16, "c5": config.out_stride}
    return Backbone(image, maps, strides, layers.PIXEL_MEAN, layers.PIXEL_STD, {**stages, **maps})


def _unit(x, channels, stride, name, config):
    """One unit; the shortcut is concatenated (pooled with stride 2) where the width changes, else
    added."""
    widens = x.shape[-1] != channels
    new = channels - x.shape[-1] if widens else channels
    y = layers.conv(x, layers.scaled(channels, 0.25), 1, f"{name}_reduce", config)
    y = layers.depthwise(y, 3, f"{name}_depthwise", config, strides=stride, activation=None)
    y = layers.conv(y, new, 1, f"{name}_expand", config, activation=None)
    if widens:
        if stride > 1:
            x = keras.layers.AveragePooling2D(3, stride, name=f"{name}_pool")(
                keras.layers.ZeroPadding2D(1, name=f"{name}_pool_pad")(x)
            )
        y = keras.layers.Concatenate(name=f"{name}_concat")([x, y])
    else:
        y = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_relu")(y)
