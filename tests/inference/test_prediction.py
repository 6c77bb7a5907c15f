"""Predictions as objects of other libraries."""

import numpy as np
import pytest

from lhrcnn.errors import DependencyError
from lhrcnn.inference.prediction import Prediction

FOUND = Prediction(
    np.array([[10, 20, 40, 60], [0, 0, 5, 8]], np.float32),
    np.array([0.9, 0.25], np.float32),
    np.array([1, 0], np.int32),
    ["hot dog", "größe Ω"],
    [5, 3],
    (50, 100),
)
NOTHING = FOUND.above(0.95)


def test_supervision():
    pytest.importorskip("supervision")
    found = FOUND.to_supervision()
    np.testing.assert_array_equal(found.xyxy, [[20, 10, 60, 40], [0, 0, 8, 5]])
    np.testing.assert_allclose(found.confidence, [0.9, 0.25])
    assert found.class_id.tolist() == [1, 0] and found["class_name"].tolist() == FOUND.names
    assert len(found[found.confidence > 0.5]) == 1 and len(NOTHING.to_supervision()) == 0


def test_pandas():
    pytest.importorskip("pandas")
    rows = FOUND.to_pandas().to_dict("records")
    assert rows[0] == pytest.approx(
        {"name": "hot dog", "class": 1, "score": 0.9, "xmin": 20, "ymin": 10, "xmax": 60}
        | {"ymax": 40}
    )
    assert NOTHING.to_pandas().shape == (0, 7)


def test_fiftyone():
    pytest.importorskip("fiftyone")
    first = FOUND.to_fiftyone().detections[0]
    assert first.label == "hot dog" and first.confidence == pytest.approx(0.9)
    assert first.bounding_box == pytest.approx([0.2, 0.2, 0.4, 0.6])


@pytest.mark.parametrize("package", ["supervision", "pandas", "fiftyone"])
def test_a_missing_package_is_named(package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(
        DependencyError, match=f"{package} cannot be imported.*pip install {package}"
    ):
        getattr(FOUND, f"to_{package}")()
