"""The DET layout: reading, what is not labelled, faults, writing and reading back."""

import numpy as np
import pytest
import tensorflow as tf
from data.samples import options, write_coco, write_det, write_voc
from PIL import Image

from lhrcnn.data.batches.pipeline import evaluation_batches
from lhrcnn.data.datasets import open_dataset, read_dataset
from lhrcnn.data.readers import imagenet_det
from lhrcnn.data.readers.imagenet_det_classes import CLASSES
from lhrcnn.data.tools import imagenet_det_files
from lhrcnn.errors import DataError
from lhrcnn.models import matching

ANT, DOG, ZEBRA = "n02219486", "n02084071", "n02391049"
FIRST, SECOND, QUERIED = (
    "val/ILSVRC2012_val_00000001",
    "val/ILSVRC2013_val_00000002",
    "train/ILSVRC2013_train/n02219486/n02219486_7",
)
SCENE, NEGATIVE = (
    "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000003",
    "train/ILSVRC2013_train_extra0/ILSVRC2013_train_00000009",
)
IMAGES = {
    FIRST: (40, 60, [(DOG, 0, 0, 0, 9, 19), (ZEBRA, 0, 10, 5, 59, 39)]),
    SECOND: (50, 30, []),
    QUERIED: (30, 40, [(ANT, 0, 2, 3, 20, 20)]),
    SCENE: (30, 40, [(DOG, 1, 2, 3, 20, 20)]),
    NEGATIVE: (20, 20, []),
}
LISTS = {
    "val": ["ILSVRC2012_val_00000001 1", "ILSVRC2013_val_00000002 2"],
    "train_3": [
        "ILSVRC2013_train/n02219486/n02219486_7 1",
        "ILSVRC2013_train_extra0/ILSVRC2013_train_00000009 -1",
    ],
    "train": [QUERIED, SCENE, NEGATIVE],
    "empty": [],
}


@pytest.fixture
def folder(tmp_path):
    return write_det(tmp_path / "ILSVRC2015", IMAGES, LISTS)


def det(folder, *overrides):
    return options(folder, "format=imagenet_det", *overrides)


def test_the_200_classes_are_those_of_the_development_kit(shared):
    rows = [
        line.split("\t")
        for line in (shared / "data/ilsvrc_det/map_det.tsv").read_text().splitlines()[1:]
    ]
    assert [(wnid, name) for wnid, _, name in rows] == list(CLASSES) and len(set(CLASSES)) == 200


def test_reading(folder):
    dataset = read_dataset(det(folder.parent), "val+train_3")
    assert (
        dataset.problems == []
        and dataset.class_names[2] == "ant"
        and dataset.category_ids == list(range(1, 201))
    )
    first, second, queried = dataset.records
    assert [record.image_id for record in dataset.records] == [1, 2, 3]
    assert first.path == str(folder / "Data/DET" / f"{FIRST}.JPEG") and (
        first.height,
        first.width,
    ) == (40, 60)
    np.testing.assert_array_equal(
        first.boxes, [[0, 0, 20, 10], [5, 10, 40, 60]]
    )  # 0-based inclusive corners
    assert [dataset.class_names[k] for k in first.classes] == ["dog", "zebra"]
    assert len(second.boxes) == 0 and not first.unlabelled and not second.unlabelled
    assert queried.unlabelled == tuple(k for k in range(200) if k != 2)


@pytest.mark.parametrize("name", ["train/a\0", "train/" + "a" * 5000, "val/" + "a" * 5000])
def test_names_that_no_file_can_have_are_problems(folder, name):
    (folder / "ImageSets/DET/odd.txt").write_text(f"{FIRST} 1\n{name} 2\n")
    dataset = read_dataset(det(folder), "odd")
    assert len(dataset.records) == len(dataset.problems) == 1


def test_difficult_objects_as_in_voc(folder):
    assert read_dataset(det(folder), "train").records[1].ignore.tolist() == [True]
    assert read_dataset(det(folder), "train", training=True).records[1].ignore.tolist() == [False]
    assert read_dataset(det(folder, "use_difficult=false"), "train", training=True).records[
        1
    ].ignore.tolist() == [True]


def test_images_not_labelled_in_full_give_no_background(folder):
    """In training no candidate of them is background, wherever it lies; foreground stays, and so
    does all of other images."""
    dataset = open_dataset(
        det(folder, "short_side=[30]", "pad_multiple=1", "aspect_groups=[1.4]"),
        "train",
        training=True,
    )
    queried, scene = dataset.records  # the negative shows nothing
    assert (
        queried.ignore.tolist() == [False, True]
        and queried.boxes[1].tolist() == [0, 0, 30, 40]
        and len(scene.boxes) == 1
    )
    batch = next(
        iter(
            evaluation_batches(
                dataset, det(folder, "short_side=[30]", "pad_multiple=1", "aspect_groups=[1.4]"), 2
            )
        )
    )
    candidates = tf.constant(
        [[[3.0, 2, 21, 21], [20, 25, 30, 40], [0, 0, 30, 40], [0, 0, 10, 5]]] * 2
    )
    found = matching.match(candidates, batch, 0.5, 0.5)
    labels = found.labels.numpy()[np.argsort(batch["image_id"].numpy())]
    assert labels.tolist() == [
        [matching.FOREGROUND] + [matching.NEITHER] * 3,
        [matching.FOREGROUND] + [matching.BACKGROUND] * 3,
    ]


def test_a_class_that_is_labelled_alone_gives_background(folder):
    dataset = open_dataset(det(folder, "classes=[ant]"), "train", training=True)
    assert [record.ignore.tolist() for record in dataset.records] == [[False]]
    assert open_dataset(det(folder, "classes=[dog, ant]"), "train", training=True).records[
        0
    ].unlabelled == (0,)


def test_aspect_limit(folder):
    assert len(open_dataset(det(folder, "max_aspect=1.4"), "train", training=True).records) == 2
    assert len(open_dataset(det(folder, "max_aspect=1.4"), "val").records) == 2
    with pytest.raises(DataError, match="none of the 3 images"):
        open_dataset(det(folder, "max_aspect=1.3"), "train", training=True)


def test_blacklisted_pairs(folder):
    (folder / "devkit/data").mkdir(parents=True)
    blacklist = folder / "devkit/data/ILSVRC2015_det_validation_blacklist.txt"
    blacklist.write_text(f"2 {ANT}\n2 {ZEBRA}\n")
    assert [record.unlabelled for record in read_dataset(det(folder), "val").records] == [
        (),
        (2, 199),
    ]
    blacklist.write_text(f"9 {ANT}\n")
    with pytest.raises(DataError, match="9 n02219486.*number of an image in val.txt"):
        read_dataset(det(folder), "val")


def test_the_two_known_images_are_left_out_where_they_are_damaged(tmp_path, caplog):
    names = [f"val/{name}" for name in imagenet_det.KNOWN_UNREADABLE]
    folder = write_det(tmp_path, {name: (20, 20, []) for name in names}, {"val": names})
    (folder / "Data/DET" / f"{names[0]}.JPEG").write_bytes(b"damaged")
    dataset = open_dataset(det(folder), "val")
    assert [record.path.rpartition("/")[2] for record in dataset.records] == [
        "ILSVRC2013_val_00004542.JPEG"
    ]


def rename_class(file):
    file.write_text(file.read_text().replace(DOG, "n00000000"))


@pytest.mark.parametrize(
    "spoil, words",
    [
        (rename_class, "'n00000000' is none of the 200 classes; left out"),
        (
            lambda file: file.write_text(
                file.read_text().replace("ILSVRC2012_val_00000001", "ILSVRC2012_val_00000005")
            ),
            "is of another image, 'ILSVRC2012_val_00000005'",
        ),
        (lambda file: file.unlink(), "no such annotation file"),
        (lambda file: file.write_text("<annotation>"), "not readable as VOC's XML"),
    ],
)
def test_faults_of_annotations_name_file_and_image(folder, spoil, words):
    spoil(folder / "Annotations/DET" / f"{FIRST}.xml")
    problems = read_dataset(det(folder), "val").problems
    (problem,) = map(str, problems)
    assert words in problem and f"{FIRST}.xml: image id 1" in problem


@pytest.mark.parametrize(
    "split, words",
    [
        ("nothing", "no such list of images; there are empty, train, train_3, val"),
        ("empty", "empty.txt: the list names no image"),
        ("none.txt", "none.txt: no such list"),
    ],
)
def test_wrong_lists(folder, split, words):
    with pytest.raises(DataError, match=words):
        read_dataset(det(folder), split)


def test_wrong_folders(tmp_path):
    with pytest.raises(DataError, match="no such data folder"):
        read_dataset(det(tmp_path / "none"), "val")
    with pytest.raises(DataError, match="holds ImageSets/DET"):
        read_dataset(det(tmp_path), "val")


def test_a_negative_without_annotations_and_a_repeated_image(folder):
    (folder / "Annotations/DET" / f"{NEGATIVE}.xml").unlink()
    dataset = read_dataset(det(folder), "train+train")
    assert [len(record.boxes) for record in dataset.records] == [1, 1, 0]
    kinds = [problem.kind for problem in dataset.problems]
    assert kinds == ["repeated image"] * 3 + ["ignored objects"]
    assert "stands twice" in dataset.problems[0].text


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_written_data_sets_read_back(tmp_path, kind):
    if kind == "voc":
        images = {
            "1.jpg": (40, 60, [("cat", 0, 3.5, 2, 20, 30), ("dog", 1, 5, 5, 50, 40)]),
            "2.png": (30, 50, [("dog", 0, 1, 1, 50, 30)]),
        }
        write_voc(tmp_path / "voc", images, {"trainval": ["1"], "test": ["2"]})
        source, splits = (
            options(tmp_path / "voc", "format=voc"),
            {"train": "trainval", "val": "test"},
        )
    else:
        source = options(write_coco(tmp_path / "coco"), "format=coco")
        splits = {"val": "train"}
    datasets = {name: read_dataset(source, split) for name, split in splits.items()}
    imagenet_det_files.write(datasets, tmp_path / "det")
    for name, dataset in datasets.items():
        again = read_dataset(det(tmp_path / "det"), name)
        assert {problem.kind for problem in again.problems} <= {"ignored objects"}
        assert again.class_names == dataset.class_names
        for record, expected in zip(again.records, dataset.records):
            assert (record.height, record.width) == (expected.height, expected.width)
            np.testing.assert_allclose(record.boxes, expected.boxes, atol=1e-4)
            assert (
                record.classes.tolist() == expected.classes.tolist()
                and record.ignore.tolist() == expected.ignore.tolist()
            )
            assert not record.unlabelled and Image.open(record.path).size == (
                record.width,
                record.height,
            )
    with pytest.raises(DataError, match="not empty"):
        imagenet_det_files.write(datasets, tmp_path / "det")


def test_two_images_of_one_name_cannot_be_written(tmp_path):
    dataset = read_dataset(options(write_coco(tmp_path / "coco"), "format=coco"), "train")
    with pytest.raises(DataError, match="a second image named val/a"):
        imagenet_det_files.write({"val": dataset, "val2": dataset}, tmp_path / "det")
