"""LocNet: targets, loss and decoding against the written-out ones, and beside every kind of
head.
"""

import numpy as np
import pytest
import tensorflow as tf
from reference import locnet as reference

from lhrcnn import boxes as box_ops
from lhrcnn import config as configs
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.build import build_detector
from lhrcnn.models.heads import locnet
from lhrcnn.models.heads.box import RoIHead

every_model = pytest.mark.parametrize("model", locnet.MODELS)


def likeliest_boxes(logits, regions, model):
    return locnet.boxes_of(locnet.likeliest_cells(logits, model), regions, logits.shape[-1])


def boxes_inside(rng, regions, least_cells, cells):
    """A box in each region [n, 4], sides from least_cells cells up to the region's."""
    sides = regions[:, 2:] - regions[:, :2]
    size = rng.uniform(least_cells / cells, 1, sides.shape) * sides
    corner = regions[:, :2] + rng.uniform(0, 1, sides.shape) * (sides - size)
    return np.concatenate([corner, corner + size], 1)


def random_regions(rng, number):
    corner = rng.uniform(-50, 200, (number, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 300, (number, 2))], 1)


@every_model
@pytest.mark.parametrize("cells", [2, 7, 28, 56])
def test_a_box_comes_back_within_half_a_cell_a_side(rng, model, cells):
    regions = random_regions(rng, 2000)
    boxes = boxes_inside(rng, regions, 1, cells)
    targets = locnet.encode(
        tf.constant(boxes, tf.float32), tf.constant(regions, tf.float32), model, cells
    )
    decoded = likeliest_boxes(40 * targets - 20, tf.constant(regions, tf.float32), model)
    cell = np.tile(regions[:, 2:] - regions[:, :2], 2) / cells
    assert np.abs((decoded - boxes) / cell).max() <= 0.5 + 1e-3
    if model == "in_out":
        np.testing.assert_array_equal(
            locnet.threshold_boxes(40 * targets - 20, tf.constant(regions, tf.float32), 0.5),
            decoded,
        )


@every_model
@pytest.mark.parametrize(
    "region, box",
    [
        ([0, 0, 28, 28], [0, 0, 28, 28]),
        ([0, 0, 28, 28], [0, 27, 1, 28]),
        ([0, 0, 28, 28], [3.4, 3.6, 3.6, 3.9]),
        ([10, 10, 20, 30], [-100, -100, 200, 200]),
        ([10, 10, 20, 30], [50, 50, 60, 60]),
        ([0, 0, 28, 28], [0, 0, 0, 0]),
    ],
)
def test_targets_equal_the_written_out_ones(model, region, box):
    targets = locnet.encode(
        tf.constant(box, tf.float32), tf.constant(region, tf.float32), model, 28
    )
    np.testing.assert_array_equal(targets, reference.targets(box, region, model, 28))


@every_model
def test_random_targets_and_loss_equal_the_written_out_ones(rng, model):
    regions = random_regions(rng, 40)
    boxes = boxes_inside(rng, regions, 0, 9)
    logits = rng.normal(0, 3, (40, 2, len(locnet.MODELS[model]), 9)).astype(np.float32)
    targets = locnet.encode(
        tf.constant(boxes, tf.float32), tf.constant(regions, tf.float32), model, 9
    )
    losses = locnet.localisation_loss(tf.constant(logits), targets, model)
    for i in range(40):
        expected = reference.targets(boxes[i], regions[i], model, 9)
        np.testing.assert_array_equal(targets[i], expected)
        np.testing.assert_allclose(losses[i], reference.loss(logits[i], expected, model), rtol=1e-4)


@every_model
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_decoding_equals_the_exhaustive_search(rng, model, spread):
    logits = rng.normal(0, spread, (30, 2, len(locnet.MODELS[model]), 12)).astype(np.float32)
    boxes = likeliest_boxes(tf.constant(logits), tf.constant([0.0, 0, 12, 12]), model).numpy()
    for logit, box in zip(logits, boxes):
        for axis in range(2):
            first, last = (box[[axis, axis + 2]] - 0.5).round().astype(int)
            assert (
                0 <= first < last < 12
            )  # saturated probabilities make ties, so costs are compared
            assert reference.pair_cost(logit[axis], model, first, last) == pytest.approx(
                reference.least_cost(logit[axis], model), abs=1e-3
            )


def test_the_promised_iou_is_that_of_expected_cells(rng):
    logits = rng.normal(0, 3, (20, 2, 7)).astype(np.float32)
    cells = np.sort(rng.permuted(np.tile(np.arange(7), (40, 1)), axis=1)[:, :2]).reshape(20, 2, 2)
    for logit, ends, promised in zip(logits, cells, locnet.promised_iou(logits, cells)):
        expected = 1.0
        for values, (first, last) in zip(logit, ends):
            p = 1 / (1 + np.exp(-values))
            both = sum(p[i] for i in range(7) if first <= i <= last)
            either = sum(1 if first <= i <= last else p[i] for i in range(7))
            expected *= both / either
        np.testing.assert_allclose(promised, expected, rtol=1e-4)
    sure = tf.constant([[-50.0, 50, 50, -50], [50, 50, 50, 50]])
    for ends, iou in (([[1, 2], [0, 3]], 1), ([[1, 1], [0, 3]], 0.5), ([[0, 3], [2, 3]], 0.25)):
        np.testing.assert_allclose(locnet.promised_iou(sure, tf.constant(ends)), iou)


def test_balanced_weights_of_borders():
    """At logits 0 the one cell of a border and all others together cost the same."""

    def loss(targets):
        gradient = tf.zeros([2, 2, 28])
        with tf.GradientTape() as tape:
            tape.watch(gradient)
            value = locnet.localisation_loss(gradient, targets, "borders")
        return tape.gradient(value, gradient).numpy()

    gradient = loss(
        locnet.encode(tf.constant([2.0, 2, 9, 9]), tf.constant([0.0, 0, 28, 28]), "borders", 28)
    )
    np.testing.assert_allclose(
        gradient[gradient > 0].sum(), -gradient[gradient < 0].sum(), rtol=1e-5
    )
    assert (gradient < 0).sum() == 4


@every_model
def test_any_input_has_a_finite_loss_and_a_defined_box(model):
    inf, nan = float("inf"), float("nan")
    regions = [
        [0, 0, 28, 28],
        [5, 5, 5, 5],
        [9, 9, 2, 2],
        [0, 0, inf, inf],
        [nan] * 4,
        [0, 0, 1e-30, 1e30],
    ]
    boxes = [
        [1, 1, 9, 9],
        [0, 0, 0, 0],
        [9, 9, 2, 2],
        [-inf, 0, inf, 5],
        [nan] * 4,
        [0, 0, 1e30, 1e30],
    ]
    regions, boxes = (
        np.array([(r, b) for r in regions for b in boxes], np.float32)[:, k] for k in (0, 1)
    )
    targets = locnet.encode(tf.constant(boxes), tf.constant(regions), model, 28)
    for value in (0.0, 1e4, -1e4):
        assert np.isfinite(
            locnet.localisation_loss(tf.fill(targets.shape, value), targets, model)
        ).all()
    logits = np.zeros([4, 2, len(locnet.MODELS[model]), 28], np.float32)
    logits[1], logits[2], logits[3, 0, :, 5:] = inf, -inf, nan
    found = likeliest_boxes(tf.constant(logits), tf.constant([0.0, 0, 28, 28]), model).numpy()
    assert (found[:3] >= 0).all() and (found[:3, 2:] > found[:3, :2]).all()
    all_nan = likeliest_boxes(tf.fill(logits.shape, nan), tf.constant([0.0, 0, 28, 28]), model)
    assert np.isnan(all_nan).all()


def test_threshold_with_too_few_cells_gives_an_empty_box():
    logits = np.full([3, 2, 1, 28], -9.0, np.float32)
    logits[1, :, :, 4] = 9
    logits[2, :, :, [4, 11]] = 9
    boxes = locnet.threshold_boxes(tf.constant(logits), tf.constant([0.0, 0, 28, 28]), 0.5)
    np.testing.assert_array_equal(boxes, [[0, 0, 0, 0], [0, 0, 0, 0], [4.5, 4.5, 11.5, 11.5]])


def test_search_regions_keep_their_centres():
    np.testing.assert_allclose(
        locnet.search_regions(tf.constant([[10.0, 20, 30, 60]]), 1.5), [[5, 10, 35, 70]]
    )


FPN = [
    "model.backbone.name=xception",
    "model.backbone.out_stride=32",
    "model.fpn.channels=16",
    "model.fpn.levels=[c3, c4, c5]",
    "model.rpn.levels=[p3, p4, p5, p6]",
    "model.rpn.anchor_scales=[4]",
    "model.rpn.anchor_unit=stride",
    "model.head.levels=[p3, p4]",
    "model.head.kind=fc",
]
STAGE5 = [
    "model.backbone.name=resnet50",
    "model.backbone.width=0.125",
    "model.backbone.last_level=c4",
    "model.head.kind=stage5",
    "model.head.levels=[c4]",
    "model.head.pool_size=4",
]
TINY = [
    "model.locnet.channels=8",
    "model.locnet.pool_size=4",
    "model.locnet.cells=7",
    "model.rpn.border_px=-1",
]
BESIDE = {
    "light": ("in_out", ["model.locnet.roi_op=align", "model.head.batch_norm=true"]),
    "fc on a pyramid": ("borders", ["model.head.class_agnostic=true", *FPN]),
    "rfcn": ("combined", ["model.head.kind=rfcn", "model.locnet.clip_search=true"]),
    "stage5": ("in_out", ["model.locnet.decoding=threshold", *STAGE5]),
}


def beside(small_config, head, *more):
    """A Config of LocNet beside a head of BESIDE."""
    model, options = BESIDE[head]
    return small_config(f"model.head.localisation={model}", *TINY, *options, *more)


@pytest.mark.parametrize("head", BESIDE)
def test_beside_every_head_it_trains_and_detects(small_config, random_batch, head):
    config, batch = beside(small_config, head), random_batch(1)
    detector = build_detector(config, 3)
    detector.compile(keras.optimizers.SGD(0.02, momentum=0.9))
    before = {name: variable.numpy() for name, variable in detector.named_variables().items()}
    scalars = detector.train_step(batch)
    assert all(np.isfinite(value) for value in scalars.values()) and scalars["head_locnet"] > 0
    mine = [name for name in before if name.startswith("head/locnet/")]
    assert len(mine) == 8 * (1 + config.model.head.batch_norm)
    for name in mine:
        assert (detector.named_variables()[name].numpy() != before[name]).any(), name
    found = detector.detect(batch["image"], batch["image_size"])["boxes"].numpy()
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 64


def test_boxes_and_scores_may_be_mixed(small_config, random_batch):
    """Borders with those of box regression, class scores with the IoU that is promised."""

    def made(*options):
        keras.utils.set_random_seed(0)
        return build_detector(beside(small_config, "light", *options), 3)

    batch, size = random_batch(2), tf.constant([[64.0, 64], [60, 50]])
    alone = made()
    prepared, proposals = alone.regions(batch["image"], size)
    located, scores = alone.localise(prepared, proposals, size)
    regressed, _ = alone.head.scorer.localise(prepared[0], proposals, size)
    assert np.abs(located - regressed).max() > 2
    mixed = made("model.locnet.regressed_share=0.3")
    boxes, same = mixed.localise(*mixed.regions(batch["image"], size), size)
    np.testing.assert_allclose(boxes, 0.3 * regressed + 0.7 * located, atol=1e-4)
    np.testing.assert_array_equal(same, scores)
    sure = made("model.locnet.iou_power=2")
    same, lower = sure.localise(*sure.regions(batch["image"], size), size)
    np.testing.assert_array_equal(same, located)
    net, regions = sure.head.locnet, locnet.search_regions(proposals, 1.8)
    logits = net(prepared[1], regions)
    promised = locnet.promised_iou(logits[..., 0, :], locnet.likeliest_cells(logits, "in_out"))
    assert lower.shape == scores.shape and promised.shape == located.shape[:-1]
    np.testing.assert_allclose(lower, scores * promised**2, rtol=1e-4)


@pytest.mark.parametrize("head", BESIDE)
def test_no_proposals_give_no_detections(small_config, random_batch, head):
    config, batch = beside(small_config, head), random_batch(1)
    detector = build_detector(config, 3)
    found = detector.detect(batch["image"], batch["image_size"], tf.zeros([1, 0, 4]))
    assert found["num_detections"].numpy().tolist() == [0]


class NoScores(RoIHead):
    """Knows nothing about classes."""

    def prepare(self, maps, image_size, training=False):
        return maps

    def call(self, prepared, boxes, training=False):
        number = tf.shape(boxes)[1]
        return tf.zeros([1, number, self.num_classes + 1]), tf.zeros([1, number, self.num_boxes, 4])


@every_model
def test_it_learns_where_a_bright_object_ends(model):
    """Class 1 of two, on a map that shows the object: each proposal is moved onto it."""
    config, options = (
        configs.HeadConfig(localisation=model, init_std=0, levels=["c3"]),
        configs.LocNetConfig(channels=8, pool_size=14),
    )
    keras.utils.set_random_seed(0)
    head = locnet.LocNetHead(options, NoScores(config, 2), {"c3": 8})
    image = np.zeros([1, 20, 20, 1], np.float32)
    image[:, 4:12, 6:15] = 1
    prepared = head.prepare({"c3": tf.constant(image)}, tf.constant([[160.0, 160]]))
    batch = {
        "boxes": tf.constant([[[32.0, 48, 96, 120]]]),
        "classes": tf.constant([[1]]),
        "ignore": tf.constant([[False]]),
        "image_size": tf.constant([[160.0, 160]]),
    }
    proposals = tf.constant(
        [[[22.0, 40, 90, 110], [40, 50, 110, 130], [30, 30, 90, 120], [32, 60, 110, 120]]]
    )
    optimizer = keras.optimizers.Adam(0.005)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = head.losses(prepared, proposals, batch, tf.zeros([1, 5]), True)[0]["head_locnet"]
            loss = loss.total / loss.count
        optimizer.apply_gradients(
            [
                (g, v)
                for g, v in zip(
                    tape.gradient(loss, head.trainable_variables), head.trainable_variables
                )
            ]
        )
        return loss

    first, *_, last = [float(step()) for _ in range(80)]
    assert last < 0.3 * first
    boxes, _ = head.localise(prepared, proposals, batch["image_size"])
    assert boxes.shape == (1, 4, 2, 4)
    own, other = (box_ops.iou(boxes[0, :, k], batch["boxes"][0]).numpy() for k in (1, 0))
    assert own.min() > 0.85 and other.mean() < own.mean()


def test_only_close_proposals_are_trained_and_no_truth_means_no_loss():
    scorer = NoScores(configs.HeadConfig(localisation="combined"), 2)
    head = locnet.LocNetHead(
        configs.LocNetConfig(channels=4, foreground_iou=0.4), scorer, {"c5": 16}
    )
    prepared = head.prepare({"c5": tf.ones([1, 4, 4, 3])}, tf.constant([[64.0, 64]]))
    batch = {
        "boxes": tf.constant([[[0.0, 0, 20, 20], [0, 0, 0, 0]]]),
        "classes": tf.constant([[0, -1]]),
        "ignore": tf.constant([[False, False]]),
        "image_size": tf.constant([[64.0, 64]]),
    }
    proposals = tf.constant([[[0.0, 0, 20, 10], [0, 0, 20, 7], [30, 30, 50, 50], [0, 0, 0, 0]]])

    def loss(batch):
        return head.losses(prepared, proposals, batch, tf.zeros([1, 9]), True)[0]["head_locnet"]

    assert (
        loss(batch).count == 2 and loss(batch).total > 0
    )  # one proposal, and the ground truth itself
    nothing = loss({**batch, "classes": tf.constant([[-1, -1]])})
    assert nothing.count == 0 and nothing.total == 0


def test_threshold_decoding_is_for_in_out():
    with pytest.raises(ConfigError, match="threshold reads In-Out's probabilities.*borders"):
        configs.load(None, ["model.head.localisation=borders", "model.locnet.decoding=threshold"])
    for option in ("regressed_share=0.5", "iou_power=1"):
        with pytest.raises(ConfigError, match="'model.locnet.iou_power': for boxes of the highest"):
            configs.load(None, [f"model.locnet.{option}", "model.locnet.decoding=threshold"])
    with pytest.raises(ConfigError, match="'model.locnet.iou_power': reads the prob.* borders"):
        configs.load(None, ["model.locnet.iou_power=1", "model.head.localisation=borders"])
