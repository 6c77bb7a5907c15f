"""RPN: layout, targets, losses and proposals."""

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference

from lhrcnn import boxes as box_ops
from lhrcnn import config as configs
from lhrcnn.models.rpn import RPN, Predictions


def make_rpn(**options):
    options = {
        "channels": 8,
        "anchor_scales": [16, 32],
        "anchor_ratios": [1.0],
        "batch_per_image": 16,
        **options,
    }
    return RPN(configs.RPNConfig(**options), {"c4": 16, "c5": 32})


def test_predictions_of_several_levels_line_up_with_their_anchors():
    rpn = make_rpn(levels=["c4", "c5"])
    predictions = rpn(
        {
            "c4": tf.random.stateless_normal([2, 3, 5, 6], [1, 2]),
            "c5": tf.random.stateless_normal([2, 2, 3, 6], [1, 3]),
        }
    )
    num = (3 * 5 + 2 * 3) * 2
    assert (
        predictions.logits.shape == (2, num)
        and predictions.deltas.shape == (2, num, 4)
        and predictions.anchors.shape == (num, 4)
    )
    np.testing.assert_allclose(
        predictions.anchors[:30], reference.anchors(3, 5, 16, [16, 32], [1.0], 0.5), atol=1e-4
    )
    np.testing.assert_allclose(
        predictions.anchors[30:], reference.anchors(2, 3, 32, [16, 32], [1.0], 0.5), atol=1e-4
    )


def test_both_stages_of_the_rpn_share_one_convolution():
    rpn = make_rpn()
    rpn({"c4": tf.zeros([1, 4, 4, 6])})
    assert [v.name.split(":")[0] for v in rpn.weights] == [
        "rpn/conv/kernel",
        "rpn/conv/bias",
        "rpn/objectness/kernel",
        "rpn/objectness/bias",
        "rpn/box/kernel",
        "rpn/box/bias",
    ]


def test_parallel_convolutions_stand_side_by_side(rng):
    rpn = make_rpn(kernel_sizes=[3, 5])
    x = tf.constant(rng.normal(size=(1, 4, 6, 6)), tf.float32)
    predictions = rpn({"c4": x})
    assert [v.name.split(":")[0] for v in rpn.weights][:4] == [
        "rpn/conv/kernel",
        "rpn/conv/bias",
        "rpn/conv5x5/kernel",
        "rpn/conv5x5/bias",
    ]
    assert rpn.objectness.kernel.shape == (1, 1, 16, 2)
    sides = [tf.nn.relu(tf.nn.conv2d(x, conv.kernel, 1, "SAME") + conv.bias) for conv in rpn.convs]
    np.testing.assert_allclose(
        predictions.logits,
        tf.reshape(rpn.objectness(tf.concat(sides, -1)), [1, -1]),
        rtol=1e-4,
        atol=1e-6,
    )


def test_convolutions_one_after_the_other(rng):
    rpn = make_rpn(conv_depth=2)
    x = tf.constant(rng.normal(size=[1, 4, 5, 6]), tf.float32)
    found = rpn({"c4": x}).logits
    (second,) = rpn.deeper
    hidden = tf.nn.relu(second(tf.nn.relu(rpn.convs[0](x))))
    np.testing.assert_allclose(found, tf.reshape(rpn.objectness(hidden), [1, -1]), rtol=1e-5)
    assert [v.name for v in second.weights] == ["rpn/conv2/kernel:0", "rpn/conv2/bias:0"]


def batch_of(boxes, size=64.0):
    num = len(boxes)
    return {
        "boxes": tf.constant([boxes], tf.float32),
        "classes": tf.zeros([1, num], tf.int32),
        "ignore": tf.zeros([1, num], tf.bool),
        "image_size": tf.constant([[size, size]]),
    }


def grid_predictions(rpn, logits=None, deltas=None):
    anchors = tf.constant(reference.anchors(4, 4, 16, [16, 32], [1.0], 0.5), tf.float32)
    logits = tf.zeros([1, 32]) if logits is None else logits
    return Predictions(
        logits, tf.zeros([1, 32, 4]) if deltas is None else deltas, anchors, tf.constant([32])
    )


def test_losses_equal_the_written_out_ones():
    rpn = make_rpn(batch_per_image=1000, positive_fraction=1.0, border_px=-1.0)
    rng = np.random.default_rng(1)
    logits, deltas = (
        rng.normal(size=(1, 32)).astype(np.float32),
        rng.normal(size=(1, 32, 4)).astype(np.float32),
    )
    truth = [[2, 3, 30, 35], [40, 40, 60, 63]]
    predictions = grid_predictions(rpn, tf.constant(logits), tf.constant(deltas))
    losses, foreground = rpn.losses(
        predictions, batch_of(truth), tf.random.stateless_uniform([1, 32], [1, 1])
    )
    anchors = predictions.anchors.numpy()
    labels, matched = reference.match(
        anchors, truth, [0, 0], [False, False], 0.7, 0.3, best_iou=0.0
    )
    objectness = sum(
        np.log1p(np.exp(-x if label == 1 else x))
        for x, label in zip(logits[0], labels)
        if label >= 0
    )
    box = sum(
        reference.smooth_l1(d, reference.encode(truth[m], a), 1 / 9)
        for d, a, label, m in zip(deltas[0], anchors, labels, matched)
        if label == 1
    )
    np.testing.assert_allclose(losses["rpn_objectness"].total, objectness, rtol=1e-5)
    np.testing.assert_allclose(losses["rpn_box"].total, box, rtol=1e-4)
    assert (
        losses["rpn_box"].count == (labels >= 0).sum()
        and foreground.numpy().sum() == (labels == 1).sum()
    )


def test_at_most_half_of_the_sampled_anchors_are_foreground():
    rpn = make_rpn(positive_iou=0.1, batch_per_image=16, border_px=-1.0)
    losses, foreground = rpn.losses(
        grid_predictions(rpn),
        batch_of([[0, 0, 64, 64]]),
        tf.random.stateless_uniform([1, 32], [1, 1]),
    )
    assert foreground.numpy().sum() == 8 and losses["rpn_box"].count <= 16


def test_anchors_outside_the_image_carry_no_loss():
    rpn = make_rpn(batch_per_image=1000, border_px=0.0)
    losses, _ = rpn.losses(
        grid_predictions(rpn),
        batch_of([[0, 0, 0, 0]]),
        tf.random.stateless_uniform([1, 32], [1, 1]),
    )
    inside = [
        a
        for a in reference.anchors(4, 4, 16, [16, 32], [1.0], 0.5)
        if a.min() >= 0 and a.max() <= 64
    ]
    assert losses["rpn_objectness"].count == len(inside)


def test_no_truth_gives_finite_losses_and_no_foreground():
    rpn = make_rpn()
    losses, foreground = rpn.losses(
        grid_predictions(rpn),
        batch_of([[0, 0, 0, 0]]),
        tf.random.stateless_uniform([1, 32], [1, 1]),
    )
    assert (
        losses["rpn_box"].total == 0
        and np.isfinite(losses["rpn_objectness"].total)
        and not foreground.numpy().any()
    )


def test_proposals_are_decoded_clipped_sorted_and_suppressed():
    rpn = make_rpn(pre_nms_test=32, post_nms_test=8, nms_iou=0.5)
    rng = np.random.default_rng(2)
    logits, deltas = (
        rng.normal(size=(1, 32)).astype(np.float32),
        (rng.normal(size=(1, 32, 4)) * 0.3).astype(np.float32),
    )
    predictions = grid_predictions(rpn, tf.constant(logits), tf.constant(deltas))
    proposals = rpn.propose(predictions, tf.constant([[50.0, 64.0]]), training=False)[0].numpy()
    boxes = box_ops.clip(
        box_ops.decode(tf.constant(deltas), predictions.anchors[None]), tf.constant([[50.0, 64.0]])
    )[0].numpy()
    scores = np.where([reference.area(box) > 0 for box in boxes], 1 / (1 + np.exp(-logits[0])), 0)
    kept = reference.nms(boxes, scores, 0.5, 8)
    np.testing.assert_allclose(proposals[: len(kept)], boxes[kept], atol=1e-4)
    assert not proposals[len(kept) :].any() and proposals.shape == (8, 4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_proposals_are_finite_whatever_the_network_says(bad):
    rpn = make_rpn(post_nms_test=8)
    predictions = grid_predictions(rpn, tf.fill([1, 32], bad), tf.fill([1, 32, 4], bad))
    proposals = rpn.propose(predictions, tf.constant([[64.0, 64.0]]), training=False)
    assert np.isfinite(proposals).all() and proposals.shape == (1, 8, 4)


def test_training_and_testing_have_their_own_numbers():
    rpn = make_rpn(post_nms_train=5, post_nms_test=3)
    size = tf.constant([[64.0, 64.0]])
    assert rpn.propose(grid_predictions(rpn), size, training=True).shape == (1, 5, 4)
    assert rpn.propose(grid_predictions(rpn), size, training=False).shape == (1, 3, 4)


def test_proposals_of_low_objectness_are_dropped(rng):
    logits = rng.normal(size=[1, 32]).astype(np.float32)
    kept = {}
    for threshold in (0.0, 0.5):
        rpn = make_rpn(score_threshold=threshold, nms_iou=1.0)
        found = rpn.propose(
            grid_predictions(rpn, tf.constant(logits)), tf.constant([[64.0, 64.0]]), training=False
        )
        kept[threshold] = found.numpy()[0][np.ptp(found.numpy()[0], axis=1) > 0]
    assert len(kept[0.0]) == 32 and len(kept[0.5]) == (logits >= 0).sum()
    np.testing.assert_array_equal(kept[0.5], kept[0.0][: len(kept[0.5])])


def test_small_proposals_are_dropped():
    rpn = make_rpn(min_size_px=20.0, post_nms_test=32, nms_iou=1.0)
    proposals = rpn.propose(grid_predictions(rpn), tf.constant([[64.0, 64.0]]), training=False)[
        0
    ].numpy()
    kept = proposals[proposals.any(1)]
    assert len(kept) and (kept[:, 2:] - kept[:, :2] >= 20).all()


def test_each_level_has_its_own_cap_and_nms_and_the_best_of_all_are_kept(rng):
    rpn = make_rpn(levels=["c4", "c5"], pre_nms_test=20, post_nms_test=12, nms_iou=0.5)
    maps = {
        "c4": tf.random.stateless_normal([1, 4, 5, 6], [1, 2]),
        "c5": tf.random.stateless_normal([1, 2, 3, 6], [1, 3]),
    }
    predictions = rpn(maps)._replace(
        logits=tf.constant(rng.normal(size=(1, 52)), tf.float32),
        deltas=tf.constant(rng.normal(size=(1, 52, 4)) * 0.2, tf.float32),
    )
    size = tf.constant([[64.0, 80.0]])
    proposals = rpn.propose(predictions, size, training=False)[0].numpy()
    boxes = box_ops.clip(box_ops.decode(predictions.deltas, predictions.anchors[None]), size)[
        0
    ].numpy()
    scores = 1 / (1 + np.exp(-predictions.logits[0].numpy()))
    kept = []
    for places in (np.arange(40), np.arange(40, 52)):
        places = places[np.argsort(-scores[places])][:20]
        kept += [places[i] for i in reference.nms(boxes[places], scores[places], 0.5, 12)]
    kept = sorted(kept, key=lambda i: -scores[i])[:12]
    np.testing.assert_allclose(proposals[: len(kept)], boxes[kept], atol=1e-4)
    assert len({i < 40 for i in kept}) == 2  # both levels had a share


def test_anchor_scales_in_strides_grow_with_the_level():
    rpn = make_rpn(levels=["c4", "c5"], anchor_scales=[8], anchor_unit="stride")
    boxes = rpn({"c4": tf.zeros([1, 1, 1, 6]), "c5": tf.zeros([1, 1, 1, 6])}).anchors
    np.testing.assert_allclose(box_ops.size(boxes), [[128, 128], [256, 256]])


def test_l1_loss_of_boxes():
    rpn = make_rpn(batch_per_image=1000, positive_fraction=1.0, border_px=-1.0, box_loss="l1")
    deltas = tf.fill([1, 32, 4], 0.5)
    losses, foreground = rpn.losses(
        grid_predictions(rpn, deltas=deltas), batch_of([[8, 8, 24, 24]]), tf.zeros([1, 32])
    )
    anchors = reference.anchors(4, 4, 16, [16, 32], [1.0], 0.5)
    labels, _ = reference.match(anchors, [[8, 8, 24, 24]], [0], [False], 0.7, 0.3, best_iou=0.0)
    expected = sum(
        np.abs(0.5 - np.array(reference.encode([8, 8, 24, 24], anchor))).sum()
        for anchor, label in zip(anchors, labels)
        if label == 1
    )
    np.testing.assert_allclose(losses["rpn_box"].total, expected, rtol=1e-5)
    assert expected > 0


def test_torchvisions_strides_are_quotients_of_the_padded_image():
    """A map of 7 rows and a coarser one of 4: 7 * 16 px over 4 rows are 28 px each, not 32."""
    rpn = make_rpn(
        levels=["c4", "c5"], anchor_scales=[32], anchor_rounding="torchvision", center_offset=0.0
    )
    anchors = rpn({"c4": tf.zeros([1, 7, 10, 6]), "c5": tf.zeros([1, 4, 5, 6])}).anchors.numpy()[
        70:
    ]
    np.testing.assert_allclose(
        (anchors[:, :2] + anchors[:, 2:]) / 2,
        [[28 * i, 32 * j] for i in range(4) for j in range(5)],
    )


def test_proposals_that_are_too_small_make_room_among_the_best():
    rpn = make_rpn(min_size_px=20, pre_nms_test=1, post_nms_test=4)
    logits = np.zeros([1, 32], np.float32)
    logits[0, 12], logits[0, 15] = 2.0, 1.0  # an anchor of 16 px, and one of 32
    predictions = grid_predictions(rpn, tf.constant(logits))
    proposals = rpn.propose(predictions, tf.constant([[64.0, 64.0]]), training=False).numpy()[0]
    np.testing.assert_allclose(proposals[0], predictions.anchors[15].numpy().clip(0, 64))
    assert not proposals[1:].any()
