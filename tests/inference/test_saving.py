"""Detections in the files of other tools, read again."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from lhrcnn import config
from lhrcnn.choices import resolve
from lhrcnn.data.datasets import read_dataset
from lhrcnn.errors import UsageError
from lhrcnn.files import Output
from lhrcnn.inference import SAVES, saving
from lhrcnn.inference.prediction import Prediction

NAMES, IDS = ["circle", "hot dog"], [3, 5]


@pytest.fixture
def found(tmp_path):
    def one(name, boxes, scores, classes):
        path = tmp_path / name
        Image.new("RGB", (100, 50)).save(path)
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        names, ids = [NAMES[k] for k in classes], [IDS[k] for k in classes]
        classes = np.array(classes, np.int32)
        prediction = Prediction(boxes, np.array(scores, np.float32), classes, names, ids, (50, 100))
        return saving.Found(path, path.stem, prediction)

    first = one("a.jpg", [[10, 20, 40.5, 60.25], [0, 0, 5, 8]], [0.875, 0.25], [1, 0])
    return [first, one("b.webp", [], [], []), one("c.tif", [[1, 2, 3, 4]], [0.5], [0])]


@pytest.mark.parametrize("name", ["coco", "voc", "yolo", "labelme"])
def test_annotations_are_read_back_with_their_images(name, found, tmp_path):
    output = Output(tmp_path / "out")
    folder = resolve(SAVES[name])(found, (NAMES, IDS), output)
    data = config.load(None, [f"data.dir={folder}", "data.format=auto"]).data
    dataset = read_dataset(data, "*" if name == "labelme" else "predictions")
    assert not [problem for problem in dataset.problems if problem.severity == "error"]
    by_name = {record.path.rpartition("/")[2]: record for record in dataset.records}
    assert set(by_name) == {"a.jpg", "b.webp", "c.tif"}
    for one in found:
        record = by_name[one.path.name]
        assert (record.height, record.width) == (50, 100)
        np.testing.assert_allclose(record.boxes, one.prediction.boxes, atol=1e-4)
        assert [dataset.class_names[k] for k in record.classes] == one.prediction.names
    if name in ("coco", "labelme"):
        (path,) = [*folder.rglob("instances_*.json"), *folder.rglob("a.json")]
        content = json.loads(path.read_text())
        assert [o["score"] for o in content.get("annotations") or content["shapes"]][0] == 0.875
    resolve(SAVES[name])(found[:1], (NAMES, IDS), Output(tmp_path / "out"))  # its own are replaced


def test_lines_and_tables(found, tmp_path):
    output = Output(tmp_path / "out")
    folder = saving.save_txt(found, (NAMES, IDS), output)
    assert (folder / "a.txt").read_text() == (
        "hot_dog 0.875 20 10 60.25 40.5\ncircle 0.25 0 0 8 5\n"
    )
    assert (folder / "b.txt").read_text() == ""
    frame = found[2]._replace(frame=7)
    path = saving.save_csv([*found[:2], frame], (NAMES, IDS), output)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["", "", "7"]
    data = config.load(None, [f"data.dir={output.folder}", "data.format=csv"]).data
    dataset = read_dataset(data, "*")
    record = next(r for r in dataset.records if r.path.endswith("a.jpg"))
    np.testing.assert_allclose(record.boxes, found[0].prediction.boxes, atol=1e-3)


def test_names_of_formats():
    assert saving.check_names(["txt,csv", "txt", "voc"]) == ["txt", "csv", "voc"]
    with pytest.raises(UsageError, match="--save xml: found 'xml'; allowed: txt, csv, coco, voc"):
        saving.check_names(["txt,xml"])
    with pytest.raises(UsageError, match="--save yolo: it holds annotations of image files"):
        saving.check_names(["yolo"], videos=True)
    assert saving.check_names(["csv"], videos=True) == ["csv"]
