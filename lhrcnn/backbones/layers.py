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


class ConvNorm(tf.keras.layers.Layer):
    """A convolution without bias and its batch norm: [B, h, w, C] -> [B, h', w', D], one convolution with a bias wherever the statistics
    are fixed. The variables are those of the two layers, under their names."""

    def __init__(self, convolution, norm, learns_statistics):
        """`convolution` is a Conv2D or DepthwiseConv2D, `norm` a BatchNormalization; `learns_statistics`: training uses the batch's."""
        super().__init__(name=convolution.name)
        self.convolution, self.norm, self.learns_statistics = convolution, norm, learns_statistics

    def build(self, input_shape):
        self.convolution.build(input_shape)
        with tf.name_scope(f"{self.norm.name}/"):
            self.norm.build(self.convolution.compute_output_shape(input_shape))
        super().build(input_shape)

    def call(self, x, training=False):
        if training and self.learns_statistics and self.norm.trainable:
            return self.norm(self.convolution(x), training=True)
        norm, depthwise = self.norm, isinstance(self.convolution, tf.keras.layers.DepthwiseConv2D)
        factor = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        bias = tf.cast(norm.beta - norm.moving_mean * factor, self.compute_dtype)
        if depthwise:
            kernel = self.convolution.depthwise_kernel * tf.cast(factor[:, None], self.compute_dtype)
            x = tf.nn.depthwise_conv2d(x, kernel, (1, *self.convolution.strides, 1), self.convolution.padding.upper())
        else:
            x = self.convolution.convolution_op(x, self.convolution.kernel * tf.cast(factor, self.compute_dtype))
        return tf.nn.bias_add(x, bias)


def batch_norm(config, epsilon=1e-5):
    """A function convolution -> `ConvNorm` with batch norm frozen or learned as the BackboneConfig says."""
    def norm(convolution):
        layer = tf.keras.layers.BatchNormalization(momentum=config.batch_norm_momentum, epsilon=epsilon, name=f"{convolution.name}_norm",
                                                   trainable=config.batch_norm != "frozen")
        return ConvNorm(convolution, layer, learns_statistics=config.batch_norm == "train")
    return norm


def conv(x, channels, size, name, norm, strides=1, activation="relu", dilation=1, groups=1):
    """Convolution without bias, normalisation and activation; padding is symmetric, see `pad`."""
    padding = "same" if strides == 1 else "valid"
    x = pad(x, size, name) if strides > 1 else x
    kind = GroupedConv2D if groups > 1 else tf.keras.layers.Conv2D
    x = norm(kind(channels, size, strides, padding, dilation_rate=dilation, groups=groups, use_bias=False, kernel_initializer="he_normal",
                  name=name))(x)
    return _activated(x, name, activation)


def depthwise(x, size, name, norm, strides=1, activation="relu"):
    """Depthwise convolution without bias, normalisation and activation, padded like `conv`."""
    padding = "same" if strides == 1 else "valid"
    x = pad(x, size, name) if strides > 1 else x
    x = norm(tf.keras.layers.DepthwiseConv2D(size, strides, padding, use_bias=False, depthwise_initializer="he_normal", name=name))(x)
    return _activated(x, name, activation)


def scaled(channels, factor, multiple=1):
    """`channels` times `factor`, rounded to a multiple, at least one multiple."""
    return max(multiple, int(channels * factor / multiple + 0.5) * multiple)


def pad(x, size, name):
    """Zeros around x [B, h, w, C], as many on each side as keep a `size` wide window centred: sums of strides then do not drift."""
    return tf.keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x) if size > 1 else x


def _activated(x, name, activation):
    if activation is None:
        return x
    return tf.keras.layers.ReLU(6.0 if activation == "relu6" else None, name=f"{name}_{activation}")(x)
