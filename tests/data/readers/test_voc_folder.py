"""The reader of VOC's XML files in plain folders."""

import pytest
from data.reading import images, kinds, read, seen, write


def xml(*objects, name="a.jpg", size="<size><width>100</width><height>80</height></size>"):
    return f"<annotation><filename>{name}</filename>{size}{''.join(objects)}</annotation>"


def thing(xmin, ymin, xmax, ymax, name="ant", more=""):
    corners = zip(("xmin", "ymin", "xmax", "ymax"), (xmin, ymin, xmax, ymax))
    box = "".join(f"<{key}>{value}</{key}>" for key, value in corners)
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


@pytest.mark.parametrize("folders", [("", ""), ("images/", "annotations/")])
def test_corners_are_one_based_and_inclusive(tmp_path, folders):
    images(tmp_path, f"{folders[0]}a.jpg", f"{folders[0]}b.jpg")
    difficult = thing(11, 21, 40, 60, more="<difficult>1.0</difficult>")
    files = {"a.xml": xml(thing(11, 21, 40, 60), difficult), "b.xml": xml(name="old_name.jpg")}
    write(tmp_path, {folders[1] + name: text for name, text in files.items()})
    dataset = read("voc_folder", tmp_path)
    box = (20, 10, 60, 40)
    assert seen(dataset) == {"a.jpg": [("ant", *box), ("ant!", *box)], "b.jpg": []}
    trained = read("voc_folder", tmp_path, "*", "use_difficult=true", training=True)
    assert seen(trained)["a.jpg"] == [("ant", *box)] * 2
    assert kinds(dataset) == ["ignored objects"]


def test_a_corner_zero_says_zero_based_and_half_open(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    zero = thing("0.0", 0, 100, 80)
    write(tmp_path, {"a.xml": xml(zero), "b.xml": xml(thing(10, 20, 40, 60))})
    dataset = read("voc_folder", tmp_path)
    assert seen(dataset) == {"a.jpg": [("ant", 0, 0, 80, 100)], "b.jpg": [("ant", 20, 10, 60, 40)]}
    assert kinds(dataset) == ["0-based corners"]


def test_encodings_missing_sizes_and_faults(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    text = '<?xml version="1.0" encoding="gbk"?>' + xml(thing(11, 21, 40, 60, name="蚂蚁"), size="")
    (tmp_path / "a.xml").write_bytes(text.encode("gbk"))
    unnamed = thing(1, 2, 3, 4, name=" ")
    write(tmp_path, {"b.xml": "<annotation><object>", "c.xml": xml(unnamed, thing(1, 2, "", 4))})
    dataset = read("voc_folder", tmp_path)
    assert seen(dataset) == {"a.jpg": [("蚂蚁", 20, 10, 60, 40)], "c.jpg": []}
    assert sorted(set(kinds(dataset))) == [
        "bad object",
        "image without annotations",
        "unreadable annotation file",
    ]


def test_lists_name_splits(tmp_path):
    images(tmp_path, "images/a.jpg", "images/b.jpg")
    write(
        tmp_path, {"xml/a.xml": xml(), "xml/b.xml": xml(), "train.txt": "a.jpg\n", "val.txt": "b\n"}
    )
    assert set(seen(read("voc_folder", tmp_path, "train"))) == {"a.jpg"}
    assert set(seen(read("voc_folder", tmp_path, "val"))) == {"b.jpg"}


def test_a_file_cut_short_is_an_error(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    text = (
        "<annotation><object><name>ant</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    write(tmp_path, {"a.xml": text, "b.xml": "", "c.xml": "<a/>", "other.xml": ""})
    dataset = read("voc_folder", tmp_path)
    assert list(seen(dataset)) == ["a.jpg"]
    found = [(problem.severity, problem.kind) for problem in dataset.problems]
    assert found.count(("error", "unreadable annotation file")) == 2
