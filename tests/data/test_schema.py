"""What a data set is."""

import dataclasses

import numpy as np
import pytest

from lhrcnn.data.schema import Dataset, Record


def dataset():
    empty = np.zeros([0, 4], np.float32)
    none = np.zeros([0], np.int32), np.zeros([0], bool), np.zeros([0], np.float32)
    box = np.array([[1, 2, 3, 4]], np.float32)
    one = np.array([1], np.int32), np.array([False]), np.array([4], np.float32)
    records = [Record(1, "a.jpg", 10, 20, empty, *none), Record(2, "b.jpg", 10, 20, box, *one)]
    return Dataset("name", records, ["cat", "owl"], [1, 2])


def test_the_digest_is_of_the_content_alone():
    moved = dataset()
    moved.name = "elsewhere"
    moved.records[1] = dataclasses.replace(moved.records[1], path="elsewhere/b.jpg")
    assert moved.digest() == dataset().digest() and len(moved.digest()) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": 3},
        {"height": 11},
        {"boxes": np.array([[1, 2, 3, 4.5]], np.float32)},
        {"classes": np.array([0], np.int32)},
        {"ignore": np.array([True])},
        {"source_id": "b"},
    ],
)
def test_any_change_of_an_image_changes_the_digest(change):
    changed = dataset()
    changed.records[1] = dataclasses.replace(changed.records[1], **change)
    assert changed.digest() != dataset().digest()


def test_other_classes_or_another_order_change_the_digest():
    renamed, turned = dataset(), dataset()
    renamed.class_names = ["cat", "dog"]
    turned.records.reverse()
    assert len({dataset().digest(), renamed.digest(), turned.digest()}) == 3
