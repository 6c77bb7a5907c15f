"""`lhrcnn data convert`: what is written is what was read."""

import json

import numpy as np
import pytest
from data.reading import images, kinds, read, seen, write

from lhrcnn import cli
from lhrcnn.data.readers import READERS
from lhrcnn.data.tools.convert import WRITERS, convert
from lhrcnn.errors import DataError
from lhrcnn.files import Output

HEAD = "filename,class,xmin,ymin,xmax,ymax,difficult\n"


@pytest.fixture
def source(tmp_path):
    """Three images: one with two boxes, one of them ignored, one full, one empty."""
    folder = tmp_path / "source"
    images(folder, "a.jpg", "b.png", "empty.jpg")
    rows = "a.jpg,ant,10.25,20.5,40,60,0\na.jpg,bee,50,60,70,79,1\nb.png,bee,0,0,100,80,0\n"
    write(folder, {"x.csv": HEAD + rows + "empty.jpg,,,,,,\n"})
    return folder


@pytest.mark.parametrize("format_", sorted(WRITERS))
def test_what_is_written_is_read_with_the_same_boxes(source, tmp_path, format_):
    dataset = read("csv", source)
    lost = convert({"part": dataset}, format_, Output(tmp_path / "out"))
    back = read(format_, tmp_path / "out", "part")
    expected = seen(dataset)
    if format_ == "yolo":
        expected["a.jpg"] = expected["a.jpg"][:1]
        assert any("1 ignored objects" in line for line in lost)
    assert (
        seen(back) == expected
        and back.class_names == ["ant", "bee"]
        and (set(kinds(back)) <= {"ignored objects"})
    )
    for record in back.records:
        original = (source / record.path.rpartition("/")[2]).read_bytes()
        with open(record.path, "rb") as file:
            assert file.read() == original


@pytest.mark.parametrize("format_", sorted(WRITERS))
def test_images_without_any_class(tmp_path, format_):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"a.json": {"imagePath": "a.jpg", "shapes": []}})
    lost = convert({"part": read("labelme", tmp_path)}, format_, Output(tmp_path / "out"))
    assert lost == ([] if format_ == "coco" else ["the ids of images"])


def test_losses_are_named(source, tmp_path):
    dataset = read("csv", source)
    dataset.records[0].areas[:] = 5
    lost = convert({"part": dataset}, "voc", Output(tmp_path / "out"), copy_images=False)
    assert lost == ["the areas of 2 objects that are not their boxes'", "the ids of images"]
    assert convert({"part": dataset}, "coco", Output(tmp_path / "coco")) == [
        "1 ignored objects are crowds now, the only kind COCO has"
    ]
    content = json.loads((tmp_path / "coco/annotations/instances_part.json").read_text())
    assert [a["area"] for a in content["annotations"]] == [5, 5, 8000]
    assert [a["id"] for a in content["annotations"]] == [1, 2, 3]


def test_objects_of_one_pixel_are_lost_in_voc_and_named(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"x.csv": HEAD + "a.jpg,ant,5,6,6,7,0\na.jpg,ant,5,6,6,8,0\n"})
    dataset, texts = read("csv", tmp_path), {}
    for format_ in WRITERS:
        texts[format_] = convert({"part": dataset}, format_, Output(tmp_path / format_))
        left = seen(read(format_, tmp_path / format_, "part"))["a.jpg"]
        whole = [("ant", 6, 5, 7, 6), ("ant", 6, 5, 8, 6)]
        assert left == whole[1:] if format_ == "voc" else left == whole
    assert [name for name, lost in texts.items() if "1 objects of one pixel" in "".join(lost)] == [
        "voc"
    ]


def test_images_of_one_name_stay_apart(tmp_path):
    images(tmp_path / "in", "one/a.jpg", "two/a.jpg")
    write(tmp_path / "in", {"x.csv": HEAD + "one/a.jpg,ant,1,2,3,4,\ntwo/a.jpg,ant,5,6,7,8,\n"})
    dataset = read("csv", tmp_path / "in")
    lost = convert({"part": dataset}, "labelme", Output(tmp_path / "out"))
    assert any("a.jpg: a_2.jpg" in line for line in lost)
    boxes = seen(read("labelme", tmp_path / "out"))
    assert boxes == {"a.jpg": [("ant", 2, 1, 4, 3)], "a_2.jpg": [("ant", 6, 5, 8, 7)]}


def test_nothing_of_the_users_is_replaced(source, tmp_path):
    dataset = read("csv", source)
    (tmp_path / "out" / "part").mkdir(parents=True)
    (tmp_path / "out" / "part" / "a.jpg").write_bytes(b"mine")
    with pytest.raises(OSError, match="lhrcnn did not write it"):
        convert({"part": dataset}, "coco", Output(tmp_path / "out"))
    assert (tmp_path / "out" / "part" / "a.jpg").read_bytes() == b"mine"


def test_a_reader_of_a_plugin_is_taken(source, tmp_path, monkeypatch):
    monkeypatch.setitem(READERS, "own", READERS["csv"])
    words = ["data", "convert", "--data_dir", str(source), "--to", "coco", "--split", "train"]
    assert cli.main([*words, "--from", "own", "--output", str(tmp_path / "out")]) == 0


def test_the_command_finds_format_and_splits(source, tmp_path, capsys):
    words = ["data", "convert", "--data_dir", str(source), "--to", "yolo", "--output"]
    assert cli.main([*words, str(tmp_path / "yolo")]) == 0
    out = capsys.readouterr().out
    assert "3 images" in out and "all" in out and "lost: 1 ignored objects" in out
    assert seen(read("yolo", tmp_path / "yolo", "train"))["b.png"] == [("bee", 0, 0, 80, 100)]
    # What was written is a data set like any other.
    back = ["data", "convert", "--data_dir", str(tmp_path / "yolo"), "--to", "coco", "--output"]
    assert cli.main([*back, str(tmp_path / "coco")]) == 0
    assert len(read("auto", tmp_path / "coco").records) == 3
    assert cli.main([*words, str(tmp_path / "x"), "--from", "kitti"]) == 1
    assert "looks like data.format=csv" in capsys.readouterr().err


def test_boxes_are_kept_to_a_millionth_of_a_side(tmp_path):
    images(tmp_path / "in", "a.jpg", size=(80, 100))
    box = np.random.default_rng(0).uniform(0, 40, 4)
    row = ",".join(map(str, [box[0], box[1], box[0] + box[2], box[1] + box[3]]))
    write(tmp_path / "in", {"x.csv": f"{HEAD}a.jpg,ant,{row},\n"})
    dataset = read("csv", tmp_path / "in")
    for format_ in WRITERS:
        convert({"part": dataset}, format_, Output(tmp_path / format_))
        back = read(format_, tmp_path / format_, "part")
        np.testing.assert_allclose(back.records[0].boxes, dataset.records[0].boxes, atol=1e-4)


def test_an_unknown_split_is_named(source):
    with pytest.raises(DataError, match="no image of split 'val'"):
        read("csv", source, "val")


def test_unreadable_images_are_left_out_and_named(source, tmp_path, capsys):
    words = ["data", "convert", "--data_dir", str(source), "--to", "yolo", "--output"]
    (source / "a.jpg").write_bytes(b"")
    assert cli.main([*words, str(tmp_path / "two")]) == 0
    assert "a.jpg: not readable as an image" in capsys.readouterr().out
    assert not (tmp_path / "two" / "images" / "all" / "a.jpg").exists()
    for name in ("b.png", "empty.jpg"):
        (source / name).write_bytes(b"")
    assert cli.main([*words, str(tmp_path / "none")]) == 1 and not (tmp_path / "none").exists()
    assert "no usable image in all" in capsys.readouterr().err


def test_yolo_numbers_the_classes_of_all_splits_together(tmp_path):
    for split, names in (("train", ["ant", "bee", "cow"]), ("val", ["ant", "cow", "dog"])):
        images(tmp_path, f"{split}/{split}.jpg")
        objects = [
            {"id": k, "image_id": 1, "category_id": k, "bbox": [k, 0, 9, 9]} for k in (1, 2, 3)
        ]
        content = {
            "images": [{"id": 1, "file_name": f"{split}.jpg", "height": 80, "width": 100}],
            "annotations": objects,
            "categories": [{"id": k, "name": name} for k, name in enumerate(names, start=1)],
        }
        write(tmp_path, {f"annotations/instances_{split}.json": content})
    datasets = {split: read("coco", tmp_path, split) for split in ("train", "val")}
    convert(datasets, "yolo", Output(tmp_path / "out"))
    for split, dataset in datasets.items():
        back = read("yolo", tmp_path / "out", split)
        assert back.class_names == ["ant", "bee", "cow", "dog"] and seen(back) == seen(dataset)


def test_what_is_read_is_never_written_over(tmp_path, capsys):
    images(tmp_path, "images/a.jpg")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 80, "width": 100}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 9]]}],
        "categories": [{"id": 1, "name": "ant"}],
    }
    write(tmp_path, {"annotations/instances_train.json": content})
    file = tmp_path / "annotations" / "instances_train.json"
    before = file.read_bytes()
    words = ["data", "convert", "--data_dir", str(tmp_path), "--to", "coco", "--split", "train"]
    words += ["--set", "data.format=coco", "--overwrite", "--output"]
    assert cli.main([*words, str(tmp_path)]) == 1 and file.read_bytes() == before
    assert f"{file}: this command reads it" in capsys.readouterr().err
    for _ in range(2):  # what it wrote itself into the folder may be replaced
        assert cli.main([*words, str(tmp_path / "new")]) == 0
