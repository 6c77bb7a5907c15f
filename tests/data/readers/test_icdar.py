"""The ICDAR reader, through open_dataset."""

import re

import numpy as np
import pytest
from data.samples import options, save_image

from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.readers import icdar
from lhrcnn.errors import DataError


def write(folder, images, truth, split="train", truth_folder="train_gt"):
    """Images [name] of 60 x 100 px and ground truth files {name: lines}."""
    for number, name in enumerate(images):
        save_image(folder / split / name, 60, 100, number)
    (folder / truth_folder).mkdir(parents=True, exist_ok=True)
    for name, lines in truth.items():
        (folder / truth_folder / name).write_bytes("\r\n".join(lines).encode("utf-8"))
    return folder


def text(folder, *overrides):
    return options(folder, "format=icdar", *overrides)


@pytest.mark.parametrize(
    "line, box, words",
    [
        ('38, 43, 92, 51, "Tiredness"', (43, 38, 52, 93), "Tiredness"),
        ('38,43,92,51,"one, two"', (43, 38, 52, 93), "one, two"),
        ('38 43 92 51 "Footpath"', (43, 38, 52, 93), "Footpath"),
        ('38 43 92 51 "12, 3, 4, 5, 6"', (43, 38, 52, 93), "12, 3, 4, 5, 6"),
        ('1, 2, 3, 4, "say ""no"""', (2, 1, 5, 4), 'say ""no""'),
        ("10,20,40,22,39,33,9,30,###", (20, 9, 33, 40), "###"),
        ("10,20,40,22,39,33,9,30,50% off, now", (20, 9, 33, 40), "50% off, now"),
        ("10,20,40,22,39,33,9,30,1999", (20, 9, 33, 40), "1999"),
        ("10.5,20,40,22,39,33,-9,30,", (20, -9, 33, 40), ""),
        ("5, 6, 7, 8", (6, 5, 9, 8), ""),
        ("5, 6, 7, 8, word", (6, 5, 9, 8), "word"),
        ('\ufeff5 6 7 8 "größe"', (6, 5, 9, 8), "größe"),
        ('10,20,40,22,39,33,9,30,"###"', (20, 9, 33, 40), "###"),  # datumaro
        ("10,20,40,22,39,33,9,30,Latin,###", (20, 9, 33, 40), "###"),  # MLT
        ("10,20,40,22,39,33,9,30,Chinese,a, b", (20, 9, 33, 40), "a, b"),
        ("10,20,40,22,39,33,9,30,Latin", (20, 9, 33, 40), "Latin"),
        ('10,20,40,22,39,33,9,30,0,"word"', (20, 9, 33, 40), "word"),  # RCTW
        ('10,20,40,22,39,33,9,30,1,"word"', (20, 9, 33, 40), "###"),
        ("10,20,40,22,39,33,9,30,5,50,word", (20, 5, 50, 40), "word"),  # five points
        ("10,20,40,22,39,33,9,30,5,50,1999", (20, 5, 50, 40), "1999"),
        (",".join(f"{x},{x + 5}" for x in range(14)) + ",###", (5, 0, 18, 13), "###"),  # CTW1500
        (",".join(f"{x},{x + 5}" for x in range(40)) + ",word", (5, 0, 44, 39), "word"),
        (
            "x: [[11 53 20]], y: [[46 30 80]], ornt: [u'c'], transcriptions: [u'the']",
            (30, 11, 80, 53),
            "the",
        ),
        (
            "x: [[11 53 20]], y: [[46 30 80]], ornt: [u'#'], transcriptions: [u'#']",
            (30, 11, 80, 53),
            "###",
        ),
    ],
)
def test_lines_of_every_layout(tmp_path, line, box, words):
    (tmp_path / "gt_1.txt").write_text(f"{line}\n\n", encoding="utf-8")
    problems = []
    boxes, texts = icdar.read_truth(tmp_path / "gt_1.txt", problems)
    assert (boxes.tolist(), texts, problems) == ([list(box)], [words], [])


def test_what_is_written_is_read(tmp_path):
    boxes, words = np.array([[1, 2, 13, 24], [30, 1, 40, 9]]), ['a, "b"', "###"]
    icdar.write_truth(tmp_path / "x.gt", boxes, words)
    again, texts = icdar.read_truth(tmp_path / "x.gt", [])
    np.testing.assert_array_equal(again, boxes)
    assert texts == words


@pytest.mark.parametrize(
    "split, truth_folder",
    [("train", "train_gt"), ("train", "train/gt"), ("train", "train"), ("train:labels", "labels")],
)
def test_records(tmp_path, split, truth_folder):
    truth = {
        "gt_img_2.txt": ['2, 3, 20, 13, "a"', '50, 3, 70, 13, "###"'],
        "img_10.gt": ["5,5,30,6,30,16,5,15,b"],
        "img_7.txt": [],
    }
    write(tmp_path, ["img_10.jpg", "img_2.jpg", "img_7.png"], truth, "train", truth_folder)
    dataset = open_dataset(text(tmp_path), split)
    assert dataset.class_names == ["text"] and [record.image_id for record in dataset.records] == [
        2,
        7,
        10,
    ]
    first, empty, last = dataset.records
    np.testing.assert_array_equal(first.boxes, [[3, 2, 14, 21], [3, 50, 14, 71]])
    assert (
        first.ignore.tolist() == [False, True]
        and first.classes.tolist() == [0, 0]
        and (first.height, first.width) == (60, 100)
    )
    np.testing.assert_array_equal(last.boxes, [[5, 5, 16, 30]])
    assert empty.boxes.shape == (0, 4)


FAULTS = {
    "no truth": (
        {},
        "no truth of image img_1.jpg .*looked for gt_img_1.txt, .*poly_gt_img_1.txt; left out",
        0,
    ),
    "no line": (
        {"gt_img_1.txt": ["1, 2, three, 4"]},
        "line 1: found '1, 2, three, 4', expected",
        1,
    ),
    "reversed": ({"gt_img_1.txt": ['9, 2, 3, 4, "a"']}, "is reversed", 1),
    "outside": ({"gt_img_1.txt": ['9, 2, 300, 40, "a"']}, "outside the image of 60 x 100 px", 1),
}


WARNINGS = ("outside", "no truth")  # counted, not fatal


@pytest.mark.parametrize("name", FAULTS)
def test_faults_fail_or_are_skipped(tmp_path, name):
    truth, words, number = FAULTS[name]
    write(tmp_path, ["img_1.jpg", "img_2.jpg"], {**truth, "gt_img_2.txt": []})
    if name not in WARNINGS:
        with pytest.raises(DataError, match=f"(?s){words}"):
            open_dataset(text(tmp_path), "train")
    dataset = open_dataset(text(tmp_path, "on_error=skip"), "train")
    assert len(dataset.records) == number + 1 and len(dataset.problems) == 1
    assert re.search(words, dataset.problems[0].text)


def test_total_text_s_names_and_another_word_for_the_split(tmp_path):
    line = "x: [[11 53 20]], y: [[46 30 50]], ornt: [u'c'], transcriptions: [u'the']"
    write(tmp_path, ["img11.jpg"], {"poly_gt_img11.txt": [line]}, "validation", "validation/gt")
    assert open_dataset(text(tmp_path), "val").records[0].boxes.tolist() == [[30, 11, 50, 53]]


def test_truth_that_is_not_text(tmp_path):
    write(tmp_path, ["img_1.jpg"], {})
    (tmp_path / "train_gt" / "gt_img_1.txt").write_bytes(b"\xff\xfe\x00ba")
    with pytest.raises(DataError, match="gt_img_1.txt: line 1: found"):
        open_dataset(text(tmp_path), "train")


def test_yolo_lines_are_refused(tmp_path):
    write(tmp_path, ["img_1.jpg"], {"img_1.txt": ["0 0.5 0.5 0.25 1", "3 0.1 0.2 0.1 0.0625"]})
    with pytest.raises(DataError, match="img_1.txt: its lines are YOLO's.*set data.format=yolo"):
        open_dataset(text(tmp_path), "train")


def test_hidden_files_are_passed_over(tmp_path):
    write(tmp_path, ["img_1.jpg"], {"img_1.txt": []})
    (tmp_path / "train" / "._img_1.jpg").write_text("Mac OS X")
    dataset = open_dataset(text(tmp_path), "train")
    assert len(dataset.records) == 1 and not dataset.problems


def test_folders_that_are_not_there(tmp_path):
    (tmp_path / "empty").mkdir()
    for split, words in (
        ("val", "val: no such folder .split 'val'.; folders there: empty"),
        ("empty:gt", "gt: no such folder"),
        ("empty", "no image in this folder"),
    ):
        with pytest.raises(DataError, match=words):
            open_dataset(text(tmp_path), split)
    with pytest.raises(DataError, match="no such data folder"):
        open_dataset(text(tmp_path / "nowhere"), "val")


def test_icdar_2013(shared):
    folder, problems = shared / "data" / "icdar2013" / "gt", []
    read = {file.stem: icdar.read_truth(file, problems) for file in folder.iterdir()}
    assert (
        len(read) == 233
        and sum(len(words) for _, words in read.values()) == 1095
        and problems == []
    )
    np.testing.assert_array_equal(read["gt_img_1"][0][0], [43, 38, 216, 921])
    assert read["gt_img_1"][1][:2] == ["Tiredness", "kills"]
