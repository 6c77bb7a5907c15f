"""What `lhrcnn data stats` counts."""

import io
import json

import numpy as np
import pytest
from data.samples import coco_content, options, save_image, write_coco
from PIL import Image
from reference.detection import iou

from lhrcnn.data.datasets import read_dataset
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.data.tools import stats, stats_page
from lhrcnn.data.tools.content import same_images


def dataset_of(boxes, classes, ignore=None, size=(200, 100), path="a.jpg"):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    ignore = np.zeros(len(boxes), bool) if ignore is None else np.array(ignore, bool)
    record = Record(1, path, *size, boxes, np.array(classes, np.int32), ignore, boxes[:, 0])
    return Dataset("x", [record], ["ant", "bee"], [1, 2])


def test_numbers_of_one_image():
    boxes = [[0, 0, 20, 10], [0, 0, 20, 14], [100, 0, 200, 100], [0, 0, 9, 9]]
    found = stats.statistics({"train": dataset_of(boxes, [0, 0, 1, 1], [0, 0, 0, 1])})
    split = found["splits"]["train"]
    assert split["images"] == 1 and split["objects"] == 3 and split["ignored_objects"] == 1
    assert split["objects_small"] == 2 and split["objects_large"] == 1
    assert split["objects_overlapping_0.5"] == split["objects_overlapping_0.7"] == 2
    assert split["objects_per_image"]["median"] == 3
    assert split["box_height_of_width"]["max"] == 2 and split["box_width_px"]["median"] == 14
    assert split["box_side_of_image"]["max"] == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert split["classes"]["ant"]["objects"] == 2 and list(split["classes"]) == ["ant", "bee"]
    assert json.loads(json.dumps(found)) == found
    text = "\n".join(stats.lines(found))
    assert "objects overlapping 0.7" in text and "0 images stand more than once" in text


def test_overlaps_are_those_of_a_loop(rng):
    corner = rng.uniform(0, 50, (12, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 50, (12, 2))], 1)
    dataset = dataset_of(boxes, [0] * 12)
    expected = [max(iou(a, b) for j, b in enumerate(boxes) if j != i) for i, a in enumerate(boxes)]
    np.testing.assert_allclose(stats._best_overlaps(dataset), expected, rtol=1e-5)


def test_a_split_without_objects_and_one_without_images():
    empty = Dataset("y", [], ["ant", "bee"], [1, 2])
    datasets = {"train": dataset_of([], []), "val": empty}
    found = stats.statistics(datasets)["splits"]
    assert found["train"]["images_without_objects"] == 1 and found["val"]["box_width_px"] == {}
    page = io.BytesIO()
    stats_page.draw(datasets, "nothing", page)
    assert Image.open(page).size == (1500, 900)


def test_images_that_stand_twice(tmp_path):
    write_coco(tmp_path, coco_content())
    write_coco(tmp_path, coco_content(), "annotations/instances_val.json", "val")
    save_image(tmp_path / "val" / "b.png", 50, 30, seed=7)
    for split in ("train", "val"):
        (tmp_path / split / "a.jpg").write_bytes(b"same")
    config = options(tmp_path, "format=coco")
    datasets = {split: read_dataset(config, split) for split in ("train", "val")}
    ((*group,),) = same_images(datasets)
    assert [split for split, _ in group] == ["train", "val"]
    found = stats.statistics(datasets)["duplicates"]
    assert found["images"] == found["images_across_splits"] == 1
    assert found["by_splits"] == {"train and val": 1}


def test_the_page_is_of_the_data(tmp_path, rng):
    many = [
        dataset_of(np.sort(rng.uniform(0, 90, (n, 4)), 1), rng.integers(0, 2, n)) for n in (3, 90)
    ]
    pages = []
    for dataset in many:
        page = io.BytesIO()
        stats_page.draw({"train": dataset}, "page", page)
        pages.append(np.asarray(Image.open(page).convert("L")))
    assert (pages[0] != pages[1]).mean() > 0.01


def test_dollars_in_names_are_no_formulas(caplog):
    dataset = dataset_of([[1, 2, 30, 40]], [0])
    dataset.class_names[0] = "$5 ^ $10"
    stats_page.draw({"train": dataset}, "/data/$x_{$", io.BytesIO())


def test_classes_of_every_split_are_shown():
    ant, bee = (dataset_of([[1, 2, 30, 40]], [0]) for _ in range(2))
    ant.class_names, bee.class_names = ["ant"], ["bee"]
    text = "\n".join(stats.lines(stats.statistics({"train": ant, "val": bee})))
    assert "  ant" in text and "  bee" in text
