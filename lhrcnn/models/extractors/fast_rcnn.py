"""RoI features of the Faster R-CNN family: pooled boxes through fully connected layers, or through
a ResNet's last stage.

Shape letters: B images, N boxes, P bins per side (config.pool_size), C channels, F features.
"""

import tensorflow as tf

from lhrcnn.choices import resolve
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.backbones import LAST_STAGES
from lhrcnn.models.backbones.layers import ConvNorm, initializer
from lhrcnn.models.dense import Dense
from lhrcnn.models.parts import shared_maps
from lhrcnn.ops.roi_align import roi_align
from lhrcnn.ops.roi_levels import pool_levels
from lhrcnn.ops.roi_pool import roi_pool


class SkipPooling(keras.layers.Layer):
    """RoI features of several maps as one: L2-normalised over the channels, scaled by learned
    factors, concatenated, and reduced by a 1x1 convolution.

    Inside-Outside Net, arXiv 1512.04143, section 3.1; the scales of ParseNet, arXiv 1506.04579,
    section 3.3."""

    def __init__(self, channels, init_std):
        super().__init__(name="skip")
        self.channels, self.initializer = channels, initializer(init_std)

    def build(self, shapes):
        sizes = [shape[-1] for shape in shapes]
        self.scales = [
            self.add_weight(f"scale{index}", [size], initializer=keras.initializers.Constant(20.0))
            for index, size in enumerate(sizes)
        ]
        self.kernel = self.add_weight(
            "kernel", [sum(sizes), self.channels], initializer=self.initializer
        )
        self.bias = self.add_weight("bias", [self.channels], initializer="zeros")

    def call(self, pooled):
        """[n, P, P, channels] of a list of [n, P, P, C]."""
        kernels = tf.split(self.kernel, [scale.shape[0] for scale in self.scales])
        # The norm, one number per bin, divides what the convolution makes of a map: as good as
        # dividing the map, and the outputs are fewer.
        reduced = [
            _normalised(tf.tensordot(x, kernel * scale[:, None], 1), x)
            for x, kernel, scale in zip(pooled, kernels, self.scales)
        ]
        return tf.nn.relu(tf.add_n(reduced) + self.bias)


def _normalised(reduced, x):
    """`reduced` over the L2 norm of x along the channels."""
    dtype, least = x.dtype, 1e-12
    if dtype == tf.float16:  # whose squares end at 65504, as gradients of what is divided do
        reduced, x, least = tf.cast(reduced, tf.float32), tf.cast(x, tf.float32), 1e-4
    norm = tf.math.rsqrt(tf.maximum(tf.reduce_sum(x * x, -1, keepdims=True), least))
    return tf.cast(reduced * norm, dtype)


class RoIPooling(keras.layers.Layer):
    """What the extractors and LocNet share: boxes pooled from the maps of their levels, or from
    all maps."""

    option = "model.head.levels"

    def __init__(self, config, strides, name):
        """`config` is a HeadConfig; `strides` maps level names to px."""
        super().__init__(name=name)
        self.config = config
        self.scales = {level: 1.0 / strides[level] for level in config.levels}
        self.skip = (
            SkipPooling(config.skip_channels, config.init_std) if config.skip_channels else None
        )

    def prepare(self, maps, training=False):
        """The maps {level: [B, h, w, C]} it reads of all the backbone's."""
        if self.skip:
            return {level: maps[level] for level in self.scales}
        return shared_maps(maps, self.scales, self.option)

    def pool(self, maps, boxes):
        """RoI features [B * N, P, P, C] of boxes [B, N, 4] px."""
        config = self.config

        def op(features, boxes, spatial_scale):
            shared = dict(
                size=config.pool_size, spatial_scale=spatial_scale, implementation=config.roi_impl
            )
            if config.roi_op == "pool":
                return roi_pool(features, boxes, **shared)
            return roi_align(
                features,
                boxes,
                sampling_ratio=config.sampling_ratio,
                aligned=config.aligned,
                **shared,
            )

        def flat(pooled):
            return tf.reshape(pooled, tf.concat([[-1], tf.shape(pooled)[2:]], 0))

        leveled = {level: (maps[level], scale) for level, scale in self.scales.items()}
        if self.skip:
            return self.skip(
                [flat(op(features, boxes, scale)) for features, scale in leveled.values()]
            )
        return flat(pool_levels(op, leveled, boxes, config.finest_scale))


class FCExtractor(RoIPooling):
    """Fully connected layers with ReLU: VGG16's fc6 and fc7 (arXiv 1506.01497), or the two of a
    feature pyramid (arXiv 1612.03144); before them convolutions (arXiv 2111.11429)."""

    def __init__(self, model, strides):
        """`model` is a ModelConfig; `strides` maps level names to px."""
        config = model.head
        super().__init__(config, strides, "fc_extractor")
        self.convs = [
            ConvNorm(model.backbone, config.conv_channels, 3, f"conv{index + 1}")
            for index in range(config.conv_layers)
        ]
        self.fcs = [
            Dense(
                config.fc_channels,
                "relu",
                kernel_initializer=initializer(config.init_std),
                name=f"fc{index + 1}",
            )
            for index in range(config.fc_layers)
        ]

    def call(self, maps, boxes, training=False):
        """Features [B, N, config.fc_channels] of boxes [B, N, 4] px; bins enter row by row,
        channels last."""
        x = self.pool(maps, boxes)
        for conv in self.convs:
            x = tf.nn.relu(conv(x, training=training))
        x = tf.reshape(x, [tf.shape(x)[0], x.shape[1] * x.shape[2] * x.shape[3]])
        for fc in self.fcs:
            x = fc(x)
        return tf.reshape(x, [*tf.unstack(tf.shape(boxes)[:2]), self.config.fc_channels])


class Stage5Extractor(RoIPooling):
    """The backbone's last stage on each box, averaged (arXiv 1512.03385, appendix A)."""

    def __init__(self, model, strides):
        """`model` is a ModelConfig; `strides` maps level names to px."""
        super().__init__(model.head, strides, "stage5_extractor")
        name = model.backbone.name
        if name not in LAST_STAGES:
            raise ConfigError(
                f"'model.head.kind' stage5: the last stage of '{name}' cannot run in the head; "
                f"allowed: {', '.join(LAST_STAGES)}"
            )
        self.stage5 = resolve(LAST_STAGES[name])(model.backbone)

    def call(self, maps, boxes, training=False):
        """Features [B, N, F] of boxes [B, N, 4] px."""
        x = self.stage5(self.pool(maps, boxes), training=training)
        # In 32 bits: on CPUs TensorFlow would add in 16, too.
        x = tf.reduce_mean(tf.cast(x, tf.float32), [1, 2])
        return tf.reshape(x, [*tf.unstack(tf.shape(boxes)[:2]), x.shape[-1]])
