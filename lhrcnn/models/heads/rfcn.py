"""R-FCN: scores and boxes are votes of position-sensitive maps, with no layer of its own for a box
(arXiv 1605.06409).

Shape letters: B images, N boxes, P bins per side, K foreground classes, L boxes per proposal (K or
1).
"""

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.backbones.layers import initializer
from lhrcnn.models.extractors.light import pool_bins
from lhrcnn.models.heads.box import RoIHead
from lhrcnn.models.parts import ClassOutputs


class RFCNHead(RoIHead):
    """The second stage whose logits and deltas are the means of P * P bins of two score maps."""

    def __init__(self, model, strides, num_classes):
        """`model` is a ModelConfig; `strides` maps level names to px."""
        config = model.head
        super().__init__(config, num_classes)
        self.spatial_scale = 1.0 / strides[config.levels[0]]

        def conv(channels, suffix, **options):
            return keras.layers.Conv2D(
                channels, 1, kernel_initializer=initializer(config.init_std), name=suffix, **options
            )

        self.conv = conv(config.fc_channels, "score_conv", activation="relu")
        self.class_map = conv(config.pool_size**2 * (num_classes + 1), "class_map")
        self.box_map = conv(config.pool_size**2 * 4 * self.num_boxes, "box_map")

    def class_outputs(self):
        """As of RoIHead."""
        bins = self.config.pool_size**2
        boxes = ClassOutputs(self.box_map, self.num_boxes > 1, bins=bins, targets=self.targets)
        scores = ClassOutputs(self.class_map, background=True, bins=bins)
        return [*super().class_outputs(), scores, boxes]

    def prepare(self, maps, image_size, training=False):
        """Score map [B, h, w, P * P * (K+1)] and box map [B, h, w, P * P * 4L], bin-major."""
        x = self.conv(maps[self.config.levels[0]])
        return self.class_map(x), self.box_map(x)

    def call(self, prepared, boxes, training=False):
        """Class logits [B, N, K+1] and deltas [B, N, L, 4] of boxes [B, N, 4] px."""
        bins = (pool_bins(maps, boxes, self.spatial_scale, self.config) for maps in prepared)
        # In 32 bits: on CPUs TensorFlow would add in 16, too.
        logits, deltas = (tf.reduce_mean(tf.cast(own, tf.float32), [2, 3]) for own in bins)
        return logits, tf.reshape(deltas, [*tf.unstack(tf.shape(deltas)[:2]), self.num_boxes, 4])
