"""What is kept of a video that breaks off."""

import collections
import types

import numpy as np
import pytest

from lhrcnn.errors import DataError
from lhrcnn.files import Output
from lhrcnn.inference import collecting, video
from lhrcnn.inference.prediction import Prediction


class Finder:
    """Finds one object in each image."""

    class_names, category_ids = ["ant"], [1]

    def predict_each(self, images, ahead):
        for image in images:
            box = np.array([[1, 2, 3, 4]], np.float32)
            columns = box, np.ones(1, np.float32), np.zeros(1, np.int32), ["ant"], [1]
            yield image, Prediction(*columns, image.shape[:2])


def broken(number):
    """A video that ends in an error after some frames."""

    def frames():
        for _ in range(number):
            yield np.zeros([8, 8, 3], np.uint8)
        raise DataError("x.mp4: its video ends in an error: bad")

    times = collections.deque(map(float, range(number)))
    return types.SimpleNamespace(name="x.mp4", rate=25, num_frames=9, frames=frames(), times=times)


@pytest.mark.parametrize("number", [0, 1, 30])
def test_frames_before_an_error_are_kept_and_said(tmp_path, monkeypatch, number):
    monkeypatch.setattr(collecting, "open_video", lambda source: broken(number))
    collector = collecting.Collector(Finder(), Output(tmp_path), 0.5, draw=False)
    with pytest.raises(DataError, match="ends in an error: bad") as error:
        collector.detect_video("x.mp4", "x.mp4")
    images = collector.content()["images"]
    assert [image["frame"] for image in images] == list(range(number))
    said = f"what was found in the {number} frames before is kept" in str(error.value)
    assert said == bool(number)


@pytest.mark.parametrize("number", [0, 3])
def test_the_annotated_video_has_the_frames_that_are_kept(tmp_path, monkeypatch, number):
    pytest.importorskip("av")
    monkeypatch.setattr(collecting, "open_video", lambda source: broken(number))
    collector = collecting.Collector(Finder(), Output(tmp_path), 0.5)
    with pytest.raises(DataError, match="ends in an error: bad"):
        collector.detect_video("x.mp4", "x.mp4")
    annotated = tmp_path / "x.mp4"
    assert annotated.exists() == bool(number)
    if number:
        assert len(list(video.open_video(annotated).frames)) == number
