"""EfficientNet-Lite 0, 1 and 2 as detection backbones.

EfficientNet (arXiv 1905.11946, table 1) without squeeze-and-excitation and with ReLU6; all sizes
have the same first convolution, and one unit each in the first and in the last stage.

Strided convolutions pad both sides, as everywhere here. The original pads as TensorFlow's SAME:
alike on sides of 2^n + 1 px; on others its maps are those of a shifted image, but for the border.
"""

import dataclasses

from lhrcnn.models.backbones import layers
from lhrcnn.models.backbones.mobilenet import inverted_residual
from lhrcnn.models.parts import Backbone

STAGES = (  # expansion, channels, stride, kernel size
    (1, 16, 1, 3),
    (6, 24, 2, 3),
    (6, 40, 2, 5),
    (6, 80, 2, 3),
    (6, 112, 1, 5),
    (6, 192, 2, 5),
    (6, 320, 1, 3),
)
MAP_AFTER = {1: "c2", 2: "c3", 4: "c4", 6: "c5"}  # index of the stage that ends each map
LAST_STRIDED = 5  # index of the stage that keeps the resolution at an out_stride of 16
PIXEL_MEAN, PIXEL_STD = (127.0,) * 3, (128.0,) * 3


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What distinguishes the sizes: a factor on the channels, and the units of each stage."""

    width: float
    repeats: tuple


ARCHITECTURES = {
    "efficientnet_lite0": Architecture(1.0, (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_lite1": Architecture(1.0, (1, 3, 3, 4, 4, 5, 1)),
    "efficientnet_lite2": Architecture(1.1, (1, 3, 3, 4, 4, 5, 1)),
}


def efficientnet_lite(config):
    """The Backbone of {"c2", "c3", "c4", "c5"}, of strides 4, 8, 16 and config.out_stride.

    At 16 the last strided stage keeps the resolution, and behind its first unit has
    config.dilation. `config` is a BackboneConfig; with config.top_conv c5 is the last 1x1
    convolution's: 1280 channels, at a width above 1 more."""
    architecture = ARCHITECTURES[config.name]
    image, x = layers.image(config)
    x = layers.conv(
        x, layers.scaled(32, config.width, 8), 3, "block0", config, strides=2, activation="relu6"
    )
    maps, stages, index = {}, {"block0": x}, 0
    for stage, (expansion, channels, stride, size) in enumerate(STAGES):
        channels = layers.scaled(channels, architecture.width * config.width, 8)
        keeps = config.out_stride == 16 and stage >= LAST_STRIDED
        for unit in range(architecture.repeats[stage]):
            index += 1
            strides = stride if unit == 0 else 1
            dilation = config.dilation if keeps and strides == 1 else 1
            strides = 1 if keeps else strides
            name = f"block{index}"
            x = inverted_residual(x, channels, expansion, strides, dilation, name, config, size)
            stages[name] = x
        if stage in MAP_AFTER:
            maps[MAP_AFTER[stage]] = x
    if config.top_conv:
        channels = layers.scaled(1280, max(1.0, config.width), 8)
        maps["c5"] = layers.conv(x, channels, 1, f"block{index + 1}", config, activation="relu6")
    return Backbone(
        image,
        maps,
        {"c2": 4, "c3": 8, "c4": 16, "c5": config.out_stride},
        PIXEL_MEAN,
        PIXEL_STD,
        {**stages, f"block{index + 1}": maps["c5"]},
    )
