"""What open_dataset does on top of the readers."""

import numpy as np
import pytest
from data.samples import coco_content, options, write_coco
from PIL import Image

from lhrcnn.data import datasets
from lhrcnn.data.datasets import align_classes, open_dataset, read_dataset
from lhrcnn.data.faults import find_unreadable
from lhrcnn.errors import DataError


def test_chosen_classes_are_renumbered_and_others_left_out(tmp_path):
    dataset = open_dataset(
        options(write_coco(tmp_path), "format=coco", "classes=[dog, owl]"), "train"
    )
    assert dataset.class_names == ["dog", "owl"] and dataset.category_ids == [90, 11]
    assert [record.classes.tolist() for record in dataset.records] == [[0], []]
    np.testing.assert_array_equal(dataset.records[0].areas, [123.5])
    trained = open_dataset(
        options(tmp_path, "format=coco", "classes=[dog, owl]"), "train", training=True
    )
    assert [record.image_id for record in trained.records] == [7]


def test_an_unknown_class_is_answered_with_the_closest(tmp_path):
    write_coco(tmp_path)
    with pytest.raises(DataError, match="'dogg' is not a class.*did you mean 'dog'"):
        open_dataset(options(tmp_path, "format=coco", "classes=[dogg]"), "train")
    with pytest.raises(DataError, match="'zebra' is not a class.*it has cat, owl, dog"):
        open_dataset(options(tmp_path, "format=coco", "classes=[zebra]"), "train")


def test_training_without_any_object_is_refused(tmp_path):
    write_coco(tmp_path)
    with pytest.raises(
        DataError, match="none of the 2 images shows an object to learn .classes: owl"
    ):
        open_dataset(options(tmp_path, "format=coco", "classes=[owl]"), "train", training=True)


def test_images_left_out_of_training_are_said(tmp_path):
    data = options(write_coco(tmp_path), "format=coco", "classes=[dog, owl]")
    (problem,) = open_dataset(data, "train", training=True).problems
    assert problem.severity == "note" and problem.kind == "images without objects"
    assert "1 of 2 images show no object" in problem.text and "keep_empty=true" in problem.text


def test_a_model_may_know_classes_the_data_set_does_not_have(tmp_path):
    dataset = open_dataset(options(write_coco(tmp_path), "format=coco"), "train")
    aligned = align_classes(dataset, ["owl", "bat", "dog", "cow"], [1, 11, 2, 7])
    assert aligned.class_names == ["owl", "bat", "dog", "cow"]
    assert aligned.category_ids == [11, 91, 90, 7], (
        "those of the data set, and for others the model's where they are free"
    )
    expected = open_dataset(options(tmp_path, "format=coco", "classes=[owl, dog]"), "train")
    assert [record.classes.tolist() for record in aligned.records] == [
        [2 * k for k in record.classes] for record in expected.records
    ]
    with pytest.raises(DataError, match="has none of the model's classes .bat."):
        align_classes(dataset, ["bat"], [1])


def truncate(path):
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])


BAD_IMAGES = {
    "truncated": (truncate, "not decodable: "),
    "text": (lambda path: path.write_text("not an image"), "begins with b'not an i'; JPEG, PNG"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_unreadable_images_are_left_out_counted_and_named(tmp_path, kind):
    spoil, words = BAD_IMAGES[kind]
    write_coco(tmp_path)
    spoil(tmp_path / "train" / "a.jpg")
    for policy in ("fail", "skip"):
        data = options(tmp_path, "format=coco", f"on_error={policy}")
        dataset = open_dataset(data, "train")
        assert [record.image_id for record in dataset.records] == [3]
        (problem,) = dataset.problems
        assert (problem.severity, problem.kind) == ("warning", "unreadable image")
        assert "a.jpg: " in problem.text and words in problem.text
        assert problem.text.endswith("(image id 7)") and "[[" not in problem.text
        assert find_unreadable(read_dataset(data, "train").records) == [problem.text]


def test_an_image_damaged_inside_is_left_out_on_request(tmp_path):
    path = write_coco(tmp_path) / "train" / "b.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    for policy, left in (("fail", [7, 3]), ("skip", [7])):
        dataset = open_dataset(options(tmp_path, "format=coco", f"on_error={policy}"), "train")
        assert [record.image_id for record in dataset.records] == left


def test_files_of_large_data_sets_are_not_looked_at_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_CHECKED_AT_ONCE", 1)
    truncate(write_coco(tmp_path) / "train" / "a.jpg")
    assert len(open_dataset(options(tmp_path, "format=coco"), "train").records) == 2


def test_an_image_of_another_size_is_an_error(tmp_path):
    write_coco(tmp_path)
    Image.new("RGB", (61, 40)).save(tmp_path / "train" / "a.jpg")
    words = "a.jpg: the image is 40 x 61 px .*, its annotation says 40 x 60 .image id 7"
    with pytest.raises(DataError, match=words):
        open_dataset(options(tmp_path, "format=coco"), "train")
    dataset = open_dataset(options(tmp_path, "format=coco", "on_error=skip"), "train")
    assert [record.image_id for record in dataset.records] == [3]


def test_an_image_annotated_as_stored_is_told_to_be_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(write_coco(tmp_path) / "train" / "a.jpg", exif=exif)
    with pytest.raises(DataError, match="60 x 40 px .* says 40 x 60; EXIF turns it"):
        open_dataset(options(tmp_path, "format=coco"), "train")


def test_relative_boxes_are_refused(tmp_path):
    content = coco_content()
    for annotation in content["annotations"]:
        annotation["bbox"] = [0.25, 0.125, 0.5, 0.75]
    with pytest.raises(
        DataError, match="all 3 boxes end within 2 px .* shares of height and width"
    ):
        open_dataset(options(write_coco(tmp_path, content), "format=coco"), "train")


def test_skipping_everything_is_an_error(tmp_path):
    write_coco(tmp_path)
    truncate(tmp_path / "train" / "a.jpg")
    truncate(tmp_path / "train" / "b.png")
    with pytest.raises(DataError, match="no usable image .2 problems"):
        open_dataset(options(tmp_path, "format=coco", "on_error=skip"), "train")


def test_exif_rotation_is_part_of_the_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    write_coco(tmp_path)
    Image.new("RGB", (40, 60)).save(
        tmp_path / "train" / "a.jpg", exif=exif
    )  # shown 40 high, 60 wide
    assert find_unreadable(open_dataset(options(tmp_path, "format=coco"), "train").records) == []
