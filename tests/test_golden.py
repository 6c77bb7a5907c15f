"""Converted checkpoints compute what the original libraries compute: stage by stage, on one image,
with seeded weights."""

import importlib.util
import typing

import numpy as np
import pytest
import tensorflow as tf
from reference import detection as reference

from lhrcnn import config as configs
from lhrcnn.choices import resolve
from lhrcnn.commands import find_config
from lhrcnn.runs.convert import build_converted
from lhrcnn.weights.sources import SOURCES

SYSTEMS = {  # golden file: (source, config)
    "mmdet_faster_rcnn_r50_fpn": ("mmdet", "faster_rcnn_resnet50_fpn_coco"),
    "mmdet_faster_rcnn_x101_64x4d_fpn": ("mmdet", "faster_rcnn_resnext101_64x4d_fpn_coco"),
    **{
        f"torchvision_fasterrcnn_{name}": ("torchvision", f"faster_rcnn_{name}_coco_torchvision")
        for name in (
            "resnet50_fpn",
            "resnet50_fpn_v2",
            "mobilenet_v3_large_fpn",
            "mobilenet_v3_large_320_fpn",
        )
    },
    "chenyuntc_faster_rcnn_vgg16": ("chenyuntc", "faster_rcnn_vgg16_voc07"),
}
SLOW = "mmdet_faster_rcnn_x101_64x4d_fpn"
SIZE = (224, 320)


class System(typing.NamedTuple):
    """What one golden file holds, and what ours computes."""

    golden: dict
    levels: list  # of the RPN, from fine to coarse
    maps: dict  # level -> [h, w, C]
    logits: list  # of each RPN level [h, w, A]
    deltas: list  # of each RPN level [h, w, A, 4]
    proposals: np.ndarray
    roi_logits: np.ndarray  # of the golden proposals
    roi_deltas: np.ndarray
    detections: dict


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow) if name == SLOW else name for name in SYSTEMS
    ],
)
def system(request, shared):
    """A System, computed once."""
    folder = shared / "golden"
    if not folder.is_dir():
        pytest.skip(f"needs the golden outputs at {folder}")
    spec = importlib.util.spec_from_file_location("seeded_weights", folder / "seeded_weights.py")
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    source_name, config_name = SYSTEMS[request.param]
    config = configs.load(find_config(config_name))
    source = resolve(SOURCES[source_name].describe)(
        seeded.make(str(folder / f"{request.param}.manifest.json")), config.model
    )
    detector, *_ = build_converted(source, config, source.num_classes, request.param)
    with np.load(folder / f"{request.param}.npz") as file:
        return run(
            detector, config.model, dict(file), tf.constant(seeded.image(*SIZE, seed=0)[None])
        )


def run(detector, model, golden, image):
    size = tf.constant([SIZE], tf.float32)
    maps = detector.backbone(detector.preprocess(image, size))
    predictions = detector.rpn(maps)
    shapes = [
        (*maps[level].shape[1:3], len(model.rpn.anchor_scales) * len(model.rpn.anchor_ratios))
        for level in model.rpn.levels
    ]
    parts = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    given = (
        golden["proposals_yxyx"]
        if "proposals_yxyx" in golden
        else golden["proposals_xyxy"][:, [1, 0, 3, 2]]
    )
    roi_logits, roi_deltas = detector.head(
        detector.head.prepare(maps, size), tf.constant(given[None])
    )
    return System(
        golden,
        model.rpn.levels,
        {level: array.numpy()[0] for level, array in maps.items()},
        [
            part.reshape(shape)
            for part, shape in zip(np.split(predictions.logits.numpy()[0], parts), shapes)
        ],
        [
            part.reshape(*shape, 4)
            for part, shape in zip(np.split(predictions.deltas.numpy()[0], parts), shapes)
        ],
        detector.rpn.propose(predictions, size, training=False).numpy()[0],
        roi_logits.numpy()[0],
        roi_deltas.numpy()[0],
        {name: value.numpy()[0] for name, value in detector.detect(image, size).items()},
    )


def assert_close(ours, golden):
    """Equal to 1e-4 of the array's own spread."""
    assert ours.shape == golden.shape
    np.testing.assert_allclose(ours, golden, rtol=0, atol=1e-4 * golden.std())


def assert_same_order(close):
    """close [n, m]: whether golden row i equals our row j.

    Each is ours of the same place, give or take a tie with a neighbour."""
    ours = [
        next(
            (j for j in (i, i - 1, i + 1, i - 2, i + 2) if 0 <= j < close.shape[1] and close[i, j]),
            None,
        )
        for i in range(len(close))
    ]
    missing = [i for i, j in enumerate(ours) if j is None]
    assert not missing and len(set(ours)) == len(ours), f"rows {missing} differ"


def channels_first(array):
    return np.moveaxis(array, -1, 0).ravel()


def xyxy(boxes):
    return boxes[..., [1, 0, 3, 2]]


def test_feature_maps(system):
    if "feature_every_7th" in system.golden:
        assert_close(
            channels_first(system.maps["c5"])[::7][:6000], system.golden["feature_every_7th"]
        )
        return
    pyramid = [system.maps[level] for level in system.levels]
    assert f"feature_{len(pyramid)}_shape" not in system.golden
    for index, array in enumerate(pyramid):
        assert (1, array.shape[2], *array.shape[:2]) == tuple(
            system.golden[f"feature_{index}_shape"]
        )
        assert_close(channels_first(array)[::7][:4000], system.golden[f"feature_{index}_every_7th"])


def test_region_proposal_network(system):
    golden = system.golden
    if "rpn_deltas_yxhw" in golden:
        assert_close(
            system.logits[0].ravel()[:6000],
            golden["rpn_scores_bg_fg"] @ np.array([-1, 1], np.float32),
        )
        assert_close(system.deltas[0].reshape(-1, 4)[:6000], golden["rpn_deltas_yxhw"])
        return
    for index, (logits, deltas) in enumerate(zip(system.logits, system.deltas)):
        assert_close(channels_first(logits)[::3][:6000], golden[f"rpn_logits_{index}"])
        assert_close(
            channels_first(xyxy(deltas).reshape(*deltas.shape[:2], -1))[::7][:6000],
            golden[f"rpn_deltas_{index}"],
        )


def test_proposals(system):
    golden = (
        system.golden["proposals_yxyx"]
        if "proposals_yxyx" in system.golden
        else xyxy(system.golden["proposals_xyxy"])
    )
    real = system.proposals[np.ptp(system.proposals, axis=1) > 0]
    assert len(real) >= len(golden) and (len(golden) == 300 or len(real) == len(golden))
    assert_same_order(np.abs(golden[:, None] - real[None]).max(-1) < 0.05)


def test_box_head(system):
    golden = system.golden
    if "roi_logits" in golden:
        logits, deltas = (
            golden["roi_logits"],
            golden["roi_deltas"].reshape(len(golden["roi_deltas"]), -1, 4)[..., [1, 0, 3, 2]],
        )
        if deltas.shape[1] == logits.shape[1]:  # torchvision: the background first
            logits, deltas = np.roll(logits, -1, 1), deltas[:, 1:]
    else:
        logits, deltas = (
            np.roll(golden["roi_logits_bg_first"], -1, 1),
            golden["roi_deltas_yxhw"].reshape(-1, 21, 4)[:, 1:],
        )
    assert_close(system.roi_logits, logits)
    assert_close(system.roi_deltas, deltas)


def test_detections(system):
    golden, found = system.golden, system.detections
    if "det_xyxy" in golden:
        boxes, scores = xyxy(golden["det_xyxy"]), golden["det_scores"]
        labels = golden["det_labels"] - (1 if golden["roi_logits"].shape[1] == 91 else 0)
    else:
        boxes, scores, labels = detections_of_vgg16(golden)
    number = found["num_detections"]
    assert number == len(boxes)
    close = (
        (np.abs(boxes[:, None] - found["boxes"][None, :number]).max(-1) < 0.05)
        & (labels[:, None] == found["classes"][None, :number])
        & (np.abs(scores[:, None] - found["scores"][None, :number]) < 1e-3)
    )
    assert_same_order(close)


def detections_of_vgg16(golden):
    """(boxes, scores, labels), best first, from the golden outputs of both stages: score .05, NMS
    .3 in each class, at most 300."""
    logits = golden["roi_logits_bg_first"]
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    proposals = golden["proposals_yxyx"][:, None]
    deltas = golden["roi_deltas_yxhw"].reshape(-1, 21, 4) * np.array(
        [0.1, 0.1, 0.2, 0.2], np.float32
    )
    size = proposals[..., 2:] - proposals[..., :2]
    center = proposals[..., :2] + size / 2 + deltas[..., :2] * size
    half = size * np.exp(deltas[..., 2:]) / 2
    decoded = np.concatenate([center - half, center + half], -1).clip(0, [*SIZE, *SIZE])
    kept = []
    for label in range(20):
        chosen = np.flatnonzero(probabilities[:, label + 1] > 0.05)
        boxes, scores = decoded[chosen, label + 1], probabilities[chosen, label + 1]
        kept += [(scores[k], label, boxes[k]) for k in reference.nms(boxes, scores, 0.3, 300)]
    scores, labels, boxes = zip(*sorted(kept, key=lambda entry: -entry[0])[:300])
    return np.array(boxes), np.array(scores), np.array(labels)
