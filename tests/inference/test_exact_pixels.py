"""A model that wants the original's pixels gets them on every way from a file to the network."""

import io

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import NAMES, draw_image, make_run
from PIL import Image
from reference.image import interpolate
from scenes import record

from lhrcnn.data.batches.pipeline import evaluation_batches
from lhrcnn.data.schema import Dataset
from lhrcnn.inference.export.fixed import fixed_function
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector, load_run

TORCHVISION = ["data.accurate_jpeg=true", "data.whole_pixels=false", "data.size_rounding=floor"]
SIZE = (100, 160)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("exact") / "run", TORCHVISION)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "image.jpg"
    Image.fromarray(draw_image(*SIZE)).save(path, quality=60)
    return path


@pytest.fixture(scope="module")
def expected(run_dir, path):
    """(the canvas [64, 112, 3] of floats, what the model finds on it in px of the image)."""
    resized = interpolate(np.asarray(Image.open(io.BytesIO(path.read_bytes()))), 64, 102)
    canvas = np.zeros([64, 112, 3], np.float32)
    canvas[:, :102] = resized
    found = load_run(run_dir).model.detect(canvas[None], tf.constant([[64.0, 102.0]]))
    number = int(found["num_detections"][0])
    boxes = found["boxes"][0, :number].numpy() * np.tile(np.divide(SIZE, (64, 102)), 2)
    return canvas, np.clip(boxes, 0, np.tile(SIZE, 2)), found["scores"][0, :number].numpy()


def assert_found(expected, boxes, scores):
    assert len(expected[1]) > 0
    np.testing.assert_allclose(boxes, expected[1], atol=0.01)
    np.testing.assert_allclose(scores, expected[2], atol=1e-5)


def test_in_prediction(run_dir, path, expected):
    found = Detector.from_run(run_dir).predict(path)
    assert_found(expected, found.boxes, found.scores)


@pytest.mark.parametrize("cached", [False, True])
def test_in_evaluation(run_dir, path, expected, cached, tmp_path):
    dataset = Dataset("images", [record(path=path, size=SIZE)], NAMES, [3, 5, 17])
    cache = [f"data.cache_dir={tmp_path / 'cache'}"] if cached else []
    run = load_run(run_dir, overrides=cache)
    (batch,) = evaluation_batches(dataset, run.config.data, 1)
    np.testing.assert_allclose(batch["image"][0], expected[0], atol=1e-3)


def test_in_exports(run_dir, path, expected, tmp_path):
    export(run_dir, tmp_path / "saved")
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    fixed = fixed_function(load_run(run_dir, overrides=["model.head.roi_impl=tf"]), SIZE)
    pixels = np.asarray(Image.open(path))[None]
    for found in (
        loaded.signatures["serving_default"](image_bytes=tf.constant([path.read_bytes()])),
        fixed(tf.constant(pixels)),
    ):
        number = int(found["num_detections"][0])
        assert_found(expected, found["boxes"][0, :number], found["scores"][0, :number])
