"""Second stage: which proposals are trained on what, and how boxes are scored."""

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference

from lhrcnn import config as configs
from lhrcnn.keras import keras
from lhrcnn.models.extractors.light import LightExtractor
from lhrcnn.models.heads.box import BoxHead

STD = np.array([0.1, 0.1, 0.2, 0.2])


class BoxFeatures(keras.layers.Layer):
    """An extractor whose features are the boxes themselves."""

    def prepare(self, maps, training=False):
        return maps

    def call(self, prepared, boxes, training=False):
        return boxes / 64.0


def make_head(**options):
    head = BoxHead(configs.HeadConfig(**options), BoxFeatures(), num_classes=3)
    head(None, tf.zeros([1, 1, 4]))
    rng = np.random.default_rng(0)
    for variable in head.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return head


def make_batch(boxes, classes, ignore=None):
    ignore = [False] * len(boxes) if ignore is None else ignore
    return {
        "boxes": tf.constant([boxes], tf.float32),
        "classes": tf.constant([classes]),
        "ignore": tf.constant([ignore]),
        "image_size": tf.constant([[64.0, 64.0]]),
    }


PROPOSALS = [[0, 0, 20, 20], [2, 1, 19, 21], [30, 30, 60, 60], [40, 0, 60, 10], [0, 0, 0, 0]]
TRUTH = make_batch([[0, 0, 20, 22], [31, 30, 60, 62], [0, 0, 0, 0]], [2, 0, -1])


def written_out_losses(head, agnostic=False):
    """(class loss, box loss, foreground) of every proposal and appended truth."""
    candidates = PROPOSALS + TRUTH["boxes"][0].numpy().tolist()
    labels, matched = reference.match(
        candidates, TRUTH["boxes"][0].numpy(), [2, 0, -1], [False] * 3, 0.5, 0.5
    )
    logits, deltas = (
        output[0].numpy() for output in head(None, tf.constant([candidates], tf.float32))
    )
    rows = []
    for i, candidate in enumerate(candidates):
        if labels[i] < 0:
            continue
        k = [2, 0, -1][matched[i]] if labels[i] == 1 else 3
        class_loss = np.log(np.exp(logits[i]).sum()) - logits[i][k]
        target = (
            np.array(reference.encode(TRUTH["boxes"][0, matched[i]].numpy(), candidate)) / STD
            if labels[i] == 1
            else None
        )
        box_loss = (
            reference.smooth_l1(deltas[i, 0 if agnostic else k], target, 1.0)
            if labels[i] == 1
            else 0.0
        )
        rows.append((class_loss, box_loss, labels[i] == 1))
    return rows


@pytest.mark.parametrize("agnostic", [False, True])
def test_losses_equal_the_written_out_ones(agnostic):
    head = make_head(
        sampler="random",
        batch_per_image=100,
        positive_fraction=1.0,
        class_agnostic=agnostic,
        box_loss_weight=2.0,
    )
    losses, foreground = head.losses(
        None,
        tf.constant([PROPOSALS], tf.float32),
        TRUTH,
        tf.random.stateless_uniform([1, 20], [1, 1]),
        True,
    )
    rows = written_out_losses(head, agnostic)
    np.testing.assert_allclose(losses["head_class"].total, sum(r[0] for r in rows), rtol=1e-4)
    np.testing.assert_allclose(losses["head_box"].total, 2 * sum(r[1] for r in rows), rtol=1e-4)
    assert losses["head_class"].count == len(rows) and foreground.numpy().sum() == sum(
        r[2] for r in rows
    )


def test_ohem_keeps_the_proposals_with_the_highest_summed_loss():
    head = make_head(sampler="ohem", batch_per_image=3, box_loss_weight=2.0)
    losses, _ = head.losses(
        None, tf.constant([PROPOSALS], tf.float32), TRUTH, tf.zeros([1, 20]), True
    )
    rows = sorted(written_out_losses(head), key=lambda r: -(r[0] + r[1]))[:3]
    np.testing.assert_allclose(losses["head_class"].total, sum(r[0] for r in rows), rtol=1e-4)
    np.testing.assert_allclose(losses["head_box"].total, 2 * sum(r[1] for r in rows), rtol=1e-4)
    assert losses["head_class"].count == 3


def test_ohem_of_fewer_candidates_than_asked_keeps_all():
    losses, _ = make_head(batch_per_image=256).losses(
        None, tf.constant([PROPOSALS], tf.float32), TRUTH, tf.zeros([1, 20]), True
    )
    assert losses["head_class"].count == 6  # four proposals with an area and two truths


def test_without_truth_or_proposals_losses_are_finite():
    nothing = make_batch([[0, 0, 0, 0]], [-1])
    for sampler in ("ohem", "random"):
        head = make_head(sampler=sampler)
        for proposals in (PROPOSALS, [[0, 0, 0, 0]]):
            losses, foreground = head.losses(
                None, tf.constant([proposals], tf.float32), nothing, tf.zeros([1, 20]), True
            )
            assert (
                np.isfinite(losses["head_class"].total)
                and losses["head_box"].total == 0
                and not foreground.numpy().any()
            )


def test_crowds_are_neither_foreground_nor_background_nor_appended():
    head = make_head(sampler="random", batch_per_image=100)
    crowd = make_batch([[0, 0, 30, 30]], [1], [True])
    losses, foreground = head.losses(
        None, tf.constant([PROPOSALS], tf.float32), crowd, tf.zeros([1, 20]), True
    )
    assert losses["head_class"].count == 2 and not foreground.numpy().any()


@pytest.mark.parametrize("box_loss", ["smooth_l1", "l1", "giou"])
def test_a_perfect_box_costs_nothing(box_loss):
    head = make_head(box_loss=box_loss, sampler="random", positive_fraction=1.0)
    for variable in head.class_boxes.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    batch = make_batch([[0, 0, 20, 20]], [1])
    losses, foreground = head.losses(
        None, tf.constant([[[0.0, 0, 20, 20]]]), batch, tf.zeros([1, 20]), True
    )
    assert foreground.numpy().sum() == 2
    np.testing.assert_allclose(losses["head_box"].total, 0, atol=1e-5)


@pytest.mark.parametrize("agnostic", [False, True])
def test_localise_decodes_each_class_and_clips(agnostic):
    head = make_head(class_agnostic=agnostic)
    proposals = tf.constant([PROPOSALS], tf.float32)
    boxes, scores = head.localise(None, proposals, tf.constant([[50.0, 64.0]]))
    assert boxes.shape == (1, 5, 1 if agnostic else 3, 4) and scores.shape == (1, 5, 3)
    logits, deltas = head(None, proposals)
    np.testing.assert_allclose(scores[0, :4], tf.nn.softmax(logits)[0, :4, :3], rtol=1e-5)
    assert not scores[0, 4].numpy().any(), "padding has no score"
    assert boxes.numpy()[..., 2].max() <= 50 and boxes.numpy().min() >= 0
    zero = make_head(class_agnostic=agnostic)
    for variable in zero.class_boxes.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    np.testing.assert_allclose(
        zero.localise(None, proposals, tf.constant([[64.0, 64.0]]))[0][0, :4, 0],
        PROPOSALS[:4],
        atol=1e-4,
    )


class MeanFeatures(BoxFeatures):
    """An extractor whose features depend on the maps and the boxes."""

    def call(self, prepared, boxes, training=False):
        return tf.reduce_mean(prepared["c5"], [1, 2])[:, None] * boxes / 64.0


def test_global_context_puts_the_features_of_the_whole_image_behind_those_of_each_box():
    head = BoxHead(configs.HeadConfig(global_context=True), MeanFeatures(), num_classes=3)
    sizes = tf.constant([[64.0, 64.0], [32.0, 48.0]])
    boxes = tf.constant([PROPOSALS[:2], PROPOSALS[2:4]], tf.float32)
    maps = {"c5": tf.Variable(tf.ones([2, 4, 4, 4]))}
    with tf.GradientTape() as tape:
        prepared = head.prepare(maps, sizes)
        features = head.features(prepared, boxes)
        logits, deltas = head(prepared, boxes)
        context_alone = tf.reduce_sum(features[..., 4:])
    np.testing.assert_allclose(features[..., :4], boxes / 64)
    np.testing.assert_allclose(features[..., 4:], [[[0, 0, 1, 1]] * 2, [[0, 0, 0.5, 0.75]] * 2])
    assert (
        logits.shape == (2, 2, 4)
        and deltas.shape == (2, 2, 3, 4)
        and head.class_scores.kernel.shape[0] == 8
    )
    assert np.abs(tape.gradient(context_alone, maps["c5"])).sum() > 0, (
        "the context is trained end to end"
    )


def test_batch_norm_sees_the_whole_image_among_its_boxes():
    config = configs.HeadConfig(global_context=True, batch_norm=True, levels=["c5"], fc_channels=6)
    extractor = LightExtractor(configs.ModelConfig(head=config), {"c5": 16})
    head = BoxHead(config, extractor, num_classes=3)
    sizes = tf.constant([[64.0, 64.0], [32.0, 48.0]])
    whole = tf.concat([tf.zeros([2, 2]), sizes], 1)
    boxes = tf.stack([tf.constant([[0.0, 0, 20, 20], [8, 8, 30, 40]]), whole], 1)
    prepared = head.prepare(
        {"c5": tf.random.stateless_normal([2, 4, 4, 4], [1, 2])}, sizes, training=True
    )
    features = head.features(prepared, boxes, training=True)
    np.testing.assert_allclose(features[:, 1, :6], features[:, 1, 6:], atol=1e-6)
    assert np.abs(features[:, 0, :6] - features[:, 0, 6:]).max() > 0.1
