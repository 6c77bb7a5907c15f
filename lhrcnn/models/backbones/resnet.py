"""ResNet (arXiv 1512.03385, table 1) and ResNeXt (1611.05431) with 50 or 101 layers."""

import dataclasses

from lhrcnn.keras import keras
from lhrcnn.models.backbones import layers
from lhrcnn.models.parts import Backbone

LEVELS = ("c2", "c3", "c4", "c5")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Units of each stage, groups of the 3x3 convolutions, and a group's channels in stage c2."""

    units: tuple
    groups: int = 1
    group_channels: int = 64


ARCHITECTURES = {
    "resnet50": Architecture((3, 4, 6, 3)),
    "resnet101": Architecture((3, 4, 23, 3)),
    "resnext101_32x4d": Architecture((3, 4, 23, 3), 32, 4),
    "resnext101_64x4d": Architecture((3, 4, 23, 3), 64, 4),
    "resnext101_32x8d": Architecture((3, 4, 23, 3), 32, 8),
}


def resnet(config):
    """The Backbone of {"c2", "c3", "c4", "c5"}, of strides 4, 8, 16 and config.out_stride.

    c5 at stride 16 has config.dilation in all its units. `config` is a BackboneConfig; with
    last_level c4 there is no c5, see `stage5`."""
    image, x = layers.image(config)
    x = layers.conv(x, layers.scaled(64, config.width), 7, "stem", config, strides=2)
    if config.stem_pool == "same":
        pool = keras.layers.MaxPool2D(3, 2, "same", name="stem_pool")
    else:
        pool = layers.MaxPool(name="stem_pool")
    maps, stages, strides = {}, {"stem": x}, {"c2": 4, "c3": 8, "c4": 16, "c5": config.out_stride}
    levels = LEVELS[: LEVELS.index(config.last_level) + 1]
    x = pool(x)
    for level in levels:
        dilated = level == "c5" and config.out_stride == 16
        stride = 1 if level == "c2" or dilated else 2
        maps[level] = x = _stage(x, level, config, stride, config.dilation if dilated else 1)
    strides = {level: strides[level] for level in levels}
    pixels = layers.PIXEL_MEAN, layers.PIXEL_STD
    return Backbone(image, maps, strides, *pixels, {**stages, **maps})


def stage5(config):
    """The last stage as a model, for boxes pooled from c4: [N, 14, 14, C] -> [N, 7, 7, 2 C]."""
    pooled = keras.Input([None, None, layers.scaled(1024, config.width)], name="pooled")
    return keras.Model(pooled, _stage(pooled, "c5", config, strides=2), name="stage5")


def _stage(x, level, config, strides, dilation=1):
    architecture, index = ARCHITECTURES[config.name], LEVELS.index(level)
    for unit in range(architecture.units[index]):
        name, stride = f"{level}_{unit + 1}", strides if unit == 0 else 1
        x = _unit(x, index, architecture, config, name, stride, dilation, widens=unit == 0)
    return x


def _unit(x, stage, architecture, config, name, strides, dilation, widens):
    """A bottleneck: 1x1 to the inner channels, 3x3 in groups, 1x1 to the stage's channels.

    The input, projected if it widens, is added."""
    groups = architecture.groups
    inner = layers.scaled(
        groups * architecture.group_channels * 2**stage, config.width, multiple=groups
    )
    channels = layers.scaled(256 * 2**stage, config.width)
    first, second = (strides, 1) if config.style == "caffe" else (1, strides)
    y = layers.conv(x, inner, 1, f"{name}_reduce", config, strides=first)
    y = layers.conv(
        y, inner, 3, f"{name}_conv", config, strides=second, dilation=dilation, groups=groups
    )
    y = layers.conv(y, channels, 1, f"{name}_expand", config, activation=None)
    if widens:
        x = layers.conv(
            x, channels, 1, f"{name}_shortcut", config, strides=strides, activation=None
        )
    y = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_relu")(y)
