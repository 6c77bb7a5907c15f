"""data.format=auto: every format is known by its own files, and nothing else is taken for it."""

import pathlib

import numpy as np
import pytest
from data.reading import images, read, seen, write
from data.samples import coco_content, options

from lhrcnn.data.datasets import drop_unreadable, open_dataset, read_dataset
from lhrcnn.data.readers import READERS, auto, signs
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.errors import DataError
from lhrcnn.runs.directory import data_of

VOC = (
    "<annotation><object><name>ant</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax>"
    "<ymax>60</ymax></bndbox></object></annotation>"
)
SHAPE = {"label": "ant", "points": [[10, 20], [40, 60]], "shape_type": "rectangle"}
CREATEML = {"label": "ant", "coordinates": {"x": 25, "y": 40, "width": 30, "height": 40}}
RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}
REGION = {"shape_attributes": RECT, "region_attributes": {"class": "ant"}}
RESULT = {
    "type": "rectanglelabels",
    "value": {"x": 10, "y": 25, "width": 30, "height": 50, "rectanglelabels": ["ant"]},
    "original_width": 100,
    "original_height": 80,
}
CVAT = (
    "<annotations><meta><task><labels><label><name>ant</name></label></labels></task></meta>"
    '<image id="0" name="a.jpg" width="100" height="80">'
    '<box label="ant" xtl="10" ytl="20" xbr="40" ybr="60"></box></image></annotations>'
)
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40]}],
    "categories": [{"id": 1, "name": "ant"}],
}
FILES = {
    "coco": {"annotations.json": COCO},
    "voc": {"Annotations/a.xml": VOC, "ImageSets/Main/trainval.txt": "a\n"},
    "voc_folder": {"a.xml": VOC},
    "yolo": {"a.txt": "0 0.25 0.5 0.3 0.5\n", "classes.txt": "ant\n"},
    "csv": {"x.csv": "filename,class,xmin,ymin,xmax,ymax\na.jpg,ant,10,20,40,60\n"},
    "labelme": {"a.json": {"shapes": [SHAPE], "imagePath": "a.jpg"}},
    "cvat": {"annotations.xml": CVAT},
    "via": {
        "via.json": {"a.jpg1": {"filename": "a.jpg", "regions": [REGION], "file_attributes": {}}}
    },
    "label_studio": {
        "tasks.json": [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": [RESULT]}]}]
    },
    "kitti": {"a.txt": "ant 0 0 0 10 20 40 60 0 0 0 0 0 0 0\n"},
    "wider_face": {"train_bbx_gt.txt": "a.jpg\n1\n10 20 30 40 0 0 0 0 0 0\n"},
    "crowdhuman": {
        "x.odgt": '{"ID": "a", "gtboxes": [{"tag": "ant", "fbox": [10, 20, 30, 40]}]}\n'
    },
    "createml": {"x.json": [{"image": "a.jpg", "annotations": [CREATEML]}]},
}
FORMATS = sorted(FILES)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_known_by_its_own_files(tmp_path, name):
    images(tmp_path, "JPEGImages/a.jpg" if name == "voc" else "a.jpg")
    write(tmp_path, FILES[name])
    found = auto.recognise(tmp_path)
    assert found.format == name and found.why
    dataset = read("auto", tmp_path)
    assert [box[1:] for box in seen(dataset)["a.jpg"]] == [(20, 10, 60, 40)]


def test_every_sign_is_of_a_reader():
    assert set(signs.FORMATS) <= set(READERS) and set(FILES) <= set(signs.FORMATS)


@pytest.mark.parametrize(
    "others", [("coco", "yolo"), ("voc_folder", "labelme"), ("csv", "createml")]
)
def test_two_formats_are_refused_with_both(tmp_path, others):
    images(tmp_path, "a.jpg")
    for name in others:
        write(tmp_path, FILES[name])
    with pytest.raises(DataError) as error:
        read("auto", tmp_path)
    assert all(f"data.format={name}: " in str(error.value) for name in others)


def test_nothing_known_names_the_formats_and_the_files(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(DataError, match=r"createml is recognised in its 2 files \(2 .jpg\)"):
        read("auto", tmp_path)
    with pytest.raises(DataError, match="give the folder, not a file"):
        read("auto", tmp_path / "a.jpg")


def test_splits_are_found_by_folder_file_or_key(tmp_path):
    roboflow = tmp_path / "roboflow"
    for part in ("train", "valid", "test"):
        write(roboflow, {f"{part}/_annotations.coco.json": coco_content()})
    assert auto.recognise(roboflow).splits == {
        "train": "train/_annotations.coco.json",
        "val": "valid/_annotations.coco.json",
        "test": "test/_annotations.coco.json",
    }
    devkit = tmp_path / "devkit"
    for year, names in (
        ("VOC2007", ("trainval", "test")),
        ("VOC2012", ("train", "val", "trainval")),
    ):
        write(devkit, {f"{year}/ImageSets/Main/{name}.txt": "a\n" for name in names})
        write(devkit, {f"{year}/Annotations/a.xml": VOC})
    assert auto.recognise(devkit).splits == {
        "train": "VOC2007/trainval+VOC2012/train",
        "val": "VOC2012/val",
        "test": "VOC2007/test",
    }


def test_the_test_split_never_validates(tmp_path):
    files = {f"ImageSets/Main/{name}.txt": "a\n" for name in ("trainval", "test")}
    write(tmp_path, {**files, "Annotations/a.xml": VOC})
    found = auto.recognise(tmp_path)
    assert found.splits == {"train": "trainval", "test": "test"}
    assert found.place("train") == ("trainval", "train") and found.place("val") == (
        "trainval",
        "val",
    )
    assert found.place("test") == ("test", "")


def test_without_a_split_a_fifth_is_drawn_for_val_once_and_for_all(tmp_path):
    images(tmp_path, *(f"{number}.jpg" for number in range(20)))
    rows = [f"{number}.jpg,10,20,40,60,{'rare' if number < 5 else 'usual'}" for number in range(20)]
    write(tmp_path, {"boxes.csv": "\n".join(rows) + "\n"})
    train, val = (seen(read("auto", tmp_path, split)) for split in ("train", "val"))
    assert len(val) == 4 and len(train) == 16 and not set(train) & set(val)
    assert sorted(boxes[0][0] for boxes in val.values()) == ["rare"] + ["usual"] * 3
    assert seen(read("auto", tmp_path, "test")) == val
    assert sorted(data_of(read("auto", tmp_path, "train"))["held_out"]) == sorted(val)
    assert len(seen(read("auto", tmp_path))) == 20


def test_everything_is_never_a_part_of_it_in_silence(tmp_path):
    for name in ("train", "val"):
        write(tmp_path, {f"annotations/instances_{name}.json": COCO})
    images(tmp_path, "images/a.jpg")
    with pytest.raises(DataError, match="in 2: .*instances_train.json, .*name one of them in"):
        read("auto", tmp_path, "*")
    assert set(auto.settle(options(tmp_path, "format=auto"))[1]) == {"train", "val"}


def test_several_files_that_are_no_splits_are_not_the_first_of_them(tmp_path):
    images(tmp_path, "images/a.jpg")
    write(tmp_path, {f"annotations/instances_{name}.json": COCO for name in ("one", "two")})
    write(tmp_path, {"annotations/person_keypoints_one.json": COCO})
    for split in ("*", "train"):
        with pytest.raises(DataError, match="in 2: annotations/instances_one.json, .*two.json;"):
            read("auto", tmp_path, split)
    assert len(read("auto", tmp_path, "annotations/instances_two.json").records) == 1


def test_what_a_run_held_out_stays_held_out_when_images_come_and_go(tmp_path):
    def listed(names):
        images(tmp_path, *names)
        rows = "".join(f"{name},10,20,40,60,thing\n" for name in names)
        write(tmp_path, {"boxes.csv": rows})
        return options(tmp_path, "format=auto")

    data = listed([f"{number}.jpg" for number in range(20)])
    held_out = open_dataset(data, "train", training=True).held_out
    data = listed([f"{number}.jpg" for number in range(50)])
    assert set(open_dataset(data, "val").held_out) != set(held_out)
    val, train = (open_dataset(data, split, held_out=held_out) for split in ("test", "train"))
    assert sorted(pathlib.Path(record.path).name for record in val.records) == sorted(held_out)
    assert len(train.records) == 46 and set(train.held_out) == set(held_out)
    other = open_dataset(data, "val", held_out=["elsewhere.jpg"])
    assert len(other.records) == 10  # of another data set: drawn anew


def _dataset(names, classes_of):
    empty = np.zeros([0, 4], np.float32)
    records = [
        Record(number, name, 80, 100, empty, np.array(classes_of(number), np.int32), empty, empty)
        for number, name in enumerate(names)
    ]
    return Dataset("x", records, ["a", "b", "c"], [1, 2, 3])


def test_every_class_has_its_share_and_the_order_does_not_matter():
    names = [f"{number:03d}.jpg" for number in range(200)]
    dataset = _dataset(names, lambda number: [0] + [1] * (number % 4 == 0) + [2] * (number < 20))
    parts = auto.divide(dataset)
    assert len(parts["val"]) == 40 and len(parts["train"]) == 160
    for k, share in ((1, 10), (2, 4)):
        count = sum(
            k in record.classes for record in dataset.records if record.image_id in parts["val"]
        )
        assert abs(count - share) <= 1
    dataset.records.reverse()
    assert auto.divide(dataset) == parts


def test_copies_by_roboflow_stay_together():
    names = [f"{number}_jpg.rf.{copy}f3e.jpg" for number in range(10) for copy in "abc"]
    dataset = _dataset(names, lambda number: [0])
    val = {names[i].split("_")[0] for i in auto.divide(dataset)["val"]}
    train = {names[i].split("_")[0] for i in auto.divide(dataset)["train"]}
    assert len(val) == 2 and len(train) == 8


def test_images_of_one_name_in_folders_of_their_own_are_no_copies(tmp_path):
    for number in range(20):
        images(tmp_path, f"{number}/rgb.jpg")
        write(tmp_path, {f"{number}/rgb.txt": "0 0.25 0.5 0.3 0.5\n"})
    parts = [read("auto", tmp_path, split).records for split in ("train", "val")]
    assert [len(part) for part in parts] == [16, 4]


def test_images_to_test_on_are_neither_trained_on_nor_drawn_to_validate(tmp_path):
    """Of folders images/ and test/ the first is the rest: no name of a split."""
    for number in range(25):
        name = f"{'test' if number < 5 else 'images'}/{number}"
        images(tmp_path, f"{name}.jpg")
        write(tmp_path, {f"{name}.txt": "0 0.25 0.5 0.3 0.5\n"})
    train, val, test = (
        {record.path for record in read("auto", tmp_path, split).records}
        for split in ("train", "val", "test")
    )
    assert test == {f"{tmp_path}/test/{number}.jpg" for number in range(5)}
    assert (len(train), len(val)) == (16, 4) and not (train | val) & test and not train & val
    assert len(read("auto", tmp_path).records) == 25


def test_a_folder_that_is_all_to_test_on_is_divided_as_any(tmp_path):
    images(tmp_path, *(f"test/{number}.jpg" for number in range(5)))
    write(tmp_path, {f"test/{number}.txt": "0 0.25 0.5 0.3 0.5\n" for number in range(5)})
    assert [len(read("auto", tmp_path, split).records) for split in ("train", "val")] == [4, 1]


@pytest.mark.parametrize("place", ["", "train/", "photos/"])
def test_a_folder_of_scene_text_without_splits_is_divided(tmp_path, place):
    names = [f"img_{number}.jpg" for number in range(5)]
    images(tmp_path, *(place + name for name in names))
    write(tmp_path, {f"{place}gt_{name[:-4]}.txt": "1,1,9,1,9,9,1,9,word\n" for name in names})
    parts = [set(seen(read("auto", tmp_path, split))) for split in ("train", "val")]
    assert [len(part) for part in parts] == [4, 1] and set.union(*parts) == set(names)


LABELS = {
    "yolo": ("", "{}.txt", "0 0.25 0.5 0.3 0.5\n"),
    "kitti": ("", "{}.txt", "ant 0 0 0 10 20 40 60 0 0 0 0 0 0 0\n"),
    "icdar": ("words/", "words/gt_{}.txt", "1,1,9,1,9,9,1,9,word\n"),
    "labelme": ("", "{}.json", {"shapes": [SHAPE]}),
    "voc_folder": ("", "{}.xml", VOC),
}


@pytest.mark.parametrize("name", sorted(LABELS))
def test_label_files_called_like_splits_are_no_lists(tmp_path, name):
    stems, (place, path, label) = ("train", "test1", "val", "b", "dev_2"), LABELS[name]
    images(tmp_path, *(f"{place}{stem}.jpg" for stem in stems))
    write(tmp_path, {path.format(stem): label for stem in stems})
    found = auto.recognise(tmp_path)
    assert (found.format, found.splits) == (name, {})
    parts = [set(seen(read("auto", tmp_path, split))) for split in ("train", "val")]
    assert [len(part) for part in parts] == [4, 1]
    assert set.union(*parts) == {f"{stem}.jpg" for stem in stems}


def test_lists_that_name_images_are_splits(tmp_path):
    images(tmp_path, "x/a.jpg", "x/b.jpg", "x/c.jpg")
    labels = {f"x/{stem}.txt": LABELS["yolo"][2] for stem in "abc"}
    write(tmp_path, {**labels, "train.txt": "/content/x/a.jpg\nx\\b.jpg\n", "valid.txt": "c\n"})
    assert set(auto.recognise(tmp_path).splits) == {"train", "val"}
    assert set(seen(read("auto", tmp_path, "train"))) == {"a.jpg", "b.jpg"}
    assert set(seen(read("auto", tmp_path, "val"))) == {"c.jpg"}


def test_a_folder_of_images_without_labels_is_no_split(tmp_path):
    images(tmp_path, "training/image_2/0.png", "testing/image_2/0.png")
    write(tmp_path, {"training/label_2/0.txt": LABELS["kitti"][2]})
    assert auto.recognise(tmp_path).splits == {"train": "train"}


def test_icdar_2015_as_it_is_unpacked(tmp_path):
    places = {
        "train": ("ch4_training_images", "ch4_training_localization_transcription_gt"),
        "test": ("ch4_test_images", "Challenge4_Test_Task1_GT"),
    }
    for part, truth in places.values():
        images(tmp_path, f"{part}/img_1.jpg")
        write(tmp_path, {f"{truth}/gt_img_1.txt": "\ufeff1,1,9,1,9,9,1,9,Genaxis Theatre\r\n"})
    assert auto.recognise(tmp_path).splits == {s: ":".join(both) for s, both in places.items()}
    assert seen(read("auto", tmp_path, "test")) == {"img_1.jpg": [("text", 1, 1, 9, 9)]}


def test_a_format_that_is_named_settles_which_of_two_it_is(tmp_path):
    images(tmp_path, "a.jpg")
    for name in ("csv", "voc_folder"):
        write(tmp_path, FILES[name])
    settled, splits = auto.settle(options(tmp_path, "format=csv"))
    assert settled.format == "csv" and splits == {"all": "*"}


def test_numbers_with_decimal_commas_are_of_no_format(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"a.txt": "0 0,25 0,5 0,3 0,5\n"})
    with pytest.raises(DataError, match="none of the formats"):
        auto.recognise(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_an_unreadable_image_is_left_out_and_counted(tmp_path, name):
    image = "JPEGImages/a.jpg" if name == "voc" else "a.jpg"
    write(tmp_path, {image: "<html>not found</html>", **FILES[name]})
    dataset = read_dataset(options(tmp_path, "format=auto"), "*")
    drop_unreadable(dataset)
    found = [(problem.severity, problem.kind) for problem in dataset.problems]
    assert [entry for entry in found if entry[0] != "note"] == [("warning", "unreadable image")]
    assert "a.jpg" in dataset.problems[0].text and dataset.records == []


def test_one_image_cannot_be_divided(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, FILES["csv"])
    assert len(read("auto", tmp_path, "train").records) == 1
    with pytest.raises(DataError, match="none is left for 'val'.*data.val_split="):
        read("auto", tmp_path, "val")


@pytest.mark.parametrize("folder", ["mine", "./mine", "mine//", "{here}/mine/"])
def test_a_folder_may_be_written_in_any_way(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    images(tmp_path, "mine/images/a/1.jpg", "mine/images/b/2.jpg")
    data = "train: images/a\nval: images/b\nnames: [ant]\n"
    write(tmp_path, {"mine/data.yaml": data, "mine/labels/a/1.txt": "0 .5 .5 .5 .5\n"})
    found = auto.recognise(folder.format(here=tmp_path))
    assert found.format == "yolo" and found.splits == {"train": "train", "val": "val"}
