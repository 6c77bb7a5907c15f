"""examples/reader.py reads what VisDrone's annotations say, in every command."""

import json

import numpy as np
from data.samples import options

from lhrcnn.data.datasets import open_dataset


def as_visdrone(folder):
    """Rewrites a COCO folder in place."""
    for split in ("train", "val"):
        content = json.loads((folder / "annotations" / f"instances_{split}.json").read_text())
        images, annotations = folder / split / "images", folder / split / "annotations"
        images.mkdir()
        annotations.mkdir()
        for image in content["images"]:
            (folder / split / image["file_name"]).rename(images / image["file_name"])
            lines = [
                ",".join(map(str, [*entry["bbox"], 1, entry["category_id"], 0, 0]))
                for entry in content["annotations"]
                if entry["image_id"] == image["id"]
            ]
            name = image["file_name"].replace(".png", ".txt")
            (annotations / name).write_text("\n".join(lines))
        (folder / "annotations" / f"instances_{split}.json").unlink()


def test_it_works_everywhere(work_with, tmp_path):
    detector = work_with("reader.py", "data.format=visdrone", prepare=as_visdrone)
    assert detector.class_names[2:5] == ["bicycle", "car", "van"]
    folder = tmp_path / "data"
    file = folder / "val" / "annotations" / "val_0.txt"
    lines = ["10,20,30,40,1,4,0,0,", "0,0,9,9,0,0,0,0", "1,1,8,8,0,9,0,0", "5,5,8,8,1,12,0,0"]
    file.write_text("\n".join(lines))
    dataset = open_dataset(options(folder, "format=visdrone", "on_error=skip"), "val")
    record = next(record for record in dataset.records if record.path.endswith("val_0.png"))
    np.testing.assert_array_equal(record.boxes, [[20, 10, 60, 40], [0, 0, 9, 9], [1, 1, 9, 9]])
    assert record.ignore.tolist() == [False, True, True] and record.classes[[0, 2]].tolist() == [
        3,
        8,
    ]
    problem = next(problem for problem in dataset.problems if problem.severity == "error")
    assert f"{file}: line 4" in problem.text
