"""The embedded data set."""

import colorsys
import functools
import json

import numpy as np
import pytest
from data.samples import options
from PIL import Image

from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.tools import shapes
from lhrcnn.errors import DataError


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_draws_the_same_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        shapes.make_shapes(tmp_path / name, seed=seed, num_train=4, num_val=2)
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert (
        first == again and len(first) == 9
    )  # images, two files of annotations, and the list of files
    assert all(first[name] != other[name] for name in first)
    assert first["train/000001.jpg"] != first["val/000001.jpg"]


def test_more_images_leave_the_first_ones_as_they_are(tmp_path):
    shapes.make_shapes(tmp_path / "a", num_train=2, num_val=1)
    shapes.make_shapes(tmp_path / "b", num_train=3, num_val=1)
    assert (
        contents(tmp_path / "a")["train/000002.jpg"] == contents(tmp_path / "b")["train/000002.jpg"]
    )


@pytest.fixture(scope="module")
def drawn():
    return [shapes.draw_image(np.random.default_rng([6, i])) for i in range(200)]


def test_images_and_objects_are_of_the_promised_kinds(drawn):
    sizes = [image.shape for image, _ in drawn]
    assert all(128 <= side <= 192 for shape in sizes for side in shape[:2]) and len(set(sizes)) > 40
    counts = [len(objects) for _, objects in drawn]
    assert min(counts) == 0 and 4 <= max(counts) <= 5
    sides = np.array(
        [max(box[2] - box[0], box[3] - box[1]) for _, objects in drawn for _, box in objects]
    )
    assert sides.min() >= 15.9 and sides.min() < 24 and sides.max() > 120
    assert {shape for _, objects in drawn for shape, _ in objects} == {0, 1, 2, 3}
    assert all(
        0 <= box[0] < box[2] <= image.shape[0] and 0 <= box[1] < box[3] <= image.shape[1]
        for image, objects in drawn
        for _, box in objects
    )


@pytest.mark.parametrize("shape", range(len(shapes.CLASSES)))
@pytest.mark.parametrize("place", [(100.3, 80.7, 60), (40.5, 41.25, 8)])
def test_boxes_are_tight_around_what_is_painted(shape, place):
    canvas = np.zeros((200, 180, 3))
    before = canvas.copy()
    box, mask = shapes._paint(np.random.default_rng(3), canvas, shape, place)
    rows, columns = np.nonzero((canvas != before).any(axis=-1))
    painted = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    np.testing.assert_allclose(box, painted, atol=1.5)
    assert max(box[2] - box[0], box[3] - box[1]) == pytest.approx(2 * place[2])
    assert mask.sum() == pytest.approx((canvas != before).any(axis=-1).sum(), rel=0.4)


def test_areas_of_the_shapes():
    share = {
        "circle": np.pi / 4,
        "square": 1.0,
        "triangle": 0.5,
        "star": 0.35,
    }  # of the upright shape's box
    for shape, name in enumerate(shapes.CLASSES):
        outline = shapes._outline(shape, 0.0)
        low, high = outline.min(axis=0), outline.max(axis=0)
        cover = shapes._coverage((outline - low) / (high - low) * 80, 80, 80)
        assert cover.mean() == pytest.approx(share[name], abs=0.03) and cover.max() == 1


def _next_place(places, *_):
    return places.pop() if places else None


def test_hidden_objects_are_not_annotated(monkeypatch):
    monkeypatch.setattr(shapes, "_EMPTY_SHARE", 0.0)
    both = 0
    for seed in range(8):
        # Taken from the end: the large object covers the small one.
        places = [(64, 64, 56), (64, 64, 16)]
        monkeypatch.setattr(shapes, "_place", functools.partial(_next_place, places))
        _, objects = shapes.draw_image(np.random.default_rng(seed))
        ((_, box),) = objects
        side = max(box[2] - box[0], box[3] - box[1])
        assert side == pytest.approx(32 if places else 112)
        both += not places
    assert both >= 4


def test_hue_goes_with_the_class_and_shades_vary():
    rng = np.random.default_rng(0)
    for shape, hue in enumerate(shapes._HUES):
        hues, saturations, values = zip(
            *(colorsys.rgb_to_hsv(*shapes._colour(rng, shape) / 255) for _ in range(200))
        )
        distance = np.abs((np.array(hues) - hue + 0.5) % 1 - 0.5)
        assert distance.max() <= shapes._HUE_SPREAD + 1e-6
        assert np.ptp(saturations) > 0.5 and np.ptp(values) > 0.5


def test_generated_when_missing_and_read_as_coco(tmp_path):
    folder = tmp_path / "shapes"
    shapes.make_shapes(folder, num_train=6, num_val=2)
    (folder / "annotations" / "instances_val.json").unlink()
    assert not shapes.is_complete(folder)
    shapes.make_shapes(folder, num_train=6, num_val=2)  # an interrupted run is completed
    assert shapes.is_complete(folder)
    dataset = open_dataset(options(folder), "train")
    assert (
        dataset.class_names == list(shapes.CLASSES)
        and len(dataset.records) == 6
        and dataset.problems == []
    )
    content = json.loads((folder / "annotations" / "instances_train.json").read_text())
    assert len(content["annotations"]) == sum(len(record.boxes) for record in dataset.records)
    assert all(
        Image.open(record.path).size == (record.width, record.height) for record in dataset.records
    )


def test_a_coco_set_of_the_same_layout_is_not_taken_for_it(tmp_path):
    shapes.make_shapes(tmp_path, num_train=1, num_val=1)
    assert shapes.is_drawn(tmp_path)
    annotations = tmp_path / "annotations" / "instances_val.json"
    annotations.write_text(annotations.read_text().replace("circle", "cat"))
    assert shapes.is_complete(tmp_path) and not shapes.is_drawn(tmp_path)
    annotations.write_text("not JSON")
    assert not shapes.is_drawn(tmp_path)


def test_open_dataset_draws_it_when_it_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(
        shapes,
        "make_shapes",
        lambda folder, make=shapes.make_shapes: make(folder, num_train=3, num_val=1),
    )
    assert len(open_dataset(options(tmp_path / "new" / "shapes"), "val").records) == 1


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    with pytest.raises(
        DataError, match="holds JPEGImages, .*set data.format to what the folder is"
    ):
        open_dataset(options(tmp_path), "train")
    assert [path.name for path in tmp_path.iterdir()] == ["JPEGImages"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match="cannot write the shapes data set.*choose another data.dir"
    ):
        shapes.make_shapes(tmp_path / "file" / "shapes", num_train=1, num_val=1)
