"""An extractor and a head of one's own, in one file, which a config names.

    plugins: [examples/head.py]
    model: {head: {kind: mean}}                            # the extractor, scored by BoxHead
    model: {head: {kind: cosine, options: {scale: 20}}}    # the extractor and the head

What they owe to the rest of a detector is written in lhrcnn/models/parts.py.
"""

import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.extractors import EXTRACTORS
from lhrcnn.models.heads import HEADS
from lhrcnn.models.heads.box import RoIHead
from lhrcnn.models.parts import ClassOutputs
from lhrcnn.ops.roi_align import roi_align


class MeanExtractor(keras.layers.Layer):
    """The mean of each box on one map, and a dense layer."""

    def __init__(self, model, strides):
        super().__init__(name="features")
        self.config = model.head
        self.level = model.head.levels[0]
        self.scale = 1 / strides[self.level]
        self.fc = keras.layers.Dense(model.head.fc_channels, "relu", name="fc")

    def prepare(self, maps, training=False):
        return maps[self.level]

    def call(self, features, boxes, training=False):
        bins = roi_align(
            features,
            boxes,
            size=self.config.pool_size,
            spatial_scale=self.scale,
            sampling_ratio=self.config.sampling_ratio,
            implementation=self.config.roi_impl,
        )
        return self.fc(tf.reduce_mean(bins, [2, 3]))


class CosineScores(keras.layers.Layer):
    """Logits: `scale` times the cosine between features and one direction per class."""

    def __init__(self, outputs, scale, name):
        super().__init__(name=name, dtype="float32")  # logits stay float32 at any train.precision
        self.outputs, self.scale = outputs, scale

    def build(self, shape):
        self.kernel = self.add_weight("kernel", [shape[-1], self.outputs])
        super().build(shape)

    def call(self, features):
        return self.scale * tf.matmul(
            tf.math.l2_normalize(features, -1), tf.math.l2_normalize(self.kernel, 0)
        )


class CosineHead(RoIHead):
    """Cosine class scores, and boxes by a dense layer; sampling and losses are RoIHead's."""

    def __init__(self, model, strides, num_classes):
        super().__init__(model.head, num_classes)
        self.extractor = MeanExtractor(model, strides)
        scale = model.head.options.get("scale", 20.0)
        self.class_scores = CosineScores(num_classes + 1, scale, "class_scores")
        self.class_boxes = keras.layers.Dense(4 * self.num_boxes, name="boxes", dtype="float32")

    def prepare(self, maps, image_size, training=False):
        return self.extractor.prepare(maps, training)

    def call(self, prepared, boxes, training=False):
        features = self.extractor(prepared, boxes, training=training)
        shape = [*tf.unstack(tf.shape(boxes)[:2]), self.num_boxes, 4]
        return self.class_scores(features), tf.reshape(self.class_boxes(features), shape)

    def class_outputs(self):
        boxes = ClassOutputs(self.class_boxes, self.num_boxes > 1, targets=self.targets)
        return [*super().class_outputs(), ClassOutputs(self.class_scores, background=True), boxes]


EXTRACTORS["mean"] = MeanExtractor
HEADS["cosine"] = CosineHead
