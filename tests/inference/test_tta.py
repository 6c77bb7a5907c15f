"""Several scales, mirrored images and several models: each against what it is made of, written out
image by image."""

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import draw_image, make_run

from lhrcnn import boxes as box_ops
from lhrcnn.config import PostprocessConfig
from lhrcnn.errors import ConfigError
from lhrcnn.inference import tta
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector, load_run

SIZES = tf.constant([[64.0, 96.0], [60.0, 90.0]])
FC = [
    "model.head.kind=fc",
    "model.head.levels=[c5]",
    "model.head.fc_channels=16",
    "model.head.roi_op=align",
]
OTHER_RUN = ["model.rpn.anchor_scales=[24]", "model.head.kind=fc", "model.head.class_agnostic=true"]


@pytest.fixture(scope="module")
def images():
    """Two images on a canvas of 64 x 96, zero outside the valid sizes."""
    pixels = np.stack([draw_image(64, 96, seed) for seed in (0, 1)])
    pixels[1, 60:], pixels[1, :, 90:] = 0, 0
    return tf.constant(pixels)


@pytest.fixture(scope="module")
def detector(run_dir):
    return load_run(run_dir).model


def candidates(detector, images):
    return [value.numpy() for value in detector.candidates(images, SIZES)]


def test_by_default_nothing_is_added(run_dir, detector):
    run = load_run(run_dir)
    assert type(run.model) is type(detector) and run.config.data.test_short_side == 0


def test_mirrored_images(detector, images):
    """What is found in an image mirrored by hand, with its boxes mirrored back, stands beside what
    is found in the image itself."""
    boxes, scores, _ = candidates(tta.MergedViews(detector, [1.0], True, 16), images)
    number = boxes.shape[1] // 2
    own = candidates(detector, images)
    np.testing.assert_allclose(boxes[:, :number], own[0], atol=1e-3)
    mirrored = images.numpy().copy()
    for k, (_, width) in enumerate(SIZES.numpy().astype(int)):
        mirrored[k, :, :width] = mirrored[k, :, :width][:, ::-1]
    other = candidates(detector, tf.constant(mirrored))
    other[0][..., [1, 3]] = SIZES.numpy()[:, 1, None, None] - other[0][..., [3, 1]]
    np.testing.assert_allclose(boxes[:, number:], other[0], atol=1e-3)
    np.testing.assert_allclose(scores[:, number:], other[1], atol=1e-5)
    assert not np.allclose(own[1], other[1], atol=1e-3)


def shrunk(images, share):
    """The canvas at a share of its size, padded to multiples of 16."""
    height, width = (round(side * share) for side in images.shape[1:3])
    small = tf.image.resize(images, [height, width], antialias=True)
    return tf.pad(small, [[0, 0], [0, -height % 16], [0, -width % 16], [0, 0]]), np.array(
        [height / 64, width / 96], np.float32
    )


def test_detections_of_scales_are_merged(detector, images):
    boxes, scores, _ = candidates(tta.MergedViews(detector, [0.75, 1.5], False, 16), images)
    number = boxes.shape[1] // 2
    small, factor = shrunk(images, 0.5)
    own = detector.candidates(small, SIZES * factor)
    np.testing.assert_allclose(boxes[:, :number], own.boxes / np.tile(factor, 2), atol=1e-3)
    np.testing.assert_allclose(scores[:, :number], own.scores, atol=1e-5)
    np.testing.assert_allclose(boxes[:, number:], candidates(detector, images)[0], atol=1e-3)
    found = tta.MergedViews(detector, [0.75, 1.5], True, 16).detect(images, SIZES)
    assert found["boxes"].shape == (2, 8, 4) and (found["num_detections"].numpy() > 0).all()


@pytest.mark.parametrize(
    "overrides", [[], FC, ["model.head.global_context=true"]], ids=["light", "fc", "context"]
)
def test_maxout_equals_the_written_out_one(tmp_path, images, overrides):
    """Every box by itself: features at both of its scales, their maximum, the class layers."""
    detector = load_run(make_run(tmp_path / "run", overrides)).model
    scales, roi_side = [0.5, 1.0, 2.0], 20.0
    maxout = tta.Maxout(detector, scales[::-1], roi_side, 16)
    prepared, proposals = maxout.regions(images, SIZES)
    half, factor = shrunk(images, 0.5)
    usual = detector.regions(half, SIZES * factor)[1]
    np.testing.assert_allclose(proposals, usual / np.tile(factor, 2), atol=1e-3)
    boxes = tf.constant(
        [
            [[0.0, 0, 20, 20], [4, 4, 60, 90], [10, 10, 18, 16], [0, 0, 0, 0]],
            [[0, 0, 60, 60], [5, 5, 30, 40], [1, 2, 9, 80], [0, 0, 64, 64]],
        ]
    )
    found_boxes, found_scores = maxout.localise(prepared, boxes, SIZES)
    chosen = set()
    for k in range(2):
        for n in range(4):
            box = boxes[k, n].numpy()
            side = max(np.sqrt((box[2] - box[0]) * (box[3] - box[1])), 1e-3)
            distances = [abs(np.log(side * scale / 2 / roi_side)) for scale in scales]
            lower = int(np.argmin([distances[0] + distances[1], distances[1] + distances[2]]))
            chosen.add(lower)
            features = []
            for index in (lower, lower + 1):
                share = scales[index] / 2
                small, factor = (
                    shrunk(images, share) if share < 1 else (images, np.ones(2, np.float32))
                )
                size = SIZES * factor
                maps = detector.backbone(detector.preprocess(small, size))
                features.append(
                    detector.head.features(
                        detector.head.prepare(maps, size), boxes[:, n : n + 1] * np.tile(factor, 2)
                    )[k, 0]
                )
            merged = tf.maximum(*features)[None, None]
            expected = detector.head.decode(
                *detector.head.outputs(merged), boxes[k : k + 1, n : n + 1], SIZES[k : k + 1]
            )
            np.testing.assert_allclose(found_boxes[k, n], expected[0][0, 0], atol=1e-2)
            np.testing.assert_allclose(found_scores[k, n], expected[1][0, 0], atol=1e-4)
    assert chosen == {0, 1}


def test_an_ensemble_unites_proposals_and_averages(tmp_path, detector, images):
    other = load_run(make_run(tmp_path / "run", OTHER_RUN, seed=1)).model
    ensemble = tta.Ensemble([detector, other])
    boxes, scores = ensemble.localise(*ensemble.regions(images, SIZES), SIZES)
    prepared, proposals = zip(*(model.regions(images, SIZES) for model in (detector, other)))
    united = tf.concat(proposals, 1)
    first, second = (
        model.localise(own, united, SIZES) for model, own in zip((detector, other), prepared)
    )
    np.testing.assert_allclose(scores, (first[1] + second[1]) / 2, atol=1e-6)
    np.testing.assert_allclose(boxes, (first[0] + second[0].numpy().repeat(3, 2)) / 2, atol=1e-3)


def test_given_proposals_are_looked_at_in_every_view(detector, images):
    given = tf.constant([[[0.0, 0, 30, 40], [10, 20, 50, 60]], [[5, 5, 60, 60], [0, 0, 0, 0]]])
    views = tta.MergedViews(detector, [0.5, 1.0], True, 16).candidates(images, SIZES, given)
    own = detector.candidates(images, SIZES, given)
    small, factor = shrunk(images, 0.5)
    smaller = detector.candidates(small, SIZES * factor, given * np.tile(factor, 2))
    number = own.boxes.shape[1]
    boxes = views.boxes.numpy()
    assert boxes.shape[1] == 4 * number
    np.testing.assert_allclose(boxes[:, :number], smaller.boxes / np.tile(factor, 2), atol=1e-3)
    np.testing.assert_allclose(boxes[:, number : 2 * number], own.boxes, atol=1e-3)
    mirrored_images = tta._mirrored(images, SIZES)
    mirrored = box_ops.mirror(given, SIZES[:, 1, None])
    last = detector.candidates(mirrored_images, SIZES, mirrored)
    np.testing.assert_allclose(views.scores[:, 3 * number :], last.scores, atol=1e-5)
    maxout, ensemble = tta.Maxout(detector, [0.5, 1.0], 20.0, 16), tta.Ensemble([detector] * 2)
    for combination in (maxout, ensemble):
        np.testing.assert_array_equal(combination.regions(images, SIZES, given)[1], given)


def test_an_ensemble_of_one_model_finds_what_the_model_finds(detector, images):
    models = detector, tta.Ensemble([detector, detector])
    once, twice = (model.detect(images, SIZES) for model in models)
    for name in once:
        np.testing.assert_allclose(once[name], twice[name], atol=1e-4)


def test_options_choose_the_combination(run_dir):
    def model(*overrides, ensemble=()):
        run = load_run(run_dir, overrides=[f"test.{item}" for item in overrides], ensemble=ensemble)
        return run.model, run.config.data

    several, data = model("scales=[0.5, 1, 1.5]")
    assert isinstance(several, tta.Maxout) and (data.test_short_side, data.long_side) == (96, 192)
    merged, data = model("scales=[0.5, 1]", "merge=detections", "flip=true")
    assert isinstance(merged, tta.MergedViews) and merged.scales == [0.5, 1]
    assert data.test_short_side == 0
    both, _ = model("scales=[0.5, 1]", "flip=true", ensemble=[run_dir])
    assert isinstance(both, tta.MergedViews) and isinstance(both.detector, tta.Ensemble)
    assert isinstance(both.detector.detectors[1], tta.Maxout)
    assert both.detector.postprocess.pre_nms == 2 * several.postprocess.pre_nms
    assert len(both.named_variables()) == 2 * len(several.named_variables())
    assert both.counts == several.counts == load_run(run_dir).model.counts  # for the report


def test_models_that_do_not_belong_together(run_dir, tmp_path):
    cases = (
        ("size", ["data.short_side=[32]"], r"'data.short_side' is \[32\], \[64\] in"),
        ("names", [], "same classes"),
    )
    for name, overrides, words in cases:
        folder = make_run(tmp_path / name, overrides)
        if name == "names":
            (folder / "classes.json").write_text(
                '{"names": ["x", "y", "z"], "category_ids": [1, 2, 3]}'
            )
        with pytest.raises(ValueError, match=words):
            load_run(run_dir, ensemble=[folder])


def test_heads_without_features(run_dir):
    for option in ("test.scales=[0.5, 1]", "model.head.global_context=true"):
        with pytest.raises(ConfigError, match="rfcn head has no features"):
            load_run(run_dir, overrides=["model.head.kind=rfcn", option])


def test_predictions_come_back_to_the_image_and_are_exported(run_dir, tmp_path):
    overrides = ["test.scales=[0.5, 1.5]", "test.roi_side=30"]
    detector = Detector(load_run(run_dir, overrides=overrides))
    pixels = draw_image(50, 80)
    found = detector.predict(pixels)
    assert len(found) and (found.boxes[:, 2:] <= [50, 80]).all() and found.boxes.max() > 40
    saved = tf.saved_model.load(str(export(run_dir, tmp_path / "saved", overrides=overrides)))
    exported = saved.signatures["image_tensor"](image_tensor=tf.constant(pixels[None]))
    np.testing.assert_allclose(exported["boxes"][0, : len(found)], found.boxes, atol=0.05)
    np.testing.assert_allclose(exported["scores"][0, : len(found)], found.scores, atol=1e-4)


def test_small_boxes_go_to_the_largest_scales():
    head = type("Head", (), {"features": None})()
    detector = type("Detector", (), {"postprocess": PostprocessConfig(), "head": head})()
    maxout = tta.Maxout(detector, [0.5, 1.0, 2.0, 4.0], 64.0, 1)
    # Px at usual size; the images come at four times it.
    sides = np.array([8.0, 40.0, 90.0, 200.0, 2000.0])
    boxes = tf.constant([[[0, 0, 4 * side, 4 * side] for side in sides]], tf.float32)
    assert maxout._lower_scale(boxes).numpy().tolist() == [[2, 1, 0, 0, 0]]
