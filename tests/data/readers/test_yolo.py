"""The YOLO reader: layouts of ultralytics, Roboflow, darknet, datumaro; lines of every kind."""

import pytest
from data.reading import images, kinds, read, seen, write

from lhrcnn.errors import DataError

BOXES = "1 0.25 0.5 0.3 0.5\n0 0.5 0.5 1 1\n"
SEEN = [("zebra", 20, 10, 60, 40), ("ant", 0, 0, 80, 100)]


def test_ultralytics_layout_with_names_by_number(tmp_path):
    images(tmp_path, "images/train/a.jpg", "images/val/b.jpg")
    write(
        tmp_path,
        {
            "labels/train/a.txt": BOXES,
            "data.yaml": "path: ../datasets/mine\ntrain: images/train\nval: images/val\n"
            "names:\n  0: ant\n  1: zebra\n",
        },
    )
    dataset = read("yolo", tmp_path, "train")
    assert seen(dataset) == {"a.jpg": SEEN} and dataset.category_ids == [0, 1]
    assert seen(read("yolo", tmp_path, "val")) == {"b.jpg": []}
    assert set(seen(read("yolo", tmp_path))) == {"a.jpg", "b.jpg"}
    with pytest.raises(DataError, match="splits found: train, val"):
        read("yolo", tmp_path, "test")


def test_roboflow_layout(tmp_path):
    images(tmp_path, "train/images/a.jpg", "valid/images/b.jpg")
    write(
        tmp_path,
        {
            "train/labels/a.txt": BOXES,
            "valid/labels/b.txt": "",
            "data.yaml": "train: ../train/images\nval: ../valid/images\nnc: 2\n"
            "names: ['ant', 'zebra']\n",
        },
    )
    assert seen(read("yolo", tmp_path, "train")) == {"a.jpg": SEEN}
    assert seen(read("yolo", tmp_path, "val")) == {"b.jpg": []}


def test_darknet_lists_of_another_machine(tmp_path):
    images(tmp_path, "obj/a.jpg", "obj/b.jpg")
    write(
        tmp_path,
        {
            "obj/a.txt": BOXES,
            "obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/val.txt\n"
            "names = data/obj.names\n",
            "obj.names": "ant\nzebra\n",
            "train.txt": "/content/darknet/data/obj/a.jpg\n",
            "val.txt": "data/obj/b.jpg\n",
        },
    )
    assert seen(read("yolo", tmp_path, "train")) == {"a.jpg": SEEN}
    assert seen(read("yolo", tmp_path, "val")) == {"b.jpg": []}


def test_images_and_labels_in_one_folder_with_hidden_files(tmp_path):
    images(tmp_path, "a.jpg", "._a.jpg", ".ipynb_checkpoints/a.jpg", "@eaDir/b.jpg")
    write(tmp_path, {"a.txt": BOXES, "classes.txt": "ant\nzebra\n", "__MACOSX/a.txt": "0 1 1 1 1"})
    dataset = read("yolo", tmp_path)
    assert seen(dataset) == {"a.jpg": SEEN} and dataset.problems == []


def test_polygons_turned_boxes_poses_confidences(tmp_path):
    images(tmp_path, "a.jpg")
    lines = (
        "0 0.1 0.25 0.4 0.25 0.4 0.75 0.1 0.75",  # corners of a turned box
        "0 0.5 0.1 0.9 0.5 0.5 0.9",  # a polygon
        "0 0.25 0.5 0.3 0.5 0.87",  # a detection's confidence
        "0 0.25 0.5 0.2 0.5" + " 0.3 0.3 2" * 3,  # key points
    )
    write(tmp_path, {"a.txt": "\n".join(lines), "classes.txt": "ant\n"})
    dataset = read("yolo", tmp_path)
    assert seen(dataset)["a.jpg"] == [
        ("ant", 20, 10, 60, 40),
        ("ant", 8, 50, 72, 90),
        ("ant", 20, 10, 60, 40),
        ("ant", 20, 15, 60, 35),
    ]
    assert kinds(dataset) == ["turned box", "polygon"]


def test_key_points_of_two_numbers_are_told_by_the_data_file(tmp_path):
    images(tmp_path, "a.jpg")
    files = {
        "a.txt": "0 0.25 0.5 0.3 0.5 0.9 0.9 0.95 0.95",
        "d.yaml": "nc: 1\nkpt_shape: [2, 2]\n",
    }
    write(tmp_path, files)
    assert seen(read("yolo", tmp_path)) == {"a.jpg": [("class_0", 20, 10, 60, 40)]}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 25 40 30 40", "bad line"),  # px
        ("0 0.5 0.5", "bad line"),
        ("0.5 0.5 0.5 0.5 0.5", "bad line"),
        ("0 0.5 nan 0.5 0.5", "bad line"),
        ("2 0.5 0.5 0.5 0.5", "unknown class"),
        ("1 0.25 0.5 0.3 0.5", "repeated line"),
    ],
)
def test_faulty_lines_are_named_and_left_out(tmp_path, line, kind):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"a.txt": f"1 0.25 0.5 0.3 0.5\n{line}\n", "classes.txt": "ant\nzebra\n"})
    dataset = read("yolo", tmp_path)
    assert seen(dataset) == {"a.jpg": SEEN[:1]} and kinds(dataset) == [kind]
    assert "a.txt: line 2" in dataset.problems[0].text


def test_classes_without_names_are_numbers(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"a.txt": "3 0.25 0.5 0.3 0.5\n"})
    dataset = read("yolo", tmp_path)
    assert dataset.class_names == ["class_3"] and dataset.category_ids == [3]
    assert kinds(dataset) == ["classes without names"]


def test_images_alone_are_refused(tmp_path):
    images(tmp_path, "a.jpg")
    with pytest.raises(DataError, match="no label file"):
        read("yolo", tmp_path)


def test_labels_of_dota_in_px_as_roboflow_writes_them(tmp_path):
    images(tmp_path, "train/images/a.jpg")
    label = "10.0 20.0 40.0 20.0 40.0 60.0 10.0 60.0 zebra 0\n1 2 3 2 3 4 1 4 ant 1\n"
    names = "train: ../train/images\nnc: 2\nnames: ['ant', 'zebra']\n"
    write(tmp_path, {"train/labelTxt/a.txt": label, "data.yaml": names})
    dataset = read("yolo", tmp_path, "train")
    assert seen(dataset) == {"a.jpg": [SEEN[0], ("ant!", 2, 1, 4, 3)]}
    assert kinds(dataset) == ["turned box"] * 2 + ["ignored objects"]


def test_a_list_of_names_may_be_called_anything(tmp_path):
    images(tmp_path, "images/train/a.jpg")
    write(tmp_path, {"labels/train/a.txt": BOXES, "coco.names": "ant\nzebra\n"})
    assert seen(read("yolo", tmp_path, "train")) == {"a.jpg": SEEN}


def test_dota_as_it_is_unpacked(tmp_path):
    images(tmp_path, "images/a.jpg", "images/b.jpg")
    head = "imagesource:GoogleEarth\ngsd:0.146343590398\n"
    lines = "10.0 20.0 40.0 20.0 40.0 60.0 10.0 60.0 plane 0\n0 0 9 0 9 9 0 9 large-vehicle 1\n"
    write(tmp_path, {"labelTxt/a.txt": head + lines, "labelTxt/b.txt": lines})
    found = [("plane", 20, 10, 60, 40), ("large-vehicle!", 0, 0, 9, 9)]
    dataset = read("auto", tmp_path)
    assert seen(dataset) == {"a.jpg": found, "b.jpg": found}
    assert dataset.class_names == ["large-vehicle", "plane"]
    assert set(kinds(dataset)) == {"turned box", "ignored objects"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: {a: ant, b: bee}\n", "expected a list of class names, or numbers and names"),
        ("nc: two\n", "'nc' 'two'; expected"),
        ("names: classes.txt\nnc: 2\n", "'names' is 'classes.txt'"),
        ("names: [ant, ant]\n", "'names' has 'ant' 2 times; give each class its own"),
        ("train: [images/train\nnames: [ant, bee]\n", "data.yaml: not readable as YAML: line 3"),
        ("train:\timages/train\nnames: [ant, bee]\n", "data.yaml: not readable as YAML: line 2"),
        ("train: images/gone\nnames: [ant, bee]\n", "'train: images/gone' is no folder, list"),
    ],
)
def test_a_faulty_data_file_is_named(tmp_path, text, message):
    images(tmp_path, "images/train/a.jpg", "images/val/b.jpg")
    train = "" if "train:" in text else "train: images/train\n"
    files = {f"labels/{part}.txt": BOXES for part in ("train/a", "val/b")}
    write(tmp_path, {**files, "data.yaml": f"val: images/val\n{train}{text}"})
    with pytest.raises(DataError, match=message):
        read("yolo", tmp_path, "train")


@pytest.mark.parametrize("place", ["{}/data.yaml", "{}.yaml"])
def test_parts_that_number_classes_otherwise_are_refused(tmp_path, place):
    images(tmp_path, "train/images/a.jpg", "valid/images/b.jpg")
    labels = {"train/labels/a.txt": BOXES, "valid/labels/b.txt": BOXES}
    files = [place.format("train"), place.format("valid")]
    write(tmp_path, {**labels, files[0]: "names: [ant, zebra]\nnc: 2\n"})
    write(tmp_path, {files[1]: "names: [ant, zebra, bee]\nnc: 3\n"})
    assert set(seen(read("yolo", tmp_path))) == {"a.jpg", "b.jpg"}
    write(tmp_path, {files[1]: "names: [zebra, ant]\nnc: 2\n"})
    with pytest.raises(DataError, match=f"{files[0]} calls class 0 'ant', .*{files[1]} 'zebra'"):
        read("yolo", tmp_path, "val")


def test_a_model_s_file_beside_the_data_file_is_not_taken_for_it(tmp_path):
    images(tmp_path, "images/train/a.jpg", "images/val/b.jpg")
    data = "train: images/train\nval: images/val\nnames: [ant, zebra]\nnc: 2\n"
    write(tmp_path, {"labels/train/a.txt": BOXES, "custom_yolov8n.yaml": "nc: 2\nbackbone: []\n"})
    assert read("yolo", tmp_path).class_names == ["class_0", "class_1"]
    write(tmp_path, {"data.yaml": data})
    assert seen(read("yolo", tmp_path, "train")) == {"a.jpg": SEEN}


def test_a_test_split_that_is_not_there_and_a_class_without_a_name(tmp_path):
    images(tmp_path, "images/train/a.jpg")
    text = "train: images/train\ntest: ../test/images\nnames: [ant, null]\n"
    write(tmp_path, {"labels/train/a.txt": BOXES, "data.yaml": text, "mkdocs.yml": "a: !!x/y z\n"})
    dataset = read("yolo", tmp_path, "train")
    assert dataset.class_names == ["ant", "class_1"] and len(dataset.records) == 1


def test_lists_tell_images_of_one_name_by_their_folders(tmp_path):
    images(tmp_path, "images/x/1.jpg", "images/y/1.jpg")
    labels = {f"labels/{folder}/1.txt": "0 .5 .5 .5 .5" for folder in "xy"}
    lists = {"train.txt": "images/x/1.jpg\n", "val.txt": "./images/y/1.jpg\n"}
    data = "train: train.txt\nval: val.txt\nnames: [ant]\n"
    write(tmp_path, {**labels, **lists, "data.yaml": data})
    found = {s: [r.path for r in read("yolo", tmp_path, s).records] for s in ("train", "val")}
    assert found == {"train": [f"{tmp_path}/images/x/1.jpg"], "val": [f"{tmp_path}/images/y/1.jpg"]}


def test_lists_that_leave_images_out_or_name_others_are_told(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    labels = {f"{stem}.txt": "0 .5 .5 .5 .5" for stem in "abc"}
    write(tmp_path, {**labels, "train.txt": "old/a.jpg\nold/z.jpg\n", "test.txt": "b.jpg\n"})
    dataset = read("yolo", tmp_path, "train")
    assert [record.path for record in dataset.records] == [f"{tmp_path}/a.jpg"]
    told = {(problem.kind, problem.text) for problem in dataset.problems}
    missing = (
        f"{tmp_path}/train.txt: line 2: no annotated image 'old/z.jpg' in {tmp_path}; left out"
    )
    unlisted = f"{tmp_path}/c.jpg: in no list of a split ({tmp_path}/train.txt ...); left out"
    assert told >= {("image of a list not found", missing), ("image in no list", unlisted)}


def test_images_of_a_list_of_its_own_are_in_a_list(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    labels = {f"{stem}.txt": "0 .5 .5 .5 .5" for stem in "abc"}
    write(tmp_path, {**labels, "train.txt": "b.jpg\n", "hard.txt": "a.jpg\n"})
    dataset = read("yolo", tmp_path, "hard")
    assert [record.path for record in dataset.records] == [f"{tmp_path}/a.jpg"]
    unlisted = [p.text.split(":")[0] for p in dataset.problems if p.kind == "image in no list"]
    assert unlisted == [f"{tmp_path}/c.jpg"]
