"""MobileNetV2 (arXiv 1801.04381, table 2), with torchvision's layer numbering and padding."""

from lhrcnn.keras import keras
from lhrcnn.models.backbones import layers
from lhrcnn.models.parts import Backbone

STAGES = (  # expansion, channels, units, stride, kernel size
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)
MAP_AFTER = {1: "c2", 2: "c3", 4: "c4", 6: "c5"}  # index of the stage that ends each map
LAST_STRIDED = 5  # index of the stage that keeps the resolution at an out_stride of 16


def mobilenet_v2(config):
    """The Backbone of {"c2", "c3", "c4", "c5"} of a BackboneConfig, see `inverted_residuals`."""
    return inverted_residuals(config, STAGES, config.width, layers.PIXEL_MEAN, layers.PIXEL_STD)


def inverted_residuals(config, stages, width, pixel_mean, pixel_std):
    """The Backbone of {"c2", "c3", "c4", "c5"}, of strides 4, 8, 16 and config.out_stride, of
    seven stages as in `STAGES`, whose channels are multiplied by `width`.

    At 16 the last strided stage keeps the resolution, and behind its first unit has
    config.dilation. `config` is a BackboneConfig; with config.top_conv c5 is the last 1x1
    convolution's: 1280 channels, at a width above 1 more."""
    image, x = layers.image(config)
    channels = layers.scaled(32, config.width, 8)
    x = layers.conv(x, channels, 3, "block0", config, strides=2, activation="relu6")
    maps, ends, index = {}, {"block0": x}, 0
    for stage, (expansion, channels, units, stride, size) in enumerate(stages):
        channels = layers.scaled(channels, width, 8)
        keeps = config.out_stride == 16 and stage >= LAST_STRIDED
        for unit in range(units):
            index += 1
            strides = stride if unit == 0 else 1
            # Behind the unit that would have the stride.
            dilation = config.dilation if keeps and strides == 1 else 1
            strides = 1 if keeps else strides
            name, expanded = f"block{index}", expansion * x.shape[-1]
            x = inverted_residual(x, expanded, channels, strides, dilation, name, config, size)
            ends[name] = x
        if stage in MAP_AFTER:
            maps[MAP_AFTER[stage]] = x
    if config.top_conv:
        channels = layers.scaled(1280, max(1.0, config.width), 8)
        maps["c5"] = layers.conv(x, channels, 1, f"block{index + 1}", config, activation="relu6")
    ends[f"block{index + 1}"] = maps["c5"]
    strides = {"c2": 4, "c3": 8, "c4": 16, "c5": config.out_stride}
    return Backbone(image, maps, strides, pixel_mean, pixel_std, ends)


def inverted_residual(
    x, expanded, channels, stride, dilation, name, config, size, activation="relu6", middle=None
):
    """A unit of x [B, h, w, C]: 1x1 to `expanded`, depthwise size x size, what `middle` makes of
    that, 1x1 to `channels`.

    The input is added where the output has its shape."""
    y, options = x, {"strides": stride, "dilation": dilation, "activation": activation}
    if expanded != x.shape[-1]:
        y = layers.conv(y, expanded, 1, f"{name}_expand", config, activation=activation)
    y = layers.depthwise(y, size, f"{name}_depthwise", config, **options)
    y = middle(y) if middle else y
    y = layers.conv(y, channels, 1, f"{name}_project", config, activation=None)
    if stride == 1 and x.shape[-1] == channels:
        y = keras.layers.Add(name=f"{name}_add")([x, y])
    return y
