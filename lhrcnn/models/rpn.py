"""Region proposal network (Faster R-CNN, arXiv 1506.01497, section 3.1).

Shape letters: B images, A anchors of all maps of an image, N proposals, M padded ground-truth
boxes.
"""

import collections

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.keras import keras
from lhrcnn.models import anchors, losses, matching, nms
from lhrcnn.models.losses import LossSum
from lhrcnn.models.parts import shared_maps

# [B, A], [B, A, 4], [A, 4] px, [levels]
Predictions = collections.namedtuple("Predictions", "logits deltas anchors level_sizes")


class RPN(keras.layers.Layer):
    """Objectness and box deltas of every anchor, their training losses, and the proposals made from
    them."""

    def __init__(self, config, strides):
        """`config` is an RPNConfig; `strides` maps level names to px."""
        super().__init__(name="rpn")
        self.config = config
        self.strides = {level: strides[level] for level in config.levels}
        cells = {}
        for level in config.levels:
            unit = strides[level] if config.anchor_unit == "stride" else 1
            scales = [scale * unit for scale in config.anchor_scales]
            cells[level] = anchors.cell_anchors(
                scales, config.anchor_ratios, config.anchor_rounding
            )
        self.cells = cells
        per_cell = len(config.anchor_scales) * len(config.anchor_ratios)

        def conv(channels, size, suffix, **dtype):
            normal = keras.initializers.RandomNormal(stddev=config.init_std)
            return keras.layers.Conv2D(
                channels, size, padding="same", kernel_initializer=normal, name=suffix, **dtype
            )

        self.convs = [
            conv(config.channels, size, f"conv{size}x{size}" if place else "conv")
            for place, size in enumerate(config.kernel_sizes)
        ]
        self.deeper = [
            conv(config.channels * len(self.convs), 3, f"conv{place}")
            for place in range(2, config.conv_depth + 1)
        ]
        self.objectness = conv(per_cell, 1, "objectness", dtype="float32")
        self.box = conv(4 * per_cell, 1, "box", dtype="float32")

    def call(self, maps):
        """Predictions for a dict of maps [B, h, w, C]; anchors go level by level, row by row."""
        maps = shared_maps(maps, self.strides, "model.rpn.levels")
        logits, deltas, boxes = [], [], []
        finest, finest_stride = next(iter(self.strides.items()))
        for level, stride in self.strides.items():
            x = tf.nn.relu(tf.concat([conv(maps[level]) for conv in self.convs], -1))
            for conv in self.deeper:
                x = tf.nn.relu(conv(x))
            batch, height, width = tf.unstack(tf.shape(x)[:3])
            if self.config.anchor_rounding == "torchvision":
                # How many cells go into the padded image, without a remainder.
                stride = finest_stride * tf.shape(maps[finest])[1:3] // [height, width]
            size, offset = (height, width), self.config.center_offset
            boxes.append(anchors.grid_anchors(*size, stride, self.cells[level], offset))
            number = tf.shape(boxes[-1])[0]
            logits.append(tf.reshape(self.objectness(x), [batch, number]))
            deltas.append(tf.reshape(self.box(x), [batch, number, 4]))
        return Predictions(
            tf.concat(logits, 1),
            tf.concat(deltas, 1),
            tf.concat(boxes, 0),
            tf.stack([tf.shape(b)[0] for b in boxes]),
        )

    def propose(self, predictions, image_size, training):
        """Proposals [B, N, 4] px, best first and padded with zeros, of images of valid size
        image_size [B, 2].

        Each level hands on its best anchors after an NMS of its own, and the best of all levels are
        kept. Gradients stop here; boxes that are not finite or smaller than min_size_px are
        dropped."""
        config = self.config
        pre_nms = config.pre_nms_train if training else config.pre_nms_test
        post_nms = config.post_nms_train if training else config.post_nms_test
        logits = tf.stop_gradient(predictions.logits)
        logits = tf.where(tf.math.is_finite(logits), logits, logits.dtype.min)
        deltas = tf.stop_gradient(predictions.deltas)
        references = tf.broadcast_to(predictions.anchors, tf.shape(deltas))
        # Small ones do not count among the best, as in py-faster-rcnn; empty ones do, as in
        # torchvision.
        if config.min_size_px:
            boxes = box_ops.clip(box_ops.decode(deltas, references), image_size)
            logits = tf.where(box_ops.at_least(boxes, config.min_size_px), logits, logits.dtype.min)
        columns = (tf.split(v, predictions.level_sizes, 1) for v in (logits, deltas, references))
        kept = []
        for level in zip(*columns):
            logits, deltas, references = nms.top_k(level[0], pre_nms, *level[1:])
            boxes = box_ops.clip(box_ops.decode(deltas, references), image_size)
            usable = box_ops.at_least(boxes, config.min_size_px)
            scores = tf.maximum(tf.sigmoid(logits), 1e-30)
            scores = tf.where(usable & (scores >= config.score_threshold), scores, 0.0)
            boxes = tf.where(usable[..., None], boxes, 0.0)
            kept.append(nms.class_agnostic_nms(boxes, scores, config.nms_iou, post_nms))
        if len(kept) == 1:
            return kept[0][0]
        boxes, scores = (tf.concat(values, 1) for values in zip(*kept))
        return nms.top_k(scores, post_nms, boxes)[1]

    def losses(self, predictions, batch, order):
        """({"rpn_objectness", "rpn_box"} LossSum over sampled anchors, which of those [B, S] are
        foreground).

        `batch` is as in lhrcnn.data.schema; order [B, A] in [0, 1) is the random number of each
        anchor. Both losses are divided by the number of sampled anchors."""
        config = self.config
        found = matching.match(
            predictions.anchors,
            batch,
            config.positive_iou,
            config.negative_iou,
            best_iou=config.best_iou,
        )
        inside = self._inside(predictions.anchors, batch["image_size"])
        labels = tf.where(inside, found.labels, matching.NEITHER)
        index, valid = matching.sample(
            labels, config.batch_per_image, config.positive_fraction, order
        )
        foreground = valid & (tf.gather(labels, index, batch_dims=1) == matching.FOREGROUND)
        logits, deltas = (
            tf.gather(values, index, batch_dims=1)
            for values in (predictions.logits, predictions.deltas)
        )
        matched = tf.gather(found.matched_box, index, batch_dims=1)
        truth = tf.gather(batch["boxes"], matched, batch_dims=1)
        targets = box_ops.encode(truth, tf.gather(predictions.anchors, index))
        objectness = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(foreground, tf.float32), logits
        )
        box = losses.delta_loss(config.box_loss, deltas, targets, config.smooth_l1_beta)
        count = tf.reduce_sum(tf.cast(valid, tf.float32))
        return {
            "rpn_objectness": LossSum(tf.reduce_sum(tf.where(valid, objectness, 0.0)), count),
            "rpn_box": LossSum(tf.reduce_sum(tf.where(foreground, box, 0.0)), count),
        }, foreground

    def _inside(self, boxes, image_size):
        """Whether anchors [A, 4] lie inside each image [B, 2], give or take border_px: [B, A]."""
        border = self.config.border_px
        if border < 0:
            return tf.ones([tf.shape(image_size)[0], tf.shape(boxes)[0]], tf.bool)
        top_left = tf.reduce_all(boxes[:, :2] >= -border, -1)[None, :]
        return top_left & tf.reduce_all(boxes[None, :, 2:] <= image_size[:, None, :] + border, -1)
