"""The COCO reader, through open_dataset."""

import numpy as np
import pytest
from data.samples import coco_content, options, save_image, write_coco

from lhrcnn.data.datasets import open_dataset
from lhrcnn.data.readers import coco_file
from lhrcnn.errors import DataError


def test_records_of_a_small_file(tmp_path):
    dataset = open_dataset(options(write_coco(tmp_path), "format=coco"), "train")
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
    assert (
        len(open_dataset(options(tmp_path, "format=coco", "image_dir=elsewhere"), "train").records)
        == 2
    )
    with pytest.raises(
        DataError,
        match="none of its first images, such as 'a.jpg'.*name their folder in data.image_dir",
    ):
        open_dataset(options(tmp_path, "format=coco"), "train")
    with pytest.raises(DataError, match="wrong: no such image folder"):
        open_dataset(options(tmp_path, "format=coco", "image_dir=wrong"), "train")


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
    content = coco_content()
    for image in content["images"]:
        del image["height"], image["width"]
    records = open_dataset(options(write_coco(tmp_path, content), "format=coco"), "train").records
    assert [(record.height, record.width) for record in records] == [(40, 60), (50, 30)]


def test_images_without_boxes(tmp_path):
    content = coco_content()
    content["annotations"] = content["annotations"][:2]  # image 3 has none; of image 7's one counts
    folder = write_coco(tmp_path, content)
    assert [
        len(r.boxes) for r in open_dataset(options(folder, "format=coco"), "train").records
    ] == [2, 0]
    assert [
        r.image_id
        for r in open_dataset(options(folder, "format=coco"), "train", training=True).records
    ] == [7]
    assert (
        len(
            open_dataset(
                options(folder, "format=coco", "keep_empty=true"), "train", training=True
            ).records
        )
        == 2
    )


def edited(change):
    content = coco_content()
    change(content)
    return content


FAULTS = {
    "reversed": (
        lambda c: c["annotations"][0].update(bbox=[10, 5, -4, 15]),
        ["image id 7", "a.jpg", "'dog' is reversed"],
        2,
        [1, 1],
    ),
    "empty": (
        lambda c: c["annotations"][0].update(bbox=[10, 5, 4, 0]),
        ["'dog' is empty"],
        2,
        [1, 1],
    ),
    "nan": (
        lambda c: c["annotations"][0].update(bbox=[10, 5, float("nan"), 3]),
        ["not finite"],
        2,
        [1, 1],
    ),
    "outside": (
        lambda c: c["annotations"][0].update(bbox=[80, 5, 10, 10]),
        ["outside the image of 40 x 60 px"],
        2,
        [1, 1],
    ),
    "partly outside": (
        lambda c: c["annotations"][0].update(bbox=[50, 5, 20, 10]),
        ["outside the image", "clipped"],
        2,
        [2, 1],
    ),
    "text box": (
        lambda c: c["annotations"][0].update(bbox="1 2 3 4"),
        ["annotation id 1", "expected [x, y, width, height]"],
        2,
        [1, 1],
    ),
    "no box": (
        lambda c: c["annotations"][0].pop("bbox"),
        ["annotation id 1", "bbox is None"],
        2,
        [1, 1],
    ),
    "unknown category": (
        lambda c: c["annotations"][0].update(category_id=5),
        ["unknown category id 5", "2, 11, 90"],
        2,
        [1, 1],
    ),
    "unknown image": (
        lambda c: c["annotations"][0].update(image_id=8),
        ["annotation id 1 (image id 8)", "no such image id"],
        2,
        [1, 1],
    ),
    "repeated annotation": (
        lambda c: c["annotations"][2].update(id=1),
        ["annotation id 1 (image id 3)", "stands twice"],
        2,
        [2, 0],
    ),
    "repeated image id": (
        lambda c: c["images"][1].update(id=7),
        ["image id 7 stands twice, for a.jpg and b.png"],
        1,
        [2],
    ),
    "repeated image": (
        lambda c: c["images"][1].update(file_name="a.jpg"),
        ["a.jpg stands twice, as image ids 7 and 3"],
        1,
        [2],
    ),
    "missing image": (
        lambda c: c["images"][1].update(file_name="gone.jpg"),
        ["gone.jpg: no such image file (image id 3)"],
        1,
        [2],
    ),
    "text id": (lambda c: c["images"][1].update(id=None), ["id None", "no id or name"], 1, [2]),
    "bad size": (lambda c: c["images"][1].update(width=0), ["image id 3", "width 0"], 1, [2]),
}


WARNINGS = {"empty", "outside", "partly outside"}


@pytest.mark.parametrize("name", sorted(set(FAULTS) - WARNINGS))
def test_faults_fail_with_their_place(tmp_path, name):
    change, words, _, _ = FAULTS[name]
    with pytest.raises(DataError) as error:
        open_dataset(options(write_coco(tmp_path, edited(change)), "format=coco"), "train")
    for word in [*words, "instances_train.json", "data.on_error=skip", "lhrcnn data check"]:
        assert word in str(error.value)


@pytest.mark.parametrize("name", sorted(WARNINGS))
def test_what_tools_leave_behind_is_dropped_and_counted(tmp_path, name):
    change, words, _, num_boxes = FAULTS[name]
    folder = write_coco(tmp_path, edited(change))
    dataset = open_dataset(options(folder, "format=coco"), "train")
    assert [len(record.boxes) for record in dataset.records] == num_boxes
    (problem,) = dataset.problems
    assert problem.severity == "warning" and all(word in problem.text for word in words)


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_skipped_and_counted(tmp_path, name):
    change, words, num_images, num_boxes = FAULTS[name]
    dataset = open_dataset(
        options(write_coco(tmp_path, edited(change)), "format=coco", "on_error=skip"), "train"
    )
    assert (
        len(dataset.records) == num_images
        and [len(record.boxes) for record in dataset.records] == num_boxes
    )
    assert len(dataset.problems) >= 1
    assert all(any(word in line.text for line in dataset.problems) for word in words)


def test_all_problems_are_gathered_before_raising(tmp_path):
    content = coco_content()
    content["annotations"] = [
        {"id": i, "image_id": 7, "category_id": 2, "bbox": [1, 1, -9, 0]} for i in range(15)
    ]
    with pytest.raises(DataError) as error:
        open_dataset(options(write_coco(tmp_path, content), "format=coco"), "train")
    assert (
        "15 errors, reversed box, such as" in str(error.value)
        and str(error.value).count("is reversed") == 3
    )


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
        open_dataset(
            options(write_coco(tmp_path, edited(change)), "format=coco", f"on_error={policy}"),
            "train",
        )


def test_broken_json_names_the_file(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "annotations" / "instances_train.json").write_text('{"images": [')
    with pytest.raises(DataError, match="instances_train.json: not readable as JSON"):
        open_dataset(options(tmp_path, "format=coco"), "train")


def opened(folder, change, split="train", **keywords):
    return open_dataset(
        options(write_coco(folder, edited(change)), "format=coco"), split, **keywords
    )


IDS = {"negative": (-1, -2), "beyond 64 bits": (2**63, 2**64), "near": (2**53, 2**53 + 1)}
IDS.update({"text": ("a", "b"), "digits": ("7", "3"), "floats": (1.0, 2.0)})


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
    dataset = opened(tmp_path, lambda c: c["annotations"][0].update(change))
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
    dataset = opened(tmp_path, lambda c: c["annotations"][0].update(mark))
    assert dataset.records[0].ignore.tolist() == [ignored, True]
    assert all(problem.severity == "note" for problem in dataset.problems)
    noted = ignored and "iscrowd" not in mark
    assert [problem.kind for problem in dataset.problems] == ["ignored objects"] * noted


def test_difficult_objects_are_learnt_where_the_config_says_so(tmp_path):
    content = edited(lambda c: c["annotations"][0].update(difficult=1))
    folder = write_coco(tmp_path, content)
    data = options(folder, "format=coco", "use_difficult=true")
    assert open_dataset(data, "train", training=True).records[0].ignore.tolist() == [False, True]
    assert open_dataset(data, "train").records[0].ignore.tolist() == [True, True]


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
    dataset = opened(tmp_path, lambda c: c["annotations"][0].update(change))
    np.testing.assert_allclose(dataset.records[0].boxes[0], (7, 23, 17, 27), atol=1e-5)
    assert "turned box" in [problem.kind for problem in dataset.problems]


def test_identical_categories_are_merged(tmp_path):
    dataset = opened(tmp_path, lambda c: c["categories"].append({"id": 90, "name": "dog"}))
    assert dataset.class_names == ["cat", "owl", "dog"]
    assert [problem.kind for problem in dataset.problems] == ["repeated category"]


def test_a_root_category_without_objects_is_no_class(tmp_path):
    """As Roboflow writes it."""

    def change(content):
        for entry in content["categories"]:
            entry["supercategory"] = "animals"
        content["categories"].append({"id": 0, "name": "animals", "supercategory": "none"})

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
    assert len(open_dataset(options(write_coco(tmp_path), "format=coco"), "train").records) == 2


@pytest.mark.parametrize(
    "start", ["{folder}/train/", "/home/x/train/", "C:\\x\\", "https://x.org/"]
)
def test_names_may_begin_with_folders_of_any_machine(tmp_path, start):
    content = coco_content()
    for image in content["images"]:
        image["file_name"] = start.format(folder=tmp_path) + image["file_name"]
    dataset = open_dataset(options(write_coco(tmp_path, content), "format=coco"), "train")
    names = [record.path.replace("//", "/") for record in dataset.records]
    assert names == [f"{tmp_path}/train/a.jpg", f"{tmp_path}/train/b.png"]


def test_images_that_folders_of_another_machine_tell_apart_are_not_mixed_up(tmp_path):
    content = coco_content()
    for image, folder in zip(content["images"], "xy"):
        image["file_name"] = f"/home/{folder}/a.jpg"
    with pytest.raises(DataError, match="none of its first images, such as '/home/x/a.jpg'"):
        open_dataset(options(write_coco(tmp_path, content), "format=coco"), "train")
