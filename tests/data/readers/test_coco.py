"""The COCO reader, through open_dataset."""

import numpy as np
import pytest
from data.reading import read
from data.samples import coco_content, options, save_image, write_coco

from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.readers import coco_file
from lhrcnn.errors import DataError


def opened(folder, change=None, split="train", *overrides, **keywords):
    """The `Dataset` of `coco_content`, changed by a function, in a folder."""
    content = coco_content()
    if change:
        change(content)
    return open_dataset(
        options(write_coco(folder, content), "format=coco", *overrides), split, **keywords
    )


def test_records_of_a_small_file(tmp_path):
    dataset = opened(tmp_path)
    assert (
        dataset.class_names == ["cat", "owl", "dog"]
        and dataset.category_ids == [2, 11, 90]
        and dataset.problems == []
    )
    first, second = dataset.records
    assert (first.image_id, first.height, first.width, second.image_id) == (7, 40, 60, 3)
    assert first.path == str(tmp_path / "train" / "a.jpg")
    np.testing.assert_array_equal(first.boxes, [(5, 10, 20, 30.5), (0, 0, 40, 60)])
    np.testing.assert_array_equal(first.classes, [2, 0])
    np.testing.assert_array_equal(first.ignore, [False, True])
    np.testing.assert_array_equal(first.areas, [123.5, 2400])
    np.testing.assert_array_equal(second.areas, [12])  # not in the file: the box's


@pytest.mark.parametrize(
    "annotations, images, split",
    [
        ("annotations/instances_train.json", "train", "train"),
        ("annotations/train.json", "images/train", "train"),
        ("train.json", "images", "train"),
        ("instances.json", "images", "train"),
        ("instances.json", ".", "instances.json"),
        ("train/_annotations.coco.json", "train", "train"),
        ("annotations/instances_x.json", "x", "annotations/instances_x.json"),
    ],
)
def test_layouts_that_are_found(tmp_path, annotations, images, split):
    dataset = open_dataset(
        options(write_coco(tmp_path, annotations=annotations, images=images), "format=coco"), split
    )
    assert len(dataset.records) == 2


def test_image_dir_is_taken_as_given(tmp_path):
    write_coco(tmp_path, images="elsewhere")
    for place in ("elsewhere", ""):  # without it images are found by their names
        data = options(tmp_path, "format=coco", f"image_dir={place}")
        assert len(open_dataset(data, "train").records) == 2
    with pytest.raises(DataError, match="wrong: no such image folder"):
        open_dataset(options(tmp_path, "format=coco", "image_dir=wrong"), "train")
    (tmp_path / "elsewhere").rename(tmp_path.parent / "moved away")
    words = "none of its images, such as 'a.jpg', is in .*name their folder in data.image_dir"
    with pytest.raises(DataError, match=words):
        open_dataset(options(tmp_path, "format=coco"), "train")


def test_as_fiftyone_writes_it_and_in_folders_of_classes(tmp_path):
    write_coco(tmp_path, annotations="labels.json", images="data")
    assert len(read("auto", tmp_path, "*").records) == 2
    (tmp_path / "data" / "dogs").mkdir()
    (tmp_path / "data" / "a.jpg").rename(tmp_path / "data" / "dogs" / "a.jpg")
    dataset = read("coco", tmp_path, "labels.json")
    assert [len(record.boxes) for record in dataset.records] == [2, 1] and not dataset.problems
    (tmp_path / "data" / "b.png").unlink()
    dataset = read("coco", tmp_path, "labels.json")
    assert [len(record.boxes) for record in dataset.records] == [2]
    assert [problem.kind for problem in dataset.problems] == ["missing image"]


def test_a_missing_file_lists_what_was_tried_and_what_is_there(tmp_path):
    write_coco(tmp_path)
    with pytest.raises(DataError) as error:
        open_dataset(options(tmp_path, "format=coco"), "valid")
    assert "split 'valid'" in str(error.value) and "annotations/instances_valid.json" in str(
        error.value
    )
    assert "JSON files there: annotations/instances_train.json" in str(error.value)
    with pytest.raises(DataError, match="nowhere: no such data folder"):
        open_dataset(options(tmp_path / "nowhere", "format=coco"), "train")


def test_size_is_read_from_the_image_when_the_file_has_none(tmp_path):
    def change(content):
        for image in content["images"]:
            del image["height"], image["width"]

    records = opened(tmp_path, change).records
    assert [(record.height, record.width) for record in records] == [(40, 60), (50, 30)]


def test_images_without_boxes(tmp_path):
    def change(content):
        del content["annotations"][2]  # image 3 has none; of image 7's two one counts

    assert [len(record.boxes) for record in opened(tmp_path, change).records] == [2, 0]
    (record,) = opened(tmp_path, change, training=True).records
    assert record.image_id == 7
    kept = opened(tmp_path, change, "train", "keep_empty=true", training=True)
    assert len(kept.records) == 2


# What of the first annotation or the second image is changed; what is said of it, but for what
# "..." stands for; how many objects the images have that are left.
FAULTS = {
    "reversed": ({"bbox": [10, 5, -4, 15]}, "image id 7 ... a.jpg ... 'dog' is reversed", [1, 1]),
    "nan": ({"bbox": [10, 5, float("nan"), 3]}, "not finite", [1, 1]),
    "text box": ({"bbox": "1 2 3 4"}, "annotation id 1 ... expected [x, y, width, height]", [1, 1]),
    "no box": ({"bbox": None}, "annotation id 1 ... bbox is None", [1, 1]),
    "unknown category": ({"category_id": 5}, "unknown category id 5 ... 2, 11, 90", [1, 1]),
    "unknown image": ({"image_id": 8}, "(image id 8) ... no such image id", [1, 1]),
    "repeated annotation": ({"id": 3}, "annotation id 3 (image id 3) ... stands twice", [2, 0]),
    "repeated id": ({"images": {"id": 7}}, "7 (b.png) stands twice, first as image id 7", [2]),
    "repeated image": ({"images": {"file_name": "a.jpg"}}, "image id 3 (a.jpg) stands twice", [2]),
    "missing image": (
        {"images": {"file_name": "gone.jpg"}},
        "gone.jpg: no such image file (image id 3)",
        [2],
    ),
    "no id": ({"images": {"id": None}}, "id None ... no id or name", [2]),
    "bad size": ({"images": {"width": 0}}, "image id 3 ... width 0", [2]),
}
WARNINGS = {
    "empty": ({"bbox": [10, 5, 4, 0]}, "'dog' is empty", [1, 1]),
    "outside": ({"bbox": [80, 5, 10, 10]}, "outside the image of 40 x 60 px", [1, 1]),
    "partly outside": ({"bbox": [50, 5, 20, 10]}, "outside the image ... clipped", [2, 1]),
}


def with_fault(change):
    """A change of the content: of its second image or its first annotation."""

    def changed(content):
        entry = content["images"][1] if "images" in change else content["annotations"][0]
        entry.update(change.get("images", change))

    return changed


@pytest.mark.parametrize("name", FAULTS)
def test_faults_fail_with_their_place_or_are_skipped_and_counted(tmp_path, name):
    change, words, num_boxes = FAULTS[name]
    with pytest.raises(DataError) as error:
        opened(tmp_path, with_fault(change))
    for word in [
        *words.split(" ... "),
        "instances_train.json",
        "data.on_error=skip",
        "lhrcnn data check",
    ]:
        assert word in str(error.value)
    dataset = opened(tmp_path, with_fault(change), "train", "on_error=skip")
    assert [len(record.boxes) for record in dataset.records] == num_boxes
    text = "".join(problem.text for problem in dataset.problems)
    assert all(word in text for word in words.split(" ... "))


@pytest.mark.parametrize("name", WARNINGS)
def test_what_tools_leave_behind_is_dropped_and_counted(tmp_path, name):
    change, words, num_boxes = WARNINGS[name]
    dataset = opened(tmp_path, with_fault(change))
    assert [len(record.boxes) for record in dataset.records] == num_boxes
    (problem,) = dataset.problems
    assert problem.severity == "warning" and all(
        word in problem.text for word in words.split(" ... ")
    )


def test_all_problems_are_gathered_before_raising(tmp_path):
    reversed_box = {"image_id": 7, "category_id": 2, "bbox": [1, 1, -9, 0]}
    with pytest.raises(DataError) as error:
        opened(tmp_path, lambda c: c.update(annotations=[reversed_box] * 15))
    assert "15 errors, reversed box, such as" in str(error.value)
    assert str(error.value).count("is reversed") == 3


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.pop("images"), "no list under 'images'"),
        (lambda c: c.update(annotations=[3]), "'annotations' has entries that are no objects"),
        (
            lambda c: c["categories"].append({"id": 2, "name": "bat"}),
            "category id 2 stands more than once",
        ),
        (
            lambda c: c["categories"].append({"id": 5, "name": "cat"}),
            "category name 'cat' stands more than once",
        ),
        (lambda c: c["categories"].append({"name": "bat"}), "each of 'categories' needs an 'id'"),
        (lambda c: c.update(images=[], annotations=[]), "no usable image"),
    ],
)
@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_files_that_cannot_be_used_at_all(tmp_path, change, words, policy):
    with pytest.raises(DataError, match=words):
        opened(tmp_path, change, "train", f"on_error={policy}")


def test_broken_json_names_the_file(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "annotations" / "instances_train.json").write_text('{"images": [')
    with pytest.raises(DataError, match="instances_train.json: not readable as JSON"):
        open_dataset(options(tmp_path, "format=coco"), "train")


IDS = {"negative": (-1, -2), "beyond 64 bits": (2**63, 2**64), "near": (2**53, 2**53 + 1)}
IDS.update({"text": ("a", "b"), "digits": ("7", "3"), "floats": (1.0, 2.0), "dashes": ("--5", "-")})


@pytest.mark.parametrize("kind", IDS)
def test_any_id_of_an_image_is_kept_for_its_user(tmp_path, kind):
    first, second = IDS[kind]

    def change(content):
        for entry, image_id in zip(content["images"], (first, second)):
            entry["id"] = image_id
        for annotation, image_id in zip(content["annotations"], (first, first, second)):
            annotation["image_id"] = image_id

    dataset = opened(tmp_path, change)
    assert [record.image_id for record in dataset.records] == [1, 2]
    assert [record.shown_id for record in dataset.records] == [first, second]
    assert [len(record.boxes) for record in dataset.records] == [2, 1] and not dataset.problems


@pytest.mark.parametrize("image_id", [7, 7.0, "7"])
@pytest.mark.parametrize("category_id", [90, 90.0, "90"])
def test_ids_of_one_number_are_the_same(tmp_path, image_id, category_id):
    change = {"image_id": image_id, "category_id": category_id}
    dataset = opened(tmp_path, with_fault(change))
    assert dataset.records[0].classes.tolist() == [2, 0] and not dataset.problems


@pytest.mark.parametrize(
    "mark, ignored",
    [
        ({"iscrowd": 0}, False),
        ({"iscrowd": "0"}, False),
        ({"iscrowd": None}, False),
        ({"iscrowd": False}, False),
        ({"iscrowd": 1}, True),
        ({"iscrowd": "1"}, True),
        ({"iscrowd": True}, True),
        ({"ignore": 0}, False),
        ({"ignore": 1}, True),
        ({"ignore": "1.0"}, True),
        ({"difficult": "yes"}, True),
        ({"attributes": {"difficult": True}}, True),
        ({"attributes": {"occluded": True}}, False),
        ({"attributes": {"Ignore": "true"}}, True),
    ],
)
def test_flags_as_tools_write_them(tmp_path, mark, ignored):
    dataset = opened(tmp_path, with_fault(mark))
    assert dataset.records[0].ignore.tolist() == [ignored, True]
    assert all(problem.severity == "note" for problem in dataset.problems)
    noted = ignored and "iscrowd" not in mark
    assert [problem.kind for problem in dataset.problems] == ["ignored objects"] * noted


def test_difficult_objects_are_learnt_where_the_config_says_so(tmp_path):
    marks = {"difficult": 1, "attributes": {"difficult": True}}
    for training, ignored in ((True, False), (False, True)):
        change = with_fault(marks), "train", "use_difficult=true"
        record = opened(tmp_path, *change, training=training).records[0]
        assert record.ignore.tolist() == [ignored, True]


@pytest.mark.parametrize(
    "area, expected",
    [
        (None, 307.5),
        ("123.5", 123.5),
        (100, 100),
        (-4, 307.5),
        (0, 307.5),
        (0.1, 307.5),
        (1e6, 307.5),
        (float("nan"), 307.5),
        ("much", 307.5),
    ],
)
def test_areas_that_cannot_be_meant_are_those_of_the_box(tmp_path, area, expected):
    dataset = opened(tmp_path, lambda c: c["annotations"][0].update(area=area))
    assert dataset.records[0].areas.tolist() == [expected, 2400]


@pytest.mark.parametrize("size", [{"width": None}, {"height": None, "width": None}])
def test_a_size_that_is_null_is_missing(tmp_path, size):
    dataset = opened(tmp_path, lambda c: c["images"][1].update(size))
    assert (dataset.records[1].height, dataset.records[1].width) == (50, 30)


def test_a_size_in_quotes_is_read(tmp_path):
    dataset = opened(tmp_path, lambda c: c["images"][1].update(width="30", height="50.0"))
    assert (dataset.records[1].height, dataset.records[1].width) == (50, 30)


@pytest.mark.parametrize("missing", [None, [], "gone"])
@pytest.mark.parametrize(
    "segmentation, box",
    [
        ([[12, 5, 30, 6, 20, 25]], (5, 12, 25, 30)),
        ([[12, 5, 13, 6, 12, 8], [20, 9, 22, 9, 22, 12]], (5, 12, 12, 22)),
        ({"size": [40, 60], "counts": [85, 3, 37, 3, 2272]}, (5, 2, 8, 4)),
        ({"size": [40, 60], "counts": [39, 2, 2359]}, (0, 0, 40, 2)),
    ],
)
def test_a_missing_box_is_that_of_the_segmentation(tmp_path, missing, segmentation, box):
    def change(content):
        annotation = content["annotations"][0]
        annotation.update(bbox=missing, segmentation=segmentation)
        if missing == "gone":
            del annotation["bbox"]

    dataset = opened(tmp_path, change)
    assert dataset.records[0].boxes[0].tolist() == list(box)
    assert "box of a segmentation" in [problem.kind for problem in dataset.problems]


@pytest.mark.parametrize("wrong", [[], {}, None])
def test_annotations_whose_ids_are_none_are_kept(tmp_path, wrong):
    dataset = opened(tmp_path, lambda c: [a.update(id=wrong) for a in c["annotations"]])
    assert sum(len(record.boxes) for record in dataset.records) == len(
        coco_content()["annotations"]
    )


def test_a_turned_box_is_enclosed(tmp_path):
    change = {"bbox": [20, 10, 10, 4], "attributes": {"rotation": 90.0}}
    dataset = opened(tmp_path, with_fault(change))
    np.testing.assert_allclose(dataset.records[0].boxes[0], (7, 23, 17, 27), atol=1e-5)
    assert "turned box" in [problem.kind for problem in dataset.problems]


def test_identical_categories_are_merged(tmp_path):
    dataset = opened(tmp_path, lambda c: c["categories"].append({"id": 90, "name": "dog"}))
    assert dataset.class_names == ["cat", "owl", "dog"]
    assert [problem.kind for problem in dataset.problems] == ["repeated category"]


@pytest.mark.parametrize("root", ["animals", "cat"])
def test_a_root_category_without_objects_is_no_class(tmp_path, root):
    """As Roboflow writes it, which may call it like a class."""

    def change(content):
        for entry in content["categories"]:
            entry["supercategory"] = root
        content["categories"].append({"id": 0, "name": root, "supercategory": "none"})

    dataset = opened(tmp_path, change)
    assert dataset.class_names == ["cat", "owl", "dog"] and dataset.category_ids == [2, 11, 90]
    assert dataset.records[0].classes.tolist() == [2, 0]
    assert [problem.kind for problem in dataset.problems] == ["root category"]


def test_one_file_is_not_two_splits_unless_it_is_named_twice(tmp_path):
    write_coco(tmp_path, annotations="instances.json", images="images")
    with pytest.raises(DataError, match="of split 'train' and of split 'val'"):
        open_dataset(options(tmp_path, "format=coco"), "train", training=True)
    same = ("train_split=instances.json", "val_split=instances.json")
    for splits in (same, ("val_split=",)):
        data = options(tmp_path, "format=coco", *splits)
        assert open_dataset(data, data.train_split, training=True).records


def test_a_large_file_is_read_in_parts_as_a_small_one(tmp_path, monkeypatch):
    content = coco_content()
    content["annotations"] = [
        {
            "segmentation": [[1, 2, 3]],
            "id": k,
            "image_id": 7,
            "category_id": 2,
            "bbox": [k, 1, 2, 3],
        }
        for k in range(30)
    ]
    content["annotations"][7]["attributes"] = {"parts": [{"a": 1}, {"b": 2}], "ignore": True}
    whole = open_dataset(options(write_coco(tmp_path, content), "format=coco"), "train")
    monkeypatch.setattr(coco_file, "_BLOCK", 200)
    keys = ["images", "categories", "annotations"]
    for order in (keys, keys[::-1], ["images", "annotations", "categories"]):
        write_coco(tmp_path, {key: content[key] for key in order})
        dataset = open_dataset(options(tmp_path, "format=coco"), "train")
        assert dataset.digest() == whole.digest() and dataset.problems == whole.problems
        assert len(dataset.records[0].boxes) == 30 and dataset.records[0].ignore.sum() == 1


def test_coco64(shared):
    dataset = open_dataset(options(shared / "data" / "coco64", "format=coco"), "train")
    assert (len(dataset.records), dataset.num_classes, dataset.problems) == (64, 80, [])
    assert dataset.category_ids[-1] == 90 and dataset.class_names[0] == "person"
    assert (
        sum(len(record.boxes) for record in dataset.records) == 547
        and sum(record.ignore.sum() for record in dataset.records) == 5
    )
    by_name = open_dataset(options(shared / "data" / "coco64", "format=coco"), "instances.json")
    assert [record.path for record in by_name.records] == [
        record.path for record in dataset.records
    ]


def test_other_sized_images_are_of_no_concern(tmp_path):
    save_image(tmp_path / "train" / "unlisted.jpg", 9, 9)
    assert len(opened(tmp_path).records) == 2


@pytest.mark.parametrize(
    "start", ["{folder}/train/", "/home/x/train/", "C:\\x\\", "https://x.org/"]
)
def test_names_may_begin_with_folders_of_any_machine(tmp_path, start):
    def change(content):
        for image in content["images"]:
            image["file_name"] = start.format(folder=tmp_path) + image["file_name"]

    dataset = opened(tmp_path, change)
    names = [record.path.replace("//", "/") for record in dataset.records]
    assert names == [f"{tmp_path}/train/a.jpg", f"{tmp_path}/train/b.png"]


def test_as_lvis_names_images(tmp_path):
    def change(content):
        for image in content["images"]:
            name = image.pop("file_name")
            image["coco_url"] = f"http://images.cocodataset.org/train/{name}"

    assert [len(record.boxes) for record in opened(tmp_path, change).records] == [2, 1]


def test_images_that_folders_of_another_machine_tell_apart_are_not_mixed_up(tmp_path):
    def change(content):
        for image, folder in zip(content["images"], "xy"):
            image["file_name"] = f"/home/{folder}/a.jpg"

    with pytest.raises(DataError, match="home/[xy]/a.jpg: .*train/a.jpg may be another image"):
        opened(tmp_path, change)
