"""examples/sahi_model.py with the real SAHI, where it is installed."""

import pathlib
import sys

import numpy as np
import pytest

import lhrcnn
from lhrcnn.inference.prediction import Prediction

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


class Squares(lhrcnn.Detector):
    """Finds the one bright square of an image."""

    class_names, category_ids = ["square", "other"], [1, 2]

    def __init__(self):
        """Without a run."""

    def predict(self, image):
        y, x = np.nonzero(image[..., 0] > 200)
        boxes = [[y.min(), x.min(), y.max() + 1, x.max() + 1]] if len(y) else []
        boxes, number = np.array(boxes, np.float32).reshape(-1, 4), len(boxes)
        scores, classes = np.full(number, 0.9, np.float32), np.zeros(number, np.int32)
        return Prediction(
            boxes, scores, classes, ["square"] * number, [1] * number, image.shape[:2]
        )

    def predict_batch(self, images, batch_size=8):
        return [self.predict(image) for image in images]


def test_sliced_prediction_finds_what_is_there(monkeypatch):
    predict = pytest.importorskip("sahi.predict")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from sahi_model import LhrcnnModel

    model = LhrcnnModel(model=Squares(), confidence_threshold=0.5)
    image = np.zeros([500, 700, 3], np.uint8)
    image[400:430, 600:640] = 255
    result = predict.get_sliced_prediction(
        image, model, slice_height=200, slice_width=200, verbose=0
    )
    (found,) = result.object_prediction_list
    assert found.bbox.to_xyxy() == [600, 400, 640, 430] and found.category.name == "square"
    assert predict.get_prediction(image, model).object_prediction_list[
        0
    ].score.value == pytest.approx(0.9)
    del sys.modules["sahi_model"]
