"""What the backbones are made of: convolution, normalisation and activation under one name."""
import dataclasses
import typing

import tensorflow as tf

from lhrcnn.backbones.grouped_convolution import GroupedConv2D

PIXEL_MEAN = (123.675, 116.28, 103.53)  # of ImageNet, RGB, 0-255: torchvision's and most others' normalisation
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclasses.dataclass
class Backbone:
    """A feature extractor: `model` takes pictures, normalised by pixel_mean and pixel_std, and returns a dict of maps."""
    image: dataclasses.InitVar[typing.Any]
    maps: dataclasses.InitVar[dict]
    strides: typing.Dict[str, int]       # px of each map's cells
    pixel_mean: typing.Tuple[float, ...]  # RGB, 0-255
    pixel_std: typing.Tuple[float, ...]
    stages: typing.Tuple[str, ...]       # prefixes of layer names, in order: what frozen_stages counts

    def __post_init__(self, image, maps):
        self.model = tf.keras.Model(image, maps, name="backbone")

    def freeze(self, num_stages):
        """Excludes the layers of the first `num_stages` stages from training."""
        frozen = self.stages[:num_stages]
        for layer in self.model.layers:
            if layer.name.split("_")[0] in frozen:
                layer.trainable = False


def batch_norm(config, epsilon=1e-5):
    """A function name -> batch normalisation layer, frozen or learned as the BackboneConfig says."""
    trainable = config.batch_norm == "train"  # Keras uses the stored statistics of a layer that is not trainable
    return lambda name: tf.keras.layers.BatchNormalization(
        momentum=config.batch_norm_momentum, epsilon=epsilon, trainable=trainable, name=name)


def conv(x, channels, size, name, norm, strides=1, activation="relu", dilation=1, groups=1):
    """Convolution without bias, normalisation and activation; padding is symmetric, see `pad`."""
    padding = "same" if strides == 1 else "valid"
    x = pad(x, size, name) if strides > 1 else x
    kind = GroupedConv2D if groups > 1 else tf.keras.layers.Conv2D
    x = kind(channels, size, strides, padding, dilation_rate=dilation, groups=groups, use_bias=False, kernel_initializer="he_normal",
             name=name)(x)
    return _finish(x, name, norm, activation)


def depthwise(x, size, name, norm, strides=1, activation="relu"):
    """Depthwise convolution without bias, normalisation and activation, padded like `conv`."""
    padding = "same" if strides == 1 else "valid"
    x = pad(x, size, name) if strides > 1 else x
    x = tf.keras.layers.DepthwiseConv2D(size, strides, padding, use_bias=False, depthwise_initializer="he_normal", name=name)(x)
    return _finish(x, name, norm, activation)


def scaled(channels, factor, multiple=1):
    """`channels` times `factor`, rounded to a multiple, at least one multiple."""
    return max(multiple, int(channels * factor / multiple + 0.5) * multiple)


def pad(x, size, name):
    """Zeros around x [B, h, w, C], as many on each side as keep a `size` wide window centred: sums of strides then do not drift."""
    return tf.keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x) if size > 1 else x


def _finish(x, name, norm, activation):
    x = norm(f"{name}_norm")(x)
    if activation is None:
        return x
    return tf.keras.layers.ReLU(6.0 if activation == "relu6" else None, name=f"{name}_{activation}")(x)
