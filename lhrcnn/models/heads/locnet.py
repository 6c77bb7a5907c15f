"""LocNet: the borders of an object as probabilities over the rows and columns of a search region
(arXiv 1511.07763).

Shape letters: B images, N boxes, S sampled boxes, K foreground classes, L boxes per proposal (K or
1), M cells of a region along an axis, Q probabilities per cell. Axis 0 of the two is y. A region is
cut into M equal cells along each axis; a border is the cell it lies in, and is decoded to that
cell's middle, so encoding costs at most half a cell per border.
"""

import dataclasses
import math

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.keras import keras
from lhrcnn.models import matching
from lhrcnn.models.backbones.layers import initializer
from lhrcnn.models.extractors.fast_rcnn import RoIPooling
from lhrcnn.models.heads import LOCALISATIONS
from lhrcnn.models.heads.box import clip_each, with_truth
from lhrcnn.models.losses import LossSum
from lhrcnn.models.parts import ClassOutputs
from lhrcnn.ops.best_pair import best_pair

MODELS = {name: predicted for name, predicted in LOCALISATIONS.items() if predicted}
# The loss weights 20 and 40 of the authors' code, over its 20 classes.
LOSS_FACTOR = {"in_out": 1.0, "borders": 1.0, "combined": 2.0}
MIN_PROBABILITY = 1e-4


class LocNet(RoIPooling):
    """Logits of the cells of search regions: pooled region, two 3x3 convolutions, maxima over rows
    and over columns, one fully connected layer per axis."""

    option = "model.locnet.levels"

    def __init__(self, config, head_config, strides, num_boxes):
        """`config` is a LocNetConfig; a HeadConfig says which model, levels and RoI op;
        `num_boxes` is L."""
        own = dataclasses.replace(
            head_config,
            levels=config.levels or head_config.levels,
            pool_size=config.pool_size,
            roi_op=config.roi_op,
            skip_channels=config.skip_channels,
        )
        super().__init__(own, strides, "locnet")
        self.options, self.model, self.num_boxes = config, head_config.localisation, num_boxes
        self.convs = [
            keras.layers.Conv2D(
                config.channels,
                3,
                padding="same",
                name=f"conv{index + 1}",
                kernel_initializer=initializer(head_config.init_std),
            )
            for index in range(2)
        ]
        self.norms = [None, None]
        if head_config.batch_norm:
            self.norms = [keras.layers.BatchNormalization(name=f"norm{k}") for k in (1, 2)]
        outputs = num_boxes * len(MODELS[self.model]) * config.cells
        self.fcs = [
            keras.layers.Dense(
                outputs,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                dtype="float32",
                name=axis,
            )
            for axis in ("rows", "columns")
        ]

    def call(self, maps, regions, training=False):
        """Logits [B, N, L, 2, Q, M] of regions [B, N, 4] px."""
        numbers = self.num_boxes, len(MODELS[self.model]), self.options.cells
        shape = [*tf.unstack(tf.shape(regions)[:2]), *numbers]
        if 0 in regions.shape[:2]:  # TensorFlow's convolutions would forget their channels
            return tf.zeros([*shape[:3], 2, *shape[3:]])
        x = self.pool(maps, regions)
        for conv, norm in zip(self.convs, self.norms):
            x = conv(x)
            x = tf.nn.relu(norm(x, training=training) if norm else x)
        # [B * N, P, C]: over columns for y, over rows for x.
        profiles = tf.reduce_max(x, 2), tf.reduce_max(x, 1)
        flat = self.options.pool_size * self.options.channels
        logits = [fc(tf.reshape(profile, [-1, flat])) for fc, profile in zip(self.fcs, profiles)]
        return tf.stack([tf.reshape(axis_logits, shape) for axis_logits in logits], 3)


class LocNetHead(keras.layers.Layer):
    """A second stage that scores boxes with another head and moves them with LocNet.

    The other head's box regression stays as an auxiliary task of training: what the class scores
    learn from does not change."""

    def __init__(self, config, scorer, strides):
        """`config` is a LocNetConfig; `scorer` a RoIHead, whose HeadConfig says which model;
        `strides` maps level names to px."""
        super().__init__(name="locnet_head")
        self.options, self.scorer, self.config = config, scorer, scorer.config
        self.locnet = LocNet(config, scorer.config, strides, scorer.num_boxes)

    @property
    def targets(self):
        """The scorer's."""
        return self.scorer.targets

    @property
    def inlined(self):
        """As names.variables_of: the scorer's names are what they are without LocNet."""
        return (self.scorer,)

    def class_outputs(self):
        """As of RoIHead, with LocNet's rows and columns."""
        per_class = self.scorer.num_boxes > 1
        return [
            *self.scorer.class_outputs(),
            *(ClassOutputs(fc, per_class) for fc in self.locnet.fcs),
        ]

    def prepare(self, maps, image_size, training=False):
        """What both parts pool from, of {level: map}: computed once per image."""
        of_scorer = self.scorer.prepare(maps, image_size, training=training)
        return of_scorer, self.locnet.prepare(maps, training=training)

    def localise(self, prepared, proposals, image_size):
        """As RoIHead.localise."""
        regressed, scores = self.scorer.localise(prepared[0], proposals, image_size)
        regions, options = self._regions(proposals, image_size), self.options
        logits, of_classes = self.locnet(prepared[1], regions), regions[:, :, None]
        if options.decoding == "threshold":
            boxes = threshold_boxes(logits, of_classes, options.threshold)
            return clip_each(boxes, image_size), scores
        cells = likeliest_cells(logits, self.locnet.model, self.config.roi_impl)
        boxes = clip_each(boxes_of(cells, of_classes, options.cells), image_size)
        if options.regressed_share:
            boxes += options.regressed_share * (regressed - boxes)
        if options.iou_power:
            scores *= promised_iou(logits[..., 0, :], cells) ** options.iou_power
        return boxes, scores

    def losses(self, prepared, proposals, batch, order, training):
        """Those of the scorer and "head_locnet", the mean over sampled boxes with an object; see
        RoIHead.losses."""
        sums, foreground = self.scorer.losses(prepared[0], proposals, batch, order, training)
        candidates = with_truth(proposals, batch)
        found = matching.match(candidates, batch, self.options.foreground_iou, 0.0)
        index, valid = matching.sample(
            found.labels, self.options.batch_per_image, 1.0, order[:, : tf.shape(candidates)[1]]
        )
        matched = tf.gather(found.matched_box, index, batch_dims=1)
        classes, truth = (
            tf.gather(batch[name], matched, batch_dims=1) for name in ("classes", "boxes")
        )
        own_class = tf.zeros_like(classes) if self.config.class_agnostic else tf.maximum(classes, 0)
        regions = self._regions(tf.gather(candidates, index, batch_dims=1), batch["image_size"])
        logits = self.locnet(prepared[1], regions, training=training)
        logits, model = tf.gather(logits, own_class, batch_dims=2), self.locnet.model
        loss = localisation_loss(logits, encode(truth, regions, model, self.options.cells), model)
        total = tf.reduce_sum(tf.where(valid, loss, 0.0)) * self.options.loss_weight
        return {
            **sums,
            "head_locnet": LossSum(total, tf.reduce_sum(tf.cast(valid, tf.float32))),
        }, foreground

    def _regions(self, boxes, image_size):
        regions = search_regions(boxes, self.options.search_scale)
        return box_ops.clip(regions, image_size) if self.options.clip_search else regions


def search_regions(boxes, scale):
    """Boxes [..., 4] px enlarged `scale` times about their centres; they may reach beyond the
    image."""
    middle, half = box_ops.center(boxes), (boxes[..., 2:] - boxes[..., :2]) * (scale / 2)
    return tf.concat([middle - half, middle + half], -1)


def encode(boxes, regions, model, cells):
    """Targets [..., 2, Q, M] of 0 and 1 for boxes [..., 4] in regions [..., 4] px; borders outside
    count for the outermost cell.

    Inside are all cells that the box touches, first and last one included. A box in one cell counts
    for two neighbours: no decoder gives an empty box (the authors'
    encode_bbox_target_to_loc_probs, with cells centred on the region)."""
    start = tf.concat([regions[..., :2]] * 2, -1)
    position = (boxes - start) / tf.concat([box_ops.size(regions)] * 2, -1) * cells
    position = tf.floor(tf.clip_by_value(position, 0.0, cells - 1.0))
    last = tf.maximum(position[..., 2:, None], 1.0)
    first = tf.minimum(position[..., :2, None], last - 1.0)
    number = tf.range(cells, dtype=tf.float32)
    rows = {
        "inside": (number >= first) & (number <= last),
        "first": number == first,
        "last": number == last,
    }
    return tf.stack([tf.cast(rows[name], tf.float32) for name in MODELS[model]], -2)


def localisation_loss(logits, targets, model):
    """Loss [...] of logits and targets [..., 2, Q, M]: mean weighted binary cross-entropy, twice
    that for "combined".

    The one cell of a border and its M - 1 others weigh M / 2 each (section 4.1 of the paper)."""
    cells = logits.shape[-1]
    positive, negative = cells / 2, 0.5 * cells / (cells - 1)
    border = tf.constant([[float(name != "inside")] for name in MODELS[model]])
    weights = 1.0 + border * (targets * positive + (1.0 - targets) * negative - 1.0)
    return LOSS_FACTOR[model] * tf.reduce_mean(
        weights * tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), [-3, -2, -1]
    )


def likeliest_cells(logits, model, implementation="auto"):
    """The first and last cell [..., 2, 2] of the highest likelihood over all pairs first < last of
    each axis; NaN where logits are.

    logits [..., 2, Q, M]; implementation as in `best_pair`. Probabilities count as at least 1e-4.
    "in_out" and "combined" add up log-odds (which differ from the log-likelihood by a constant),
    "borders" multiplies the probabilities of the two cells, as the authors' code does."""
    terms, limit = tf.reshape(logits, [-1, *logits.shape[-2:]]), math.log(1 / MIN_PROBABILITY - 1)
    cells = best_pair(
        terms,
        limit,
        inside="inside" in MODELS[model],
        borders="first" in MODELS[model],
        implementation=implementation,
    )
    return tf.reshape(cells, tf.concat([tf.shape(logits)[:-2], [2]], 0))


def promised_iou(logits, cells):
    """The IoU [...] with the object that cells [..., 2, 2], the first and last ones of a box, may
    expect of the logits [..., 2, M] of what is inside.

    Along each axis it is the expected number of cells inside both over that inside either, as if
    cells were independent; the two are multiplied."""
    inside, number = tf.sigmoid(logits), tf.range(logits.shape[-1], dtype=cells.dtype)
    taken = (number >= cells[..., :1]) & (number <= cells[..., 1:])
    taken = tf.cast(taken, inside.dtype)
    either = tf.reduce_sum(tf.maximum(taken, inside), -1)
    return tf.reduce_prod(tf.reduce_sum(taken * inside, -1) / either, -1)


def threshold_boxes(logits, regions, threshold):
    """Boxes [..., 4] px from the first to the last cell of In-Out whose probability is above a
    threshold; empty with fewer than two.

    logits [..., 2, 1, M]; regions [..., 4] px (Faster-RCNN-LocNet's decoding, which asks for five
    cells, on the grid used here)."""
    cells = logits.shape[-1]
    active = tf.sigmoid(logits[..., 0, :]) > threshold
    number = tf.range(cells)
    first_cell = tf.reduce_min(tf.where(active, number, cells), -1)
    last_cell = tf.reduce_max(tf.where(active, number, -1), -1)
    found = tf.reduce_all(last_cell > first_cell, -1)
    boxes = boxes_of(tf.stack([first_cell, last_cell], -1), regions, cells)
    return tf.where(found[..., None], boxes, 0.0)


def boxes_of(cells, regions, number):
    """Boxes [..., 4] px between the middles of the first and last cells [..., 2, 2] of regions
    [..., 4] px that are cut into `number` of them along each axis."""
    cells = tf.cast(cells, tf.float32)
    share = (tf.concat([cells[..., 0], cells[..., 1]], -1) + 0.5) / number
    size = regions[..., 2:] - regions[..., :2]
    return tf.concat([regions[..., :2]] * 2, -1) + share * tf.concat([size] * 2, -1)
