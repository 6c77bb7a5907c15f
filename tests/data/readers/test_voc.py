"""The VOC reader, through open_dataset."""

import re

import numpy as np
import pytest
from data.reading import read, seen, write
from data.samples import options, write_voc

from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.readers import auto
from lhrcnn.errors import DataError

IMAGES = {
    "000012.jpg": (40, 60, [("dog", 0, 1, 1, 60, 40), ("cat", 1, 10.25, 20, 30, 30.5)]),
    "000007.png": (50, 30, [("cat", 0, 2, 3, 4, 5)]),
    "000009.jpeg": (20, 20, []),
}
LISTS = {"trainval": ["000012", "000007", "000009"], "test": ["000007"]}


def voc(folder, *overrides):
    return options(folder, "format=voc", *overrides)


def test_records_of_a_small_devkit(tmp_path):
    write_voc(tmp_path / "VOC2007", IMAGES, LISTS)
    dataset = open_dataset(voc(tmp_path), "VOC2007/trainval")
    assert dataset.class_names == ["cat", "dog"] and dataset.category_ids == [1, 2]
    assert [problem.kind for problem in dataset.problems] == ["ignored objects"]
    first = dataset.records[0]
    assert [record.image_id for record in dataset.records] == [12, 7, 9]
    assert (first.height, first.width, first.path) == (
        40,
        60,
        str(tmp_path / "VOC2007" / "JPEGImages" / "000012.jpg"),
    )
    np.testing.assert_array_equal(
        first.boxes, [(0, 0, 40, 60), (19, 9.25, 30.5, 30)]
    )  # 1-based inclusive to half-open
    np.testing.assert_array_equal(first.classes, [1, 0])
    np.testing.assert_array_equal(first.ignore, [False, True])
    assert dataset.records[2].boxes.shape == (0, 4)


def test_difficult_objects_in_training(tmp_path):
    write_voc(tmp_path / "VOC2007", IMAGES, LISTS)
    ignores = {
        (training, use): open_dataset(voc(tmp_path, f"use_difficult={use}"), "trainval", training)
        .records[0]
        .ignore.tolist()
        for training in (True, False)
        for use in (True, False)
    }
    assert ignores.pop((True, True)) == [False, False]
    assert list(ignores.values()) == [[False, True]] * 3


def test_every_split_has_the_classes_of_the_whole_devkit(tmp_path):
    write_voc(tmp_path / "VOC2007", IMAGES, LISTS)
    write_voc(
        tmp_path / "VOC2012",
        {"2012_000001.jpg": (30, 30, [("ant", 0, 1, 1, 9, 9)])},
        {"trainval": ["2012_000001"]},
    )
    assert open_dataset(voc(tmp_path), "VOC2007/test").class_names == ["ant", "cat", "dog"]
    joined = open_dataset(voc(tmp_path), "VOC2007/trainval+VOC2012/trainval")
    assert joined.class_names == ["ant", "cat", "dog"] and [
        record.image_id for record in joined.records
    ] == [12, 7, 9, 2012000001]


def test_ways_to_name_the_folder_and_split(tmp_path):
    write_voc(tmp_path / "VOCdevkit" / "VOC2007", IMAGES, LISTS)
    for folder in (tmp_path, tmp_path / "VOCdevkit", tmp_path / "VOCdevkit" / "VOC2007"):
        for split in ("test", "VOC2007/test"):
            assert len(open_dataset(voc(folder), split).records) == 1


def test_names_without_digits_are_numbered(tmp_path):
    images = {
        "cell_b.jpg": (20, 20, [("rbc", 0, 1, 1, 9, 9)]),
        "cell_a.jpg": (20, 20, [("rbc", 0, 1, 1, 9, 9)]),
    }
    write_voc(tmp_path, images, {"train": ["cell_b", "cell_a"]})
    assert [record.image_id for record in open_dataset(voc(tmp_path), "train").records] == [1, 2]


def test_lists_for_one_class_leave_out_images_without_it(tmp_path):
    write_voc(tmp_path, IMAGES, {"cat_trainval": ["000012  0", "000007  1", "000009 -1"]})
    assert [record.image_id for record in open_dataset(voc(tmp_path), "cat_trainval").records] == [
        12,
        7,
    ]


@pytest.mark.parametrize(
    "files, splits",
    [
        ({"Main/valid.txt": "a\n"}, {"train": "train", "val": "valid"}),
        ({"val.txt": "a\n", "Layout/val.txt": "b\n"}, {"train": "train", "val": "val"}),
    ],
)
def test_where_lists_lie_and_what_they_are_called(tmp_path, files, splits):
    images = {name: (20, 20, [("rbc", 0, 1, 1, 9, 9)]) for name in ("a.jpg", "b.jpg")}
    write_voc(tmp_path / "x" / "VOCdevkit" / "VOC2012", images, {"train": ["b"]})
    write(tmp_path / "x" / "VOCdevkit" / "VOC2012" / "ImageSets", files)
    assert auto.recognise(tmp_path).splits == splits
    assert set(seen(read("voc", tmp_path, "val"))) == {"a.jpg"}
    assert set(seen(read("auto", tmp_path, "*"))) == {"a.jpg", "b.jpg"}


def test_lists_of_classes_alone(tmp_path):
    """As VoTT writes them."""
    objects = [("rbc", 0, 1, 1, 9, 9)]
    lists = {
        "rbc_train": ["b.jpg 1", "a.jpg -1"],
        "wbc_train": ["b.jpg -1"],
        "rbc_val": ["a.jpg 1"],
    }
    write_voc(tmp_path, dict.fromkeys(("a.jpg", "b.jpg"), (20, 20, objects)), lists)
    assert auto.recognise(tmp_path).splits == {"train": "rbc_train+wbc_train", "val": "rbc_val"}
    for split, name in (("train", "b.jpg"), ("val", "a.jpg")):
        assert set(seen(read("auto", tmp_path, split))) == {name}


def test_lists_of_another_task_alone(tmp_path):
    images = {"a.jpg": (20, 20, [("rbc", 0, 1, 1, 9, 9)])}
    write(write_voc(tmp_path, images, {}), {"ImageSets/Layout/train.txt": "a\n"})  # datumaro's
    assert set(seen(read("auto", tmp_path, "*"))) == {"a.jpg"}
    assert auto.recognise(tmp_path).splits == {"train": "train"}


def test_size_from_the_image(tmp_path):
    write_voc(tmp_path, IMAGES, LISTS, with_size=False)
    assert [(r.height, r.width) for r in open_dataset(voc(tmp_path), "trainval").records] == [
        (40, 60),
        (50, 30),
        (20, 20),
    ]


def test_missing_folders_and_lists_say_what_is_there(tmp_path):
    with pytest.raises(DataError, match="not a VOC devkit.*found nothing"):
        open_dataset(voc(tmp_path), "trainval")
    write_voc(tmp_path / "VOC2007", IMAGES, LISTS)
    with pytest.raises(DataError, match="val.txt: no such list.*there are test, trainval"):
        open_dataset(voc(tmp_path), "val")
    write_voc(tmp_path / "VOC2012", IMAGES, LISTS)
    with pytest.raises(
        DataError, match="fits 2 of its folders VOC2007, VOC2012; write it as FOLDER/LIST"
    ):
        open_dataset(voc(tmp_path), "test")
    with pytest.raises(DataError, match="fits 0 of its folders"):
        open_dataset(voc(tmp_path), "VOC2010/test")


# What is written instead of what into 000007.xml; what is said; how many boxes images have then.
FAULTS = {
    "reversed": ("<xmax>4<", "<xmax>0<", "image id 7: box .* 'cat' is reversed", [2, 0]),
    "empty": ("<xmax>4</xmax><ymax>5<", "<xmax>2</xmax><ymax>3<", "of 'cat' is empty", [2, 0]),
    "nan": ("<xmax>4<", "<xmax>nan<", "not finite", [2, 0]),
    "outside": ("<xmax>4<", "<xmax>90<", "outside the image of 50 x 30 px", [2, 1]),
    "no number": ("<xmax>4<", "<xmax>four<", "object 1 'cat': bndbox/xmax is 'four'", [2, 0]),
    "no name": ("<name>cat<", "<name><", "object 1 '': it has no name", [2, 0]),
    "broken xml": ("</object>", "", "000007.xml: image id 7: not readable as VOC's XML", [2]),
    "no xml": (None, None, "000007.xml: image id 7: no such annotation file; left out", [2]),
    "no image": (None, None, "000007.jpg: no such image file .image id 7", [2]),
    "twice": (None, None, "000012 stands twice", [2, 1]),
}
WARNINGS = ("empty", "outside", "no xml")  # counted, not fatal


@pytest.mark.parametrize("name", FAULTS)
def test_faults_fail_or_are_skipped(tmp_path, name):
    old, new, words, num_boxes = FAULTS[name]
    again = ["000012"] * (name == "twice")
    write_voc(tmp_path, IMAGES, {"train": ["000012", "000007", *again]})
    file = tmp_path / "Annotations" / "000007.xml"
    if old:
        file.write_text(file.read_text().replace(old, new, 1))
    elif name != "twice":
        (file if name == "no xml" else tmp_path / "JPEGImages" / "000007.png").unlink()
    if name not in WARNINGS:
        with pytest.raises(DataError, match=f"(?s){words}.*data.on_error=skip"):
            open_dataset(voc(tmp_path), "train")
    dataset = open_dataset(voc(tmp_path, "on_error=skip"), "train")
    assert [len(record.boxes) for record in dataset.records] == num_boxes
    faults = [problem for problem in dataset.problems if problem.severity != "note"]
    assert len(faults) == 1 and re.search(words, faults[0].text)


def one_image(folder, lines, encoding="utf-8", name="000012.jpg"):
    write_voc(folder, {name: (60, 60, [("dog", 0, 11, 21, 40, 60)])}, {})
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    text = "\n".join(lines)
    (folder / "ImageSets" / "Main" / "train.txt").write_text(text, encoding=encoding)
    return folder


@pytest.mark.parametrize("line", ["000012.jpg", "JPEGImages/000012", ".\\JPEGImages\\000012.JPG"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_as_tools_write_them(tmp_path, line, encoding):
    dataset = open_dataset(voc(one_image(tmp_path, [line], encoding)), "train")
    assert [record.image_id for record in dataset.records] == [12] and not dataset.problems


def test_suffixes_in_capitals(tmp_path):
    one_image(tmp_path, ["000012"])
    for path in (tmp_path / "Annotations").iterdir():
        path.rename(path.with_suffix(".XML"))
    for path in (tmp_path / "JPEGImages").iterdir():
        path.rename(path.with_suffix(".JPG"))
    dataset = read("voc", tmp_path, "train")
    assert list(seen(dataset)) == ["000012.JPG"] and not dataset.problems


def test_an_image_in_two_joined_lists_is_taken_once(tmp_path):
    lists = {"dog_train": ["000012 1", "000007 -1"], "cat_train": ["000012 0", "000007 1"]}
    dataset = open_dataset(voc(write_voc(tmp_path, IMAGES, lists)), "dog_train+cat_train")
    assert [record.image_id for record in dataset.records] == [12, 7]
    assert [problem.kind for problem in dataset.problems] == ["ignored objects"]


def test_xml_in_another_encoding(tmp_path):
    file = one_image(tmp_path, ["000012"]) / "Annotations" / "000012.xml"
    head = '<?xml version="1.0" encoding="gbk"?>'
    file.write_bytes((head + file.read_text().replace("dog", "狗")).encode("gbk"))
    assert open_dataset(voc(tmp_path), "train").class_names == ["狗"]


def test_hidden_files_are_passed_over(tmp_path):
    one_image(tmp_path, ["000012"])
    for name in ("Annotations/._000012.xml", "JPEGImages/._000012.jpg"):
        (tmp_path / name).write_text("Mac OS X")
    assert not open_dataset(voc(tmp_path), "train").problems


@pytest.mark.parametrize("mark", ["1", "True", "yes", "1.0"])
def test_difficult_in_any_words(tmp_path, mark):
    write_voc(tmp_path, {"1.jpg": (40, 60, [("dog", mark, 11, 21, 40, 60)])}, {"train": ["1"]})
    assert open_dataset(voc(tmp_path), "train").records[0].ignore.tolist() == [True]


@pytest.mark.parametrize(
    "corners, smallest, box",
    [
        ("auto", 1, (20, 10, 60, 40)),
        ("auto", 0, (21, 11, 60, 40)),
        ("one_based", 0, (20, 10, 60, 40)),
        ("zero_based", 1, (21, 11, 60, 40)),
    ],
)
def test_where_corners_are_counted_from(tmp_path, corners, smallest, box):
    objects = [("dog", 0, 11, 21, 40, 60), ("dog", 0, smallest, 5, 9, 9)]
    write_voc(tmp_path, {"1.jpg": (80, 80, objects)}, {"train": ["1"]})
    dataset = open_dataset(voc(tmp_path, f"voc_corners={corners}"), "train")
    assert dataset.records[0].boxes[0].tolist() == list(box)
    said = corners == "auto" and smallest == 0
    assert [problem.kind for problem in dataset.problems] == ["0-based corners"] * said


def test_names_of_17_digits_are_numbered(tmp_path):
    folder = one_image(tmp_path, ["20240131235959123"], name="20240131235959123.jpg")
    assert [record.image_id for record in open_dataset(voc(folder), "train").records] == [1]


def test_an_empty_list_and_annotations_without_objects(tmp_path):
    write_voc(tmp_path, IMAGES, {"none": [""]})
    with pytest.raises(DataError, match="no usable image"):
        open_dataset(voc(tmp_path), "none")
    bare = write_voc(tmp_path / "bare", {"1.jpg": (9, 9, [])}, {"train": ["1"]})
    with pytest.raises(DataError, match="no object in any annotation file"):
        open_dataset(voc(bare), "train")


@pytest.mark.parametrize(
    "split, counts", [("VOC2007/trainval", (5008, 12601, 3054)), ("test", (4952, 12032, 2944))]
)
def test_voc2007(shared, split, counts):
    dataset = open_dataset(voc(shared / "data" / "voc2007_192" / "VOCdevkit"), split)
    ignored = sum(int(record.ignore.sum()) for record in dataset.records)
    assert (
        len(dataset.records),
        sum(len(r.boxes) for r in dataset.records) - ignored,
        ignored,
    ) == counts
    assert dataset.num_classes == 20 and dataset.class_names[0] == "aeroplane"
    assert [problem.kind for problem in dataset.problems] == ["ignored objects"]


def test_bccd_names_its_two_empty_boxes(shared):
    folder = shared / "data" / "bccd" / "BCCD"
    dataset = open_dataset(voc(folder), "trainval", training=True)
    assert len(dataset.records) == 292 and dataset.class_names == ["Platelets", "RBC", "WBC"]
    first, second = dataset.problems
    assert first.kind == second.kind == "empty box" and first.severity == "warning"
    assert "BloodImage_00338.xml" in first.text and "'RBC' is empty" in first.text
    assert "BloodImage_00343.xml" in second.text
    test = open_dataset(voc(folder), "test")
    assert sum(len(record.boxes) for part in (dataset, test) for record in part.records) == 4888 - 2


def test_images_in_folders_below_jpegimages(tmp_path):
    box = ("dog", 0, 1, 1, 60, 40)
    images = {f"{folder}a.jpg": (40, 60, [box] * n) for n, folder in enumerate(["s/", "t/", ""])}
    for folder in ("s", "t"):
        (tmp_path / "Annotations" / folder).mkdir(parents=True)
    write_voc(tmp_path, images, {"train": ["t/a", "JPEGImages/s/a.jpg", "/home/x/a.jpg"]})
    dataset = open_dataset(voc(tmp_path), "train")
    found = {record.path[len(f"{tmp_path}/JPEGImages/") :]: record for record in dataset.records}
    counts = {name: len(record.boxes) for name, record in found.items()}
    assert counts == {"t/a.jpg": 1, "s/a.jpg": 0, "a.jpg": 2}
