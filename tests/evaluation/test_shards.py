"""Shares of an evaluation: together they are the whole, to the last bit, and nothing else is taken
for them."""

import dataclasses

import numpy as np
import pytest
from evaluation.test_detect import dataset, settings  # noqa: F401  a fixture

from lhrcnn.config import EvalConfig
from lhrcnn.evaluation import detect as evaluate
from lhrcnn.evaluation import shards
from lhrcnn.evaluation.detections import empty
from lhrcnn.evaluation.scoring import score
from lhrcnn.evaluation.shards import ShardError
from lhrcnn.models import build

TINY = [
    "model.backbone.width=0.25",
    "model.rpn.channels=16",
    "model.rpn.pre_nms_test=50",
    "model.rpn.post_nms_test=10",
    "model.head.mid_channels=4",
    "model.head.fc_channels=16",
    "model.rpn.anchor_scales=[16, 32]",
]


@pytest.fixture(scope="module")
def detector():
    return build.build_detector(settings(*TINY), 3)


def save_shares(dataset, folder, detect, identity="this one"):  # noqa: F811
    """Paths of three shares."""
    paths = [folder / f"share_{index}.npz" for index in (1, 2, 3)]
    for index, path in enumerate(paths, start=1):
        part = shards.share_of(dataset, index, 3)
        with open(path, "wb") as file:
            shards.save(file, detect(part), part, identity)
    return paths


def test_shares_together_are_the_whole(detector, dataset, tmp_path):  # noqa: F811
    identity = shards.fingerprint(detector.named_variables(), settings(*TINY), dataset)
    paths = save_shares(
        dataset,
        tmp_path,
        lambda part: evaluate.detect_dataset(detector, part, settings(*TINY), progress=False),
        identity,
    )
    whole = evaluate.detect_dataset(detector, dataset, settings(*TINY), progress=False)
    merged = shards.merge(paths, dataset, identity)
    assert len(whole) > 0
    for field in dataclasses.fields(whole):
        np.testing.assert_array_equal(getattr(merged, field.name), getattr(whole, field.name))
    options = EvalConfig(metrics=["coco", "voc07", "ilsvrc"])
    scored, expected = (score(dataset, found, options) for found in (merged, whole))
    for name, numbers in expected.items():
        per_class = pytest.approx(numbers["per_class"], abs=0, nan_ok=True)
        assert scored[name]["per_class"] == per_class


def test_detections_come_in_the_order_of_the_images(detector, dataset):  # noqa: F811
    options = settings(*TINY, "eval.batch_size=2")
    found = evaluate.detect_dataset(detector, dataset, options, progress=False)
    assert (np.diff(found.image_ids) >= 0).all()
    for image_id in np.unique(found.image_ids):
        assert (np.diff(found.scores[found.image_ids == image_id]) <= 0).all()


def test_fingerprints_tell_what_matters(detector, dataset):  # noqa: F811
    def of(*overrides, images=dataset):
        return shards.fingerprint(detector.named_variables(), settings(*TINY, *overrides), images)

    assert of() == of("data.dir=elsewhere", "train.epochs=3", "eval.batch_size=1")
    others = of("model.postprocess.nms_iou=0.4"), of("data.flip=false")
    assert len({of(), *others, of(images=shards.share_of(dataset, 1, 2))}) == 4
    variable = next(iter(detector.named_variables().values()))
    old, before = variable.numpy(), of()
    variable.assign(old + 1)
    assert of() != before
    variable.assign(old)


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda paths: paths[1].unlink(), "1 of 3 shares are missing: .*share_2.npz"),
        (
            lambda paths: paths[1].write_bytes(paths[1].read_bytes()[:200]),
            "share_2.npz: not readable as a share",
        ),
        (
            lambda paths: paths[1].write_bytes(paths[0].read_bytes()),
            "the shares hold 8 images, of which 5 differ, the data set has 7",
        ),
    ],
)
def test_incomplete_shares_are_refused(dataset, tmp_path, spoil, words):  # noqa: F811
    paths = save_shares(dataset, tmp_path, lambda part: empty())
    spoil(paths)
    with pytest.raises(ShardError, match=words):
        shards.merge(paths, dataset, "this one")


def test_shares_of_another_evaluation_are_refused(dataset, tmp_path):  # noqa: F811
    paths = save_shares(dataset, tmp_path, lambda part: empty())
    with pytest.raises(ShardError, match="share_1.npz: a share of another evaluation"):
        shards.merge(paths, dataset, "another")
