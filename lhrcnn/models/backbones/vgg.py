"""VGG16 (arXiv 1409.1556, table 1, column D) up to its last convolution."""

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.backbones import layers
from lhrcnn.models.parts import Backbone

PIXEL_MEAN = (123.68, 116.779, 103.939)  # RGB, 0-255; the authors' own
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
MAP_AFTER = {3: "c3", 4: "c4", 5: "c5"}  # index of the block that ends each map


def vgg16(config):
    """The Backbone of {"c3", "c4", "c5"}, the outputs of conv3_3, conv4_3 and conv5_3, of strides
    4, 8 and 16.

    `config` is a BackboneConfig. Odd maps are pooled to the smaller half as in torchvision and
    Keras (the authors' Caffe takes the larger); images of a side below 16 px are padded, so that
    any has a map."""
    image, x = layers.image(config)
    x = AtLeast(16, name="pad")(x)
    maps, stages = {}, {}
    for block, (channels, convolutions) in enumerate(BLOCKS, 1):
        if block > 1:
            x = keras.layers.MaxPool2D(2, 2, name=f"pool{block - 1}")(x)
        for index in range(convolutions):
            x = keras.layers.Conv2D(
                layers.scaled(channels, config.width),
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                name=f"conv{block}_{index + 1}",
            )(x)
        stages[f"conv{block}"] = x
        if block in MAP_AFTER:
            maps[MAP_AFTER[block]] = x
    strides = {"c3": 4, "c4": 8, "c5": 16}
    return Backbone(image, maps, strides, PIXEL_MEAN, (1.0, 1.0, 1.0), stages)


class AtLeast(keras.layers.Layer):
    """Images [B, H, W, 3] with zeros below and to the right where a side is below `side_px`."""

    def __init__(self, side_px, name):
        super().__init__(name=name)
        self.side_px = side_px

    def call(self, image):
        missing = tf.maximum(self.side_px - tf.shape(image)[1:3], 0)
        return tf.ensure_shape(
            tf.pad(image, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]]), [None, None, None, 3]
        )
