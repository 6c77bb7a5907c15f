"""The ICDAR reader, through open_dataset."""

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
        "no truth of image img_1.jpg .*looked for gt_img_1.txt, img_1.gt, img_1.txt",
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


WARNINGS = ("outside",)  # counted, not fatal


@pytest.mark.parametrize("name", FAULTS)
def test_faults_fail_or_are_skipped(tmp_path, name):
    truth, words, number = FAULTS[name]
    write(tmp_path, ["img_1.jpg", "img_2.jpg"], {**truth, "gt_img_2.txt": []})
    if name not in WARNINGS:
        with pytest.raises(DataError, match=f"(?s){words}"):
            open_dataset(text(tmp_path), "train")
    dataset = open_dataset(text(tmp_path, "on_error=skip"), "train")
    assert len(dataset.records) == number + 1 and len(dataset.problems) == 1


def test_truth_that_is_not_text(tmp_path):
    write(tmp_path, ["img_1.jpg"], {})
    (tmp_path / "train_gt" / "gt_img_1.txt").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(DataError, match="gt_img_1.txt: not readable as UTF-8"):
        open_dataset(text(tmp_path), "train")


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
