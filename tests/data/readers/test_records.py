"""Checking one image's objects."""

import os

import numpy as np
import pytest

from lhrcnn.data.readers.records import (
    LabelledBox,
    LabelledImage,
    drop_missing,
    make_dataset,
    own_image_ids,
)


def labelled(path, *boxes, source_id=None, where=""):
    about = {"source_id": source_id, "path": path}
    return LabelledImage((), path, where or path, (100, 200), list(boxes), **about)


def record_of(boxes, areas=None):
    problems, areas = [], areas or [None] * len(boxes)
    found = [LabelledBox(f"c{i}", box, False, areas[i]) for i, box in enumerate(boxes)]
    image = labelled("p.jpg", *found, source_id=5, where="file.json: image id 5")
    names = [box.name for box in found]
    return make_dataset("name", [image], problems, names).records[0], problems


def test_sound_boxes_are_kept_as_they_are():
    record, problems = record_of([(0, 0, 100, 200), (1.5, 2.5, 3.5, 4.5)], areas=[7.0, None])
    assert problems == []
    np.testing.assert_array_equal(record.boxes, [(0, 0, 100, 200), (1.5, 2.5, 3.5, 4.5)])
    np.testing.assert_array_equal(record.areas, [7, 4])
    assert (
        record.boxes.dtype == np.float32
        and record.classes.dtype == np.int32
        and record.ignore.dtype == bool
    )


def test_a_image_without_objects():
    record, problems = record_of([])
    assert (
        record.boxes.shape == (0, 4)
        and len(record.classes) == len(record.areas) == 0
        and problems == []
    )


def test_small_overhang_is_clipped_silently():
    record, problems = record_of([(-2, -2, 102, 202)])
    assert problems == []
    np.testing.assert_array_equal(record.boxes, [(0, 0, 100, 200)])


def test_large_overhang_is_clipped_and_reported():
    record, problems = record_of([(-2.1, 10, 50, 60), (20, 150, 30, 260)])
    np.testing.assert_allclose(record.boxes, [(0, 10, 50, 60), (20, 150, 30, 200)])
    assert len(problems) == 2
    assert (
        "file.json: image id 5" in problems[1].text
        and "(20, 150, 30, 260) of 'c1'" in problems[1].text
    )
    assert "outside the image of 100 x 200 px" in problems[1].text and "clipped" in problems[1].text


@pytest.mark.parametrize(
    "box, words",
    [
        ((30, 10, 20, 40), "reversed"),
        ((10, 40, 20, 30), "reversed"),
        ((10, 10, 10, 40), "empty"),
        ((10, 10, 20, 10), "empty"),
        ((float("nan"), 0, 5, 5), "not finite"),
        ((0, 0, float("inf"), 5), "not finite"),
        ((101, 10, 120, 40), "outside the image"),
        ((-30, 10, -5, 40), "outside the image"),
        ((10, 200.5, 20, 201), "outside the image"),
    ],
)
def test_faulty_boxes_are_dropped_with_a_line_each(box, words):
    record, problems = record_of([(1, 1, 2, 2), box, (3, 3, 4, 4)])
    assert record.classes.tolist() == [0, 2]
    assert len(problems) == 1 and words in problems[0].text and "'c1'" in problems[0].text


def test_drop_missing_names_path_and_image_id(tmp_path):
    (tmp_path / "p.jpg").write_bytes(b"")
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"")
    images = [
        labelled(str(tmp_path / name), source_id=i)
        for i, name in enumerate(("p.jpg", "q.jpg", "sub/p.jpg", os.fsdecode(b"caf\xe9.jpg")))
    ]
    records = make_dataset("name", images, []).records
    problems = []
    assert [record.image_id for record in drop_missing(records, problems)] == [0]
    assert len(problems) == 3 and "q.jpg: no such image file (image id 1)" in problems[0].text
    assert "not in UTF-8" in problems[2].text


def test_a_data_set_of_labelled_images():
    problems = []
    images = [
        labelled("a.jpg", LabelledBox("owl", (1, 2, 3, 4)), source_id=7),
        labelled("b.jpg", LabelledBox("cat", (0, 0, 9, 9), True, 5.0), source_id=3),
    ]
    dataset = make_dataset("name", images, problems)
    assert dataset.class_names == ["cat", "owl"] and dataset.category_ids == [1, 2]
    first, second = dataset.records
    assert (first.image_id, first.source_id, second.image_id) == (7, None, 3)
    assert first.classes.tolist() == [1] and second.ignore.tolist() == [True]
    assert second.areas.tolist() == [5]
    assert [problem.text for problem in problems] == [
        "name: 1 objects are marked as to be ignored; neither learnt nor counted"
    ]


def test_a_class_that_a_format_does_not_list_is_an_error():
    problems, image = [], labelled("a.jpg", LabelledBox("owl", (1, 2, 3, 4)))
    dataset = make_dataset("name", [image], problems, ["cat"], [9])
    assert len(dataset.records[0].boxes) == 0 and dataset.category_ids == [9]
    assert [problem.severity for problem in problems] == ["error"]
    assert "a.jpg: 'owl' is none of the 1 classes" in problems[0].text


@pytest.mark.parametrize(
    "ids", [[-1, 5], [2**53, 2**53 + 1], ["7", 7], [1.0, 2], [3, 3], [None, None], [True, 2]]
)
def test_images_are_numbered_where_their_ids_cannot_be_kept(ids):
    assert own_image_ids(ids) == [(1, ids[0]), (2, ids[1])]
