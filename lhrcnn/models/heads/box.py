"""The second stage: which proposals are trained, their losses, and scored boxes.

Shape letters: B images, N proposals, M padded ground-truth boxes, S sampled proposals, K foreground
classes; logits have K + 1 columns, background last. L is K, or 1 where one box serves all classes.
"""

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.keras import keras
from lhrcnn.models import losses, matching
from lhrcnn.models.heads.box_targets import BoxTargets
from lhrcnn.models.losses import LossSum
from lhrcnn.models.parts import ClassOutputs


class RoIHead(keras.layers.Layer):
    """What all second stages share; a kind of its own defines `prepare` and `call`, and has
    `class_outputs` tell of its layers."""

    def __init__(self, config, num_classes):
        """`config` is a HeadConfig."""
        # With 16 bits Keras would round what stands beside the maps in `prepared`, as boxes do.
        super().__init__(name="head", autocast=False)
        self.config, self.num_classes = config, num_classes
        self.num_boxes = 1 if config.class_agnostic else num_classes
        self.targets = BoxTargets(config, self.num_boxes)

    def prepare(self, maps, image_size, training=False):
        """What boxes are pooled from, of {level: map} of images of valid size image_size [B, 2]:
        computed once per image."""
        raise NotImplementedError

    def call(self, prepared, boxes, training=False):
        """Class logits [B, N, K+1] and deltas [B, N, L, 4] of boxes [B, N, 4] px."""
        raise NotImplementedError

    def class_outputs(self):
        """The ClassOutputs of its layers."""
        return [ClassOutputs(self.targets, per_class=self.num_boxes > 1)]

    def localise(self, prepared, proposals, image_size):
        """Boxes [B, N, L, 4] px inside images of valid size image_size [B, 2], and class scores
        [B, N, K]; 0 for padding."""
        return self.decode(*self(prepared, proposals), proposals, image_size)

    def decode(self, logits, deltas, proposals, image_size):
        """What `localise` gives, of the logits [B, N, K+1] and deltas [B, N, L, 4] of proposals
        [B, N, 4] px."""
        boxes = self.targets.decode(deltas, proposals[:, :, None, :])
        return clip_each(boxes, image_size), scores_of(logits, proposals)

    def losses(self, prepared, proposals, batch, order, training):
        """({"head_class", "head_box"} LossSum over chosen proposals, which of those [B, S] are
        foreground).

        proposals [B, N, 4] px; the ground truth is appended to them. order [B, >= N + M] in [0, 1)
        are the random sampler's numbers. Both losses are divided by the number of chosen proposals
        (Light-Head R-CNN's code; the paper does not say)."""
        config = self.config
        candidates = with_truth(proposals, batch)
        found = matching.match(
            candidates,
            batch,
            config.foreground_iou,
            config.foreground_iou,
            config.background_iou_low,
        )
        if config.sampler == "random":
            order = order[:, : tf.shape(candidates)[1]]
            index, valid = matching.sample(
                found.labels, config.batch_per_image, config.positive_fraction, order
            )
        else:
            classification, box = self._element_losses(
                prepared, candidates, found, batch, training=False
            )
            index, valid = matching.hardest(
                tf.stop_gradient(classification + box), found.labels, config.batch_per_image
            )
        chosen = tf.gather(candidates, index, batch_dims=1)
        chosen_match = matching.Match(*(tf.gather(values, index, batch_dims=1) for values in found))
        classification, box = self._element_losses(prepared, chosen, chosen_match, batch, training)
        count = tf.reduce_sum(tf.cast(valid, tf.float32))
        of_class, of_box = (
            tf.reduce_sum(tf.where(valid, loss, 0.0)) for loss in (classification, box)
        )
        return {
            "head_class": LossSum(of_class, count),
            "head_box": LossSum(of_box * config.box_loss_weight, count),
        }, (valid & (chosen_match.labels == matching.FOREGROUND))

    def _element_losses(self, prepared, boxes, found, batch, training):
        """Class loss [B, S] and unweighted box loss [B, S] (0 for background) of boxes [B, S, 4]
        with the given match."""
        config = self.config
        logits, deltas = self(prepared, boxes, training=training)
        foreground = found.labels == matching.FOREGROUND
        classes = tf.gather(batch["classes"], found.matched_box, batch_dims=1)
        targets = tf.where(foreground, classes, self.num_classes)
        own_class = tf.zeros_like(classes) if config.class_agnostic else tf.maximum(classes, 0)
        deltas = tf.gather(deltas, own_class, batch_dims=2)
        truth = tf.gather(batch["boxes"], found.matched_box, batch_dims=1)
        if config.box_loss in losses.BOX_LOSSES:
            decoded = self.targets.decode(deltas, boxes, own_class)
            box = losses.BOX_LOSSES[config.box_loss](decoded, truth)
        else:
            wanted = self.targets.encode(truth, boxes, own_class)
            box = losses.delta_loss(config.box_loss, deltas, wanted, config.smooth_l1_beta)
        classification = losses.cross_entropy(logits, targets, config.label_smoothing)
        return classification, tf.where(foreground, box, 0.0)


class BoxHead(RoIHead):
    """Class scores and boxes by one dense layer each on the RoI features of an extractor."""

    def __init__(self, config, extractor, num_classes):
        """`config` is a HeadConfig, `extractor` a parts.Extractor."""
        super().__init__(config, num_classes)
        self.extractor = extractor

        def dense(units, std, suffix):
            normal = keras.initializers.RandomNormal(stddev=std)
            return keras.layers.Dense(
                units, kernel_initializer=normal, name=suffix, dtype="float32"
            )

        self.class_scores = dense(num_classes + 1, 0.01, "class_scores")
        self.class_boxes = dense(4 * self.num_boxes, 0.001, "class_boxes")

    @property
    def inlined(self):
        """As names.variables_of: head/fc/kernel is the extractor's."""
        return (self.extractor,)

    def class_outputs(self):
        """As of RoIHead."""
        boxes = ClassOutputs(self.class_boxes, self.num_boxes > 1, targets=self.targets)
        scores = ClassOutputs(self.class_scores, background=True)
        return [*super().class_outputs(), scores, boxes]

    def prepare(self, maps, image_size, training=False):
        """As the extractor's; with global context, beside the boxes [B, 1, 4] px of the whole
        images."""
        prepared = self.extractor.prepare(maps, training=training)
        if not self.config.global_context:
            return prepared
        return prepared, tf.concat([tf.zeros_like(image_size), image_size], -1)[:, None]

    def features(self, prepared, boxes, training=False):
        """RoI features [B, N, F] of boxes [B, N, 4] px; with global context [B, N, 2 F], those of
        the whole image behind each (arXiv 1512.03385, appendix B)."""
        if not self.config.global_context:
            return self.extractor(prepared, boxes, training=training)
        prepared, whole = prepared
        # Together, since the few whole images of a batch are no sample for batch norm.
        features = self.extractor(prepared, tf.concat([whole, boxes], 1), training=training)
        context, own = features[:, :1], features[:, 1:]
        return tf.concat([own, context + tf.zeros_like(own)], -1)

    def call(self, prepared, boxes, training=False):
        """Class logits [B, N, K+1] and deltas [B, N, L, 4] of boxes [B, N, 4] px."""
        return self.outputs(self.features(prepared, boxes, training=training))

    def outputs(self, features):
        """Class logits [B, N, K+1] and deltas [B, N, L, 4] of RoI features."""
        deltas = self.class_boxes(features)
        return self.class_scores(features), tf.reshape(
            deltas, [*tf.unstack(tf.shape(deltas)[:2]), self.num_boxes, 4]
        )


def with_truth(proposals, batch):
    """Proposals [B, N, 4] and behind them the ground truth of a batch that counts: [B, N + M, 4],
    empty boxes where there is none."""
    counts = (batch["classes"] >= 0) & ~batch["ignore"]
    return tf.concat([proposals, tf.where(counts[..., None], batch["boxes"], 0.0)], 1)


def clip_each(boxes, image_size):
    """Boxes [B, N, L, 4] limited to images of valid height and width image_size [B, 2], px."""
    shape = tf.shape(boxes)
    clipped = tf.reshape(box_ops.clip(tf.reshape(boxes, [shape[0], -1, 4]), image_size), shape)
    return tf.ensure_shape(clipped, [None, None, *boxes.shape[2:]])


def scores_of(logits, proposals):
    """Class scores [B, N, K] of logits [B, N, K+1]; 0 for proposals [B, N, 4] without area."""
    return tf.where(box_ops.area(proposals)[..., None] > 0, tf.nn.softmax(logits)[..., :-1], 0.0)
