"""The two-stage detector: preprocess -> backbone -> RPN -> RoI head -> postprocess.

Shape letters: B images, H W height and width of the padded batch in px, N proposals, D detections
per image. Batches are described in lhrcnn/data/schema.py; boxes are (ymin, xmin, ymax, xmax) px of
the network input.
"""

import tensorflow as tf

from lhrcnn.models import postprocess
from lhrcnn.models.backbones.layers import ConvNorm
from lhrcnn.models.names import joined, variables_of
from lhrcnn.models.step import Trainable


class TwoStageDetector(Trainable):
    """A detector composed of the parts it is given; trained by Keras `fit` on batch dicts.

    A part that is not `trainable` has no losses."""

    counts = ("rpn_foreground", "head_foreground")

    def __init__(self, backbone, rpn, head, options):
        """`backbone` is a parts.Backbone, `rpn` an rpn.RPN, `head` a parts.Head, `options` a
        PostprocessConfig."""
        super().__init__(name="detector")
        self.pixel_mean, self.pixel_std = backbone.pixel_mean, backbone.pixel_std
        self.backbone, self.rpn, self.head = backbone.model, rpn, head
        self.strides, self.postprocess = backbone.strides, options
        self.teacher = None  # a distillation.Teacher that it learns from, beside the ground truth

    def named_variables(self):
        """{name: variable} of everything the detector stores, the same whenever it is built.

        Raises ConfigError as names.variables_of."""
        parts = {"backbone": self.backbone, "rpn": self.rpn, "head": self.head}
        return joined(*(variables_of(part, name) for name, part in parts.items()))

    def fold(self):
        """Takes batch norms into their convolutions, for good: the variables are no longer those of
        a checkpoint, and what they detect is the same in less time."""
        for layer in self._flatten_layers():
            if isinstance(layer, ConvNorm):
                layer.fold()

    def preprocess(self, image, image_size):
        """Normalised float32 images [B, H, W, 3] of uint8 RGB ones; 0 outside the valid image_size
        [B, 2]."""
        shape = tf.shape(image)
        rows, columns = (
            tf.cast(tf.range(shape[axis]), tf.float32) < image_size[:, axis - 1, None]
            for axis in (1, 2)
        )
        rows, columns = (tf.cast(inside, tf.float32) for inside in (rows, columns))
        rows, columns = rows[..., None], tf.repeat(columns, 3, axis=1)[:, None]
        # In rows of 3 W numbers, since broadcasting along an axis of 3 is slow.
        factor, offset = (
            columns * tf.tile(tf.constant(values, tf.float32), [shape[2]])
            for values in (
                [1 / std for std in self.pixel_std],
                [mean / std for mean, std in zip(self.pixel_mean, self.pixel_std)],
            )
        )
        pixels = tf.reshape(tf.cast(image, tf.float32), [shape[0], shape[1], -1])
        return tf.reshape((pixels * factor - offset) * rows, shape)

    def detect(self, image, image_size, proposals=None):
        """Detections of images [B, H, W, 3] uint8 with valid height and width image_size [B, 2],
        best first, among proposals [B, N, 4] px where given, else among those of the RPN.

        Returns "boxes" [B, D, 4] px of the network input, "scores" [B, D], "classes" [B, D] int32
        (-1 pads) and "num_detections" [B] int32."""
        found = self.select(self.candidates(image, image_size, proposals))
        return {
            **found._asdict(),
            "num_detections": tf.reduce_sum(tf.cast(found.classes >= 0, tf.int32), 1),
        }

    def candidates(self, image, image_size, proposals=None):
        """What `select` chooses from, nms.Candidates of shape [B, C]; arguments as of `detect`."""
        prepared, proposals = self.regions(image, image_size, proposals)

        def localise(boxes):
            return self.localise(prepared, boxes, image_size)

        return postprocess.candidates(*localise(proposals), localise, self.postprocess)

    def regions(self, image, image_size, proposals=None):
        """What `localise` pools from, computed once per image, and proposals [B, N, 4] px;
        arguments as of `detect`."""
        maps = self.backbone(self.preprocess(image, image_size), training=False)
        if proposals is None:
            proposals = self.rpn.propose(self.rpn(maps), image_size, training=False)
        return self.head.prepare(maps, image_size), proposals

    def localise(self, prepared, boxes, image_size):
        """Boxes [B, N, L, 4] px and class scores [B, N, K] of boxes [B, N, 4] px; `prepared` is
        what `regions` gave."""
        return self.head.localise(prepared, boxes, image_size)

    def select(self, candidates):
        """The detections, nms.Candidates of shape [B, D], among Candidates."""
        return postprocess.select(candidates, self.postprocess)

    def call(self, batch, training=False):
        """Detections of a batch dict; see `detect`."""
        return self.detect(batch["image"], batch["image_size"], batch.get("proposals"))

    def sums_of(self, batch, training, step, part=0, parts=1):
        """As of Trainable: the losses of both stages, and how many boxes of each are foreground."""
        images = self.preprocess(batch["image"], batch["image_size"])
        maps = self.backbone(images, training=training)
        proposals, num_anchors, num_candidates = batch.get("proposals"), 0, 0
        if self.rpn.trainable or proposals is None:
            predictions = self.rpn(maps)
            num_anchors = tf.shape(predictions.anchors)[0]
        if self.head.trainable:
            if proposals is None:
                proposals = self.rpn.propose(predictions, batch["image_size"], training=True)
            num_candidates = tf.shape(proposals)[1] + tf.shape(batch["boxes"])[1]
        order = self._random_rows(batch, num_anchors + num_candidates, step, part, parts)
        sums, foreground, taught = {}, {}, {}
        if self.rpn.trainable:
            sums, foreground["rpn_foreground"] = self.rpn.losses(
                predictions, batch, order[:, :num_anchors]
            )
        if self.head.trainable:
            prepared = self.head.prepare(maps, batch["image_size"], training=training)
            losses, foreground["head_foreground"] = self.head.losses(
                prepared, proposals, batch, order[:, num_anchors:], training
            )
            sums = {**sums, **losses}
            taught = {"prepared": prepared, "proposals": proposals}
        if self.teacher:
            sums.update(self.teacher.losses(self, batch, maps, **taught))
        return sums, {
            name: tf.reduce_sum(tf.cast(flags, tf.float32)) for name, flags in foreground.items()
        }

    def _random_rows(self, batch, number, step, part, parts):
        """Random numbers [B, number], the same for an image of the global batch however many
        replicas and parts share it."""
        context = tf.distribute.get_replica_context()
        size, replicas = tf.shape(batch["image"])[0], context.num_replicas_in_sync
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])
        rows = tf.random.stateless_uniform([size * parts * replicas, number], seed)
        return rows[size * (parts * context.replica_id_in_sync_group + part) :][:size]
