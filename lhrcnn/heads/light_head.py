"""Light head: a thin position-sensitive map, PSRoIAlign and one fully connected layer (arXiv 1711.07264, section 3.2)."""
import tensorflow as tf

from lhrcnn.ops.psroi_align import ps_roi_align


def initializer(std):
    """A new initializer of kernels: normal with this standard deviation, or He's where it is 0."""
    return tf.keras.initializers.RandomNormal(stddev=std) if std else tf.keras.initializers.HeNormal()


class LargeSeparableConv(tf.keras.layers.Layer):
    """(k x 1 then 1 x k) + (1 x k then k x 1), nothing in between, one ReLU after the sum (arXiv 1711.07264, figure 3)."""

    def __init__(self, kernel_size, mid_channels, channels, name, init_std=0.01, batch_norm=False):
        super().__init__(name=name)
        self.norm = tf.keras.layers.BatchNormalization(name="norm") if batch_norm else None

        def conv(size, num, suffix):
            return tf.keras.layers.Conv2D(num, size, padding="same", kernel_initializer=initializer(init_std), name=suffix)

        tall, wide = (kernel_size, 1), (1, kernel_size)
        self.branches = [[conv(tall, mid_channels, "tall_in"), conv(wide, channels, "wide_out")],
                         [conv(wide, mid_channels, "wide_in"), conv(tall, channels, "tall_out")]]

    def call(self, x, training=False):
        """[B, h, w, C] -> [B, h, w, channels]."""
        (tall_in, wide_out), (wide_in, tall_out) = self.branches
        x = wide_out(tall_in(x)) + tall_out(wide_in(x))
        return tf.nn.relu(self.norm(x, training=training) if self.norm else x)


class LightHead(tf.keras.layers.Layer):
    """RoI features from one backbone map."""

    def __init__(self, config, strides, name="light_head"):
        """`config` is a HeadConfig; `strides` maps level names to px."""
        super().__init__(name=name)
        self.config = config
        self.spatial_scale = 1.0 / strides[config.level]
        channels = config.group_size ** 2 * config.thin_channels
        self.thin_map = LargeSeparableConv(config.kernel_size, config.mid_channels, channels, "thin_map", config.init_std, config.batch_norm)
        self.fc = tf.keras.layers.Dense(config.fc_channels, kernel_initializer=initializer(config.init_std), name="fc")
        self.fc_norm = tf.keras.layers.BatchNormalization(name="fc_norm") if config.batch_norm else None

    def prepare(self, maps, training=False):
        """The thin map [B, h, w, G * G * C], bin-major, of a dict of backbone maps: computed once a picture."""
        return self.thin_map(maps[self.config.level], training=training)

    def call(self, thin_map, boxes, training=False):
        """Features [B, N, fc_channels] of boxes [B, N, 4] px on the thin map."""
        config = self.config
        pooled = ps_roi_align(thin_map, boxes, group_size=config.group_size, spatial_scale=self.spatial_scale,
                              sampling_ratio=config.sampling_ratio, pool=config.pool, aligned=config.aligned,
                              implementation=config.psroi_impl)
        flat = config.group_size ** 2 * config.thin_channels
        x = self.fc(tf.reshape(pooled, [tf.shape(boxes)[0], tf.shape(boxes)[1], flat]))
        return tf.nn.relu(self.fc_norm(x, training=training) if self.fc_norm else x)
