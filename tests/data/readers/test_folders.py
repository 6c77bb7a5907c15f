"""Folders of images: classes, unsorted ones, and what is missing."""

import dataclasses

import pytest
from data.samples import options, save_image

from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.faults import find_unreadable
from lhrcnn.errors import DataError


def write(folder, *names):
    for number, name in enumerate(names):
        save_image(folder / name, 20 + number, 30, number)
    return options(folder, "format=folders")


def labels(dataset, folder):
    return {
        record.path[len(str(folder)) + 1 :]: record.classes.tolist() for record in dataset.records
    }


def test_folders_are_classes_in_sorted_order(tmp_path):
    data = write(
        tmp_path,
        "train/n02/b.JPEG",
        "train/n01/images/a.png",
        "train/n01/c.jpg",
        "train/.cache/d.jpg",
        "train/__MACOSX/n01/._c.jpg",
        "train/n01/@eaDir/c.jpg",
        "train/n01/._c.jpg",
        "val/n01/e.jpg",
    )
    (tmp_path / "train" / "n01" / "notes.txt").write_text("")
    dataset = open_dataset(data, "train")
    assert dataset.class_names == ["n01", "n02"] and [
        record.image_id for record in dataset.records
    ] == [1, 2, 3]
    assert labels(dataset, tmp_path) == {
        "train/n01/c.jpg": [0],
        "train/n01/images/a.png": [0],
        "train/n02/b.JPEG": [1],
    }
    assert find_unreadable(dataset.records) == []  # sizes, which are not known, are not compared


def test_images_outside_of_classes_have_none(tmp_path):
    data = write(tmp_path, "a.jpg", "train/b/c.jpg")
    assert labels(open_dataset(data, "."), tmp_path) == {"train/b/c.jpg": [0], "a.jpg": []}


def test_unreadable_image_is_left_out_on_request(tmp_path, caplog):
    data = write(tmp_path, "train/a/1.jpg", "train/a/2.jpg")
    (tmp_path / "train" / "a" / "2.jpg").write_bytes(b"no image")
    data = dataclasses.replace(data, on_error="skip")
    assert labels(open_dataset(data, "train"), tmp_path) == {"train/a/1.jpg": [0]}
    assert "2.jpg: not readable as an image" in caplog.text


@pytest.mark.parametrize(
    "split, words",
    [
        ("train", "train: no such folder of images .*has the folders other; set --data_dir"),
        ("other", "other: no image .*in it or in its 1 folders"),
        ("nowhere/train", "nowhere does not exist"),
    ],
)
def test_missing_folders_and_images_are_named(tmp_path, split, words):
    (tmp_path / "other" / "empty").mkdir(parents=True)
    with pytest.raises(DataError, match=words):
        open_dataset(options(tmp_path, "format=folders"), split)
