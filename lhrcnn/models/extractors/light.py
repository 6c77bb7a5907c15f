"""The light head's features: a thin position-sensitive map, PSRoIAlign and one fully connected
layer (arXiv 1711.07264, section 3.2)."""

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.backbones.layers import initializer
from lhrcnn.models.dense import Dense
from lhrcnn.models.parts import shared_maps
from lhrcnn.ops.psroi_align import ps_roi_align
from lhrcnn.ops.roi_levels import pool_levels


class LargeSeparableConv(keras.layers.Layer):
    """(k x 1 then 1 x k) + (1 x k then k x 1), nothing in between, one ReLU after the sum
    (arXiv 1711.07264, figure 3)."""

    def __init__(self, kernel_size, mid_channels, channels, name, init_std=0.01, batch_norm=False):
        super().__init__(name=name)
        self.norm = keras.layers.BatchNormalization(name="norm") if batch_norm else None

        def conv(size, num, suffix):
            return keras.layers.Conv2D(
                num, size, padding="same", kernel_initializer=initializer(init_std), name=suffix
            )

        tall, wide = (kernel_size, 1), (1, kernel_size)
        self.branches = [
            [conv(tall, mid_channels, "tall_in"), conv(wide, channels, "wide_out")],
            [conv(wide, mid_channels, "wide_in"), conv(tall, channels, "tall_out")],
        ]

    def call(self, x, training=False):
        """[B, h, w, C] -> [B, h, w, channels]."""
        (tall_in, wide_out), (wide_in, tall_out) = self.branches
        x = wide_out(tall_in(x)) + tall_out(wide_in(x))
        return tf.nn.relu(self.norm(x, training=training) if self.norm else x)


class LightExtractor(keras.layers.Layer):
    """RoI features from thin maps; one large separable convolution serves all levels of a feature
    pyramid."""

    def __init__(self, model, strides):
        """`model` is a ModelConfig; `strides` maps level names to px."""
        super().__init__(name="light_extractor")
        self.config = config = model.head
        self.scales = {level: 1.0 / strides[level] for level in config.levels}
        sizes = config.kernel_size, config.mid_channels, config.pool_size**2 * config.thin_channels
        self.thin_map = LargeSeparableConv(*sizes, "thin_map", config.init_std, config.batch_norm)
        self.fc = Dense(
            config.fc_channels, kernel_initializer=initializer(config.init_std), name="fc"
        )
        self.fc_norm = (
            keras.layers.BatchNormalization(name="fc_norm") if config.batch_norm else None
        )

    def prepare(self, maps, training=False):
        """{level: thin map [B, h, w, P * P * C], bin-major} of {level: map}: computed once per
        image."""
        maps = shared_maps(maps, self.scales, "model.head.levels")
        return {level: self.thin_map(x, training=training) for level, x in maps.items()}

    def call(self, thin_maps, boxes, training=False):
        """Features [B, N, fc_channels] of boxes [B, N, 4] px on the thin maps."""
        pooled = pool_levels(
            lambda thin_map, boxes, scale: pool_bins(thin_map, boxes, scale, self.config),
            {level: (thin_maps[level], scale) for level, scale in self.scales.items()},
            boxes,
            self.config.finest_scale,
        )
        flat = self.config.pool_size**2 * self.config.thin_channels
        x = self.fc(tf.reshape(pooled, [tf.shape(boxes)[0], tf.shape(boxes)[1], flat]))
        return tf.nn.relu(self.fc_norm(x, training=training) if self.fc_norm else x)


def pool_bins(features, boxes, spatial_scale, config):
    """PSRoIAlign [B, N, P, P, C] of boxes [B, N, 4] px on features [B, h, w, P * P * C] as a
    HeadConfig says."""
    return ps_roi_align(
        features,
        boxes,
        group_size=config.pool_size,
        spatial_scale=spatial_scale,
        sampling_ratio=config.sampling_ratio,
        pool=config.pool,
        aligned=config.aligned,
        implementation=config.roi_impl,
    )
