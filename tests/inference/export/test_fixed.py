"""The form of fixed size: the predictor's detections, and resizing without a resize op."""

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import draw_image, make_run

from lhrcnn import config
from lhrcnn.data import images
from lhrcnn.errors import ExportError
from lhrcnn.inference.export import fixed
from lhrcnn.inference.predictor import Detector, load_run

FPN = [
    "model.fpn.channels=16",
    "model.fpn.levels=[c3, c4, c5]",
    "model.rpn.levels=[p3, p4, p5]",
    "model.head.levels=[p3, p4, p5]",
]
ROUNDS = ["model.postprocess.rounds=2", "model.postprocess.candidates=10"]
CASES = {
    "light head": [],
    "feature pyramid": FPN,
    "rfcn": ["model.head.kind=rfcn"],
    "rounds and voting": [*ROUNDS, "model.postprocess.vote_iou=0.5"],
    "soft NMS": ["model.postprocess.soft_nms_sigma=0.5"],
    "fc": ["model.head.kind=fc"],
    "localisation": ["model.head.localisation=combined", "model.locnet.channels=4"],
    "mirrored": ["test.flip=true"],
}


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES)
def test_finds_what_the_predictor_finds(tmp_path, overrides):
    run = load_run(make_run(tmp_path / "run", overrides), overrides=["model.head.roi_impl=tf"])
    detector, image = Detector(run), draw_image(50, 80)
    found = fixed.fixed_function(run, (50, 80))(tf.constant(image[None]))
    expected = detector.predict(image)
    number = int(found["num_detections"][0])
    assert number == len(expected) > 0
    np.testing.assert_allclose(found["boxes"][0, :number], expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found["scores"][0, :number], expected.scores, atol=1e-4)
    np.testing.assert_array_equal(found["classes"][0, :number], expected.classes)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(
    "before, after", [((50, 80), (64, 102)), ((90, 70), (41, 33)), ((1, 1), (3, 2))]
)
def test_resizing_is_that_of_the_data(before, after, antialias):
    image = draw_image(*before)
    found = fixed.resize(tf.constant(image[None]), after, antialias)[0].numpy()
    expected = images.resize(tf.constant(image), tf.constant(after), antialias).numpy()
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01  # halves round either way


def test_sizes_that_no_image_has_are_refused_and_the_usual_one_is_the_runs(run_dir):
    run = load_run(run_dir)
    for size in ((0, 5), (5, 1 << 20)):
        with pytest.raises(ExportError, match="--size: found .* allowed: sides of 1 to"):
            fixed.fixed_function(run, size)
    stretched = config.load(None, ["data.resize=stretch", "data.stretch_size=[144, 128]"])
    assert fixed.usual_size(stretched.data) == (144, 128)
