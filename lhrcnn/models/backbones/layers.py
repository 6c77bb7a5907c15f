"""What the backbones are made of: convolution, normalisation and activation under one name."""

import functools

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.backbones.depthwise_convolution import depthwise_convolution
from lhrcnn.models.backbones.grouped_convolution import grouped_convolution
from lhrcnn.models.names import joined, variables_of
from lhrcnn.ops.portable import traced_for

# Of ImageNet, RGB, 0-255: torchvision's and most others' normalisation.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


class ConvNorm(keras.layers.Layer):
    """A convolution and its batch norm: [B, h, w, C] -> [B, h / strides, w / strides, D].

    Wherever the statistics are fixed it is one convolution with a bias. Zeros around the map keep
    the window centred, as many on each side: sums of strides then do not drift."""

    def __init__(self, config, channels, size, name, strides=1, dilation=1, groups=1, epsilon=1e-5):
        """`config` is a BackboneConfig; `channels` is D, or None: depthwise, which keeps C."""
        super().__init__(name=name)
        self.channels, self.size, self.groups = channels, size, groups
        self.strides, self.dilation = strides, dilation
        self.learns_statistics, self.folded = config.batch_norm == "train", False
        self.norm = keras.layers.BatchNormalization(
            momentum=config.batch_norm_momentum,
            epsilon=epsilon,
            name=f"{name}_norm",
            trainable=config.batch_norm != "frozen",
        )

    def build(self, input_shape):
        depthwise, inputs = self.channels is None, input_shape[-1]
        ends = (inputs, 1) if depthwise else (inputs // self.groups, self.channels)
        shape = [self.size, self.size, *ends]
        self.kernel = self.add_weight(
            "depthwise_kernel" if depthwise else "kernel",
            shape,
            initializer="he_normal",
            experimental_autocast=False,
        )
        with tf.name_scope(f"{self.norm.name}/"):
            self.norm.build([None, None, None, inputs if depthwise else self.channels])
        super().build(input_shape)

    def variables_under(self, prefix):
        """As names.variables_of: the batch norm's stand beside the kernel, not below it."""
        own = {f"{prefix}/{'kernel' if self.channels else 'depthwise_kernel'}": self.kernel}
        return joined(own, variables_of(self.norm, f"{prefix}_norm"))

    def call(self, x, training=False):
        if training and self.learns_statistics and self.norm.trainable:
            return self.norm(self.convolution_op(x, self.kernel), training=True)
        if self.folded:
            kernel, bias = self.kernel, self.norm.beta
        else:
            # Else a graph begins with the products of all layers, and holds them until they are
            # used. A number of x stands for x: TensorFlow fuses no activation that another node
            # waits for.
            with tf.control_dependencies([x[:1, :1, :1, :1]]):
                kernel, bias = self._with_norm()
        return tf.nn.bias_add(self.convolution_op(x, kernel), tf.cast(bias, self.compute_dtype))

    def fold(self):
        """Takes the batch norm into the kernel and a bias, once and for good: for inference."""
        if self.folded:
            return
        kernel, bias = self._with_norm()
        self.kernel.assign(kernel)
        self.norm.beta.assign(bias)
        self.folded = True

    def _with_norm(self):
        """(kernel, bias) of convolution and batch norm with its fixed statistics."""
        norm = self.norm
        factor = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        kernel = self.kernel * (factor if self.channels else factor[:, None])
        return kernel, norm.beta - norm.moving_mean * factor

    def convolution_op(self, x, kernel):
        """The convolution alone, named as in Keras's Conv2D: constant_kernels.py replaces it."""
        kernel = tf.cast(kernel, self.compute_dtype)
        padding = "SAME"
        # On CPUs convolutions with a padding of their own have a slow gradient in 16 bits, and
        # depthwise ones abort.
        if self.strides > 1:
            padding, around = "VALID", [self.size // 2] * 2
            if self.size > 1:
                x = tf.pad(x, [[0, 0], around, around, [0, 0]])
        if self.channels is None:
            return depthwise_convolution(x, kernel, self.strides, padding, self.dilation)
        return grouped_convolution(x, kernel, self.groups, self.strides, padding, self.dilation)


class MaxPool(keras.layers.Layer):
    """Maxima of 3 x 3 cells with stride 2, [B, h, w, C] -> [B, h / 2, w / 2, C].

    The windows are centred like those of `ConvNorm`."""

    def call(self, x):
        around = [[0, 0], [1, 1], [1, 1], [0, 0]]
        if traced_for("litert"):  # which has no such padding
            return tf.nn.max_pool2d(tf.pad(x, around, constant_values=x.dtype.min), 3, 2, "VALID")
        return tf.nn.max_pool2d(x, 3, 2, around)


class HardSwish(keras.layers.Layer):
    """x times a piecewise linear sigmoid of x (MobileNetV3, arXiv 1905.02244, section 5.2)."""

    def call(self, x):
        return x * hard_sigmoid(x)


def hard_sigmoid(x):
    """0 up to -3, 1 from 3, and linear between."""
    return tf.nn.relu6(x + 3) * (1 / 6)


ACTIVATIONS = {
    "relu": keras.layers.ReLU,
    "relu6": functools.partial(keras.layers.ReLU, 6.0),
    "hard_swish": HardSwish,
}


def image(config):
    """(the input of a backbone, float32 images [B, H, W, 3], what its first layer takes: them with
    config.enlarge times the sides)."""
    image = keras.Input([None, None, 3], name="image")
    if config.enlarge == 1:
        return image, image
    return image, keras.layers.UpSampling2D(
        config.enlarge, interpolation="bilinear", name="enlarge"
    )(image)


def conv(x, channels, size, name, config, activation="relu", **options):
    """Convolution, batch norm and activation of x [B, h, w, C]; `options` as of `ConvNorm`."""
    x = ConvNorm(config, channels, size, name, **options)(x)
    if activation is None:
        return x
    return ACTIVATIONS[activation](name=f"{name}_{activation}")(x)


def depthwise(x, size, name, config, **options):
    """The same with a depthwise convolution."""
    return conv(x, None, size, name, config, **options)


def scaled(channels, factor, multiple=1):
    """`channels` times `factor`, rounded to a multiple, at least one multiple."""
    return max(multiple, int(channels * factor / multiple + 0.5) * multiple)


def initializer(std):
    """A new initializer of kernels: normal with this standard deviation, or He's where it is 0."""
    return keras.initializers.RandomNormal(stddev=std) if std else keras.initializers.HeNormal()
