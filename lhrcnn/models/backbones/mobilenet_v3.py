"""MobileNetV3-Large (arXiv 1905.02244, table 1), with torchvision's layer numbering and padding."""

import functools

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.backbones import layers
from lhrcnn.models.backbones.mobilenet import inverted_residual
from lhrcnn.models.parts import Backbone

BLOCKS = (  # kernel size, expanded channels, channels, squeeze-and-excite, activation, stride
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
# Index of the block that ends each map; c5_1 is what torchvision's pyramid reads beside c5.
MAP_AFTER = {3: "c2", 6: "c3", 12: "c4", 13: "c5_1", 15: "c5"}
LAST_STRIDED = 13  # the block that keeps the resolution at an out_stride of 16


def mobilenet_v3_large(config):
    """The Backbone of {"c2", "c3", "c4", "c5_1", "c5"}, of strides 4, 8, 16 and config.out_stride;
    c5_1 is the first unit of the stage that c5 ends.

    At 16 the last stage keeps the resolution, and behind its first unit has config.dilation.
    `config` is a BackboneConfig; with config.top_conv c5 is the last 1x1 convolution's, 960
    channels wide."""
    image, x = layers.image(config)
    x = layers.conv(x, _scaled(16, config), 3, "block0", config, strides=2, activation="hard_swish")
    maps, stages = {}, {"block0": x}
    for index, (size, expanded, channels, squeezes, activation, stride) in enumerate(BLOCKS, 1):
        keeps = config.out_stride == 16 and index >= LAST_STRIDED
        strides, dilation = 1 if keeps else stride, config.dilation if keeps and stride == 1 else 1
        name, expanded = f"block{index}", _scaled(expanded, config)
        squeezed = _divisible(expanded // 4)
        middle = functools.partial(_squeeze_and_excite, channels=squeezed, name=name)
        options = strides, dilation, name, config, size, activation, middle if squeezes else None
        x = inverted_residual(x, expanded, _scaled(channels, config), *options)
        stages[name] = x
        if index in MAP_AFTER:
            maps[MAP_AFTER[index]] = x
    if config.top_conv:
        channels = 6 * _scaled(160, config)
        x = layers.conv(x, channels, 1, "block16", config, activation="hard_swish")
        maps["c5"] = stages["block16"] = x
    last = config.out_stride
    strides = {"c2": 4, "c3": 8, "c4": 16, "c5_1": last, "c5": last}
    return Backbone(image, maps, strides, layers.PIXEL_MEAN, layers.PIXEL_STD, stages)


def _squeeze_and_excite(x, channels, name):
    """x [B, h, w, C] times a factor 0...1 for each image and channel, from the means of the map
    (arXiv 1709.01507, with a piecewise linear sigmoid)."""
    # In 32 bits: on CPUs the sum of a map in 16 bits stays where a cell no longer adds to it.
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean", dtype="float32")(x)
    y = _OfOneCell(channels, 1, activation="relu", name=f"{name}_squeeze")(y)
    y = _OfOneCell(x.shape[-1], 1, activation=layers.hard_sigmoid, name=f"{name}_excite")(y)
    return keras.layers.Multiply(name=f"{name}_scale")([x, y])


class _OfOneCell(keras.layers.Conv2D):
    """A 1x1 convolution of maps of one cell [B, 1, 1, C], as a matrix product: on CPUs a
    convolution first lays its kernel out anew, which takes longer than the product."""

    def convolution_op(self, inputs, kernel):
        return tf.matmul(inputs[:, 0, 0], kernel[0, 0])[:, None, None]


def _scaled(channels, config):
    return _divisible(channels * config.width)


def _divisible(channels):
    """The nearest multiple of 8, or the next where that is less than 90 % of `channels`."""
    nearest = layers.scaled(channels, 1, 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
