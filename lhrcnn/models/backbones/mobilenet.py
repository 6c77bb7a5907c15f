"""MobileNetV2 (arXiv 1801.04381, table 2), with torchvision's layer numbering and padding."""

from lhrcnn.keras import keras
from lhrcnn.models.backbones import layers
from lhrcnn.models.parts import Backbone

BLOCKS = (  # expansion, channels, repeats, stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
MAP_AFTER = {3: "c2", 6: "c3", 13: "c4", 17: "c5"}  # index of the block that ends each map


def mobilenet_v2(config):
    """The Backbone of {"c2", "c3", "c4", "c5"}, of strides 4, 8, 16 and config.out_stride.

    At 16 the last stage keeps the resolution, and behind its first unit has config.dilation.
    `config` is a BackboneConfig; with config.top_conv c5 is the last 1x1 convolution's, 1280
    channels wide or, at a width above 1, more."""
    image, x = layers.image(config)
    x = layers.conv(x, _channels(32, config), 3, "block0", config, strides=2, activation="relu6")
    maps, stages, index = {}, {"block0": x}, 0
    for expansion, channels, repeats, stride in BLOCKS:
        for repeat in range(repeats):
            index += 1
            own_stride = stride if repeat == 0 else 1
            keeps = channels >= 160 and config.out_stride == 16
            # Behind the unit that would have the stride.
            dilation = config.dilation if keeps and own_stride == 1 else 1
            x = inverted_residual(
                x,
                _channels(channels, config),
                expansion,
                1 if keeps else own_stride,
                dilation,
                f"block{index}",
                config,
            )
            stages[f"block{index}"] = x
            if index in MAP_AFTER:
                maps[MAP_AFTER[index]] = x
    if config.top_conv:
        channels = layers.scaled(1280, max(1.0, config.width), multiple=8)
        maps["c5"] = layers.conv(x, channels, 1, f"block{index + 1}", config, activation="relu6")
    return Backbone(
        image,
        maps,
        {"c2": 4, "c3": 8, "c4": 16, "c5": config.out_stride},
        layers.PIXEL_MEAN,
        layers.PIXEL_STD,
        {**stages, "block18": maps["c5"]},
    )


def _channels(channels, config):
    return layers.scaled(channels, config.width, multiple=8)


def inverted_residual(x, channels, expansion, stride, dilation, name, config, size=3):
    """A unit of x [B, h, w, C]: 1x1 to expansion * C, depthwise size x size, 1x1 to `channels`.

    The input is added where the output has its shape."""
    y = x
    if expansion > 1:
        y = layers.conv(y, expansion * x.shape[-1], 1, f"{name}_expand", config, activation="relu6")
    y = layers.depthwise(
        y, size, f"{name}_depthwise", config, strides=stride, dilation=dilation, activation="relu6"
    )
    y = layers.conv(y, channels, 1, f"{name}_project", config, activation=None)
    if stride == 1 and x.shape[-1] == channels:
        y = keras.layers.Add(name=f"{name}_add")([x, y])
    return y
