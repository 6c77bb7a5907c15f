"""The reader of CVAT for images 1.1."""

import math

import pytest
from data.reading import images, kinds, read, seen, write

from lhrcnn.errors import DataError

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>
<label><name>zebra</name></label><label><name>ant</name></label>
<label><name>eye</name><type>points</type><parent>ant</parent></label>
<label><name>night</name><type>tag</type></label>
</labels></task></meta>"""


def test_shapes_sizes_ids_and_attributes(tmp_path):
    images(tmp_path, "images/a.jpg", "images/b.jpg")
    write(
        tmp_path,
        {
            "annotations.xml": HEAD
            + """<image id="5" name="a.jpg" width="100" height="80">
<box label="zebra" occluded="0" xtl="10.00" ytl="20.00" xbr="40.00" ybr="60.00" z_order="0"></box>
<box label="ant" xtl="40" ytl="30" xbr="60" ybr="50" rotation="45"></box>
<polygon label="ant" points="10,20;40,30;20,60"></polygon>
<ellipse label="ant" cx="50" cy="40" rx="10" ry="5" rotation="90"></ellipse>
<mask label="ant" rle="0, 4" left="10" top="20" width="30" height="40"></mask>
<polyline label="ant" points="1,2;3,4"></polyline>
<box label="ant" xtl="10" ytl="20" xbr="40" ybr="60"><attribute name="ignore">true</attribute></box>
<tag label="ant"></tag></image>
<image id="6" name="b.jpg" width="100" height="80"></image></annotations>"""
        },
    )
    dataset = read("cvat", tmp_path)
    half = 20 / math.sqrt(2)
    assert dataset.class_names == ["zebra", "ant"]
    assert [record.image_id for record in dataset.records] == [5, 6]
    found = seen(dataset)
    assert found["b.jpg"] == []
    assert found["a.jpg"][0] == ("zebra", 20, 10, 60, 40)
    assert found["a.jpg"][1][1:] == pytest.approx(
        [40 - half, 50 - half, 40 + half, 50 + half], abs=1e-3
    )
    assert found["a.jpg"][2:] == [
        ("ant", 20, 10, 60, 40),
        ("ant", 30, 45, 50, 55),
        ("ant", 20, 10, 60, 40),
        ("ant!", 20, 10, 60, 40),
    ]
    assert kinds(dataset) == [
        "turned box",
        "turned box",
        "shape without an area",
        "ignored objects",
    ]


def test_subsets_are_splits(tmp_path):
    images(tmp_path, "images/Train/a.jpg", "images/Validation/b.jpg")
    image = '<image id="{}" name="{}.jpg" subset="{}" width="100" height="80"></image>'
    text = HEAD + image.format(0, "a", "Train") + image.format(1, "b", "Validation")
    write(tmp_path, {"annotations.xml": text + "</annotations>"})
    assert set(seen(read("cvat", tmp_path, "train"))) == {"a.jpg"}
    assert set(seen(read("cvat", tmp_path, "val"))) == {"b.jpg"}


def test_tracks_of_videos_are_refused(tmp_path):
    track = (
        '<track id="0" label="ant"><box frame="0" xtl="1" ytl="2" xbr="3" ybr="4"></box></track>'
    )
    write(tmp_path, {"annotations.xml": HEAD + track + "</annotations>"})
    with pytest.raises(DataError, match="CVAT for images 1.1"):
        read("cvat", tmp_path)


def test_images_of_one_name_are_told_by_their_subset(tmp_path):
    images(tmp_path, "images/Train/a.jpg", "images/Test/a.jpg")
    image = '<image id="{}" name="a.jpg" subset="{}" width="100" height="80"></image>'
    text = HEAD + image.format(0, "Train") + image.format(0, "Test") + "</annotations>"
    write(tmp_path, {"annotations.xml": text})
    (record,) = read("cvat", tmp_path, "test").records
    assert record.path == str(tmp_path / "images/Test/a.jpg")


@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="gbk"?>'])
def test_a_file_in_another_encoding(tmp_path, declared):
    images(tmp_path, "a.jpg")
    label = "<label><name>蚂蚁</name></label>"
    box = '<box label="蚂蚁" xtl="10" ytl="20" xbr="40" ybr="60"/>'
    text = f'<annotations>{label}<image id="0" name="a.jpg">{box}</image></annotations>'
    (tmp_path / "a.xml").write_bytes((declared + text).encode("gbk"))
    assert seen(read("cvat", tmp_path)) == {"a.jpg": [("蚂蚁", 20, 10, 60, 40)]}


def test_a_rotation_that_is_no_number(tmp_path):
    images(tmp_path, "a.jpg")
    shape = '<{} label="ant" points="10,20;40,60" rotation="x"/>'
    image = f'<image id="0" name="a.jpg">{shape.format("polygon")}{shape.format("box")}</image>'
    write(tmp_path, {"a.xml": f"{HEAD}{image}</annotations>"})
    dataset = read("cvat", tmp_path)
    assert seen(dataset) == {"a.jpg": [("ant", 20, 10, 60, 40)]} and kinds(dataset) == [
        "bad object"
    ]
