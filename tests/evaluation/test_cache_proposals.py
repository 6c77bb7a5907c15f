"""Proposals of a tiny detector, written and taken up again."""

import numpy as np
import pytest
import tensorflow as tf
from data.samples import write_sized

from lhrcnn import config
from lhrcnn.data.batches.pipeline import evaluation_batches
from lhrcnn.data.datasets import open_dataset
from lhrcnn.evaluation.detect import detect_dataset
from lhrcnn.evaluation.proposals import cache_proposals, fingerprint
from lhrcnn.keras import keras
from lhrcnn.models.build import build_detector

TINY = [
    "data.format=coco",
    "data.short_side=[32]",
    "data.long_side=64",
    "data.pad_multiple=16",
    "eval.batch_size=2",
    "model.backbone.name=vgg16",
    "model.backbone.width=0.03125",
    "model.rpn.anchor_scales=[8, 16]",
    "model.rpn.post_nms_test=6",
    "model.rpn.channels=8",
    "model.rpn.init_std=0.1",
    "model.head.pool_size=2",
    "model.head.fc_channels=8",
    "model.head.mid_channels=2",
    "model.head.thin_channels=2",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(detector, Dataset of three images, Config, folder with the detector's proposals)."""
    folder = tmp_path_factory.mktemp("proposals")
    write_sized(folder / "data", [(24, 36), (36, 24), (30, 30)])
    options = config.load(overrides=[*TINY, f"data.dir={folder / 'data'}"])
    keras.utils.set_random_seed(0)
    detector = build_detector(options, 1)
    dataset = open_dataset(options.data, "train")
    assert cache_proposals(detector, dataset, options, folder / "made", "train")
    return detector, dataset, options, folder / "made"


def test_a_second_stage_finds_the_same_with_proposals_from_disk(made):
    detector, dataset, options, folder = made
    own = detect_dataset(detector, dataset, options, progress=False)
    read = open_dataset(
        config.load(
            overrides=[*TINY, f"data.dir={folder.parent / 'data'}", f"data.proposals={folder}"]
        ).data,
        "train",
    )
    for batch in evaluation_batches(read, options.data, 2):
        expected = detector.regions(batch["image"], batch["image_size"])[1].numpy()[
            batch["image_id"] >= 0
        ]
        np.testing.assert_allclose(
            batch["proposals"].numpy()[batch["image_id"] >= 0], expected, atol=1e-4
        )
        assert (expected[:, 0] != 0).any()
    detector.rpn.propose, propose = None, detector.rpn.propose  # is not to be used
    try:
        found = detect_dataset(detector, read, options, progress=False)
    finally:
        detector.rpn.propose = propose
    assert len(found) == len(own) > 0
    np.testing.assert_allclose(found.scores, own.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, own.boxes, atol=1e-2)


def test_the_fingerprint_is_that_of_what_proposals_depend_on(made):
    detector, dataset, options, folder = made
    names, before = detector.named_variables(), fingerprint(detector, options)
    names["head/class_scores/kernel"].assign_add(tf.ones_like(names["head/class_scores/kernel"]))
    assert fingerprint(detector, options) == before
    assert not cache_proposals(detector, dataset, options, folder, "train")
    assert (
        fingerprint(detector, config.load(overrides=[*TINY, "model.rpn.post_nms_test=7"])) != before
    )
    assert (
        fingerprint(detector, config.load(overrides=[*TINY, "data.test_short_side=33"])) != before
    )
    in_16_bits = config.load(overrides=[*TINY, "test.precision=mixed_bfloat16"])
    assert fingerprint(detector, in_16_bits) != before
    names["rpn/box/bias"].assign_add(tf.fill([24], 0.5))
    assert fingerprint(detector, options) != before
    assert cache_proposals(detector, dataset, options, folder, "train")
