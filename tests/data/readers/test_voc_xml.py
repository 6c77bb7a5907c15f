"""VOC's XML files, as the readers `voc` and `voc_folder` both read them."""

import math

import pytest
from data.reading import images, kinds, read, seen, write

SIZE = "<size><width>100</width><height>80</height></size>"
BOX = ("ant", 20, 10, 60, 40)


def thing(xmin=11, ymin=21, xmax=40, ymax=60, name="ant", more=""):
    corners = zip(("xmin", "ymin", "xmax", "ymax"), (xmin, ymin, xmax, ymax))
    box = "".join(f"<{key}>{value}</{key}>" for key, value in corners)
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def attribute(name, value):
    one = f"<attribute><name>{name}</name><value>{value}</value></attribute>"
    return f"<attributes>{one}</attributes>"


@pytest.fixture(params=["voc", "voc_folder"])
def read_xml(request, tmp_path):
    """A function that reads an image of 80 x 100 px with these objects."""
    images(tmp_path, "JPEGImages/a.jpg")
    write(tmp_path, {"ImageSets/Main/train.txt": "a\n"})

    def read_objects(*objects, size=SIZE, **how):
        text = f"<annotation>{size}{''.join(objects)}</annotation>"
        write(tmp_path, {"Annotations/a.xml": text})
        return read(request.param, tmp_path, "train", "use_difficult=true", **how)

    return read_objects


def test_turned_boxes(read_xml):
    robndbox = "<cx>50</cx><cy>40</cy><w>20</w><h>20</h><angle>0.785398163</angle>"
    turned = thing(40, 37, 60, 42, more=attribute("rotation", "90.0"))
    dataset = read_xml(f"<object><name>ant</name><robndbox>{robndbox}</robndbox></object>", turned)
    half = math.sqrt(200)
    first, second = seen(dataset)["a.jpg"]
    assert first[1:] == pytest.approx((40 - half, 50 - half, 40 + half, 50 + half), abs=1e-3)
    assert second[1:] == pytest.approx((29.5, 47.5, 49.5, 52.5))
    assert sorted(kinds(dataset)) == ["0-based corners", "turned box", "turned box"]


@pytest.mark.parametrize("mark", ["<ignore>1</ignore>", attribute("iscrowd", "true")])
def test_what_is_ignored_is_not_learnt_where_difficult_objects_are(read_xml, mark):
    difficult = "<difficult>1.0</difficult>"
    for training, shown in ((False, "ant!"), (True, "ant")):
        dataset = read_xml(thing(more=mark), thing(more=difficult), training=training)
        assert [box[0] for box in seen(dataset)["a.jpg"]] == ["ant!", shown]


@pytest.mark.parametrize("side", ["", "0", "wide", "inf", "-3"])
def test_a_size_that_cannot_be_meant_is_the_header_s(read_xml, side):
    size = f"<size><width>{side}</width><height>80</height></size>"
    dataset = read_xml(thing(), size=size)
    assert seen(dataset) == {"a.jpg": [BOX]} and dataset.problems == []
    assert (dataset.records[0].height, dataset.records[0].width) == (80, 100)


def test_corners_as_cvat_counts_them(read_xml):
    own = thing(10.25, 20.5, 40, 60, more=attribute("rotation", "0.0"))
    assert seen(read_xml(own)) == {"a.jpg": [("ant", 20.5, 10.25, 60, 40)]}


@pytest.mark.parametrize(
    "wrong, words",
    [
        (thing(name=" "), "object 2 '': it has no name"),
        (thing(xmax=""), "object 2 'ant': bndbox/xmax is '', expected a number"),
        ("<object><name>ant</name></object>", "object 2 'ant': bndbox/ymin is ''"),
    ],
)
def test_objects_that_cannot_be_meant_are_named(read_xml, wrong, words):
    dataset = read_xml(thing(), wrong)
    assert seen(dataset) == {"a.jpg": [BOX]} and kinds(dataset) == ["bad object"]
    assert words in dataset.problems[0].text and "a.xml" in dataset.problems[0].text
