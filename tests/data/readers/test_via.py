"""The VIA 2 reader."""

import math

import pytest
from data.reading import images, kinds, read, seen, write

from lhrcnn.errors import DataError

RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}


def entry(name, *regions):
    found = [{"shape_attributes": shape, "region_attributes": told} for shape, told in regions]
    return {"filename": name, "size": 252, "regions": found, "file_attributes": {}}


def test_a_project_with_every_shape(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    ellipse = {"name": "ellipse", "cx": 50, "cy": 40, "rx": 10, "ry": 5, "theta": math.pi / 2}
    polygon = {"name": "polygon", "all_points_x": [10, 40, 20], "all_points_y": [20, 30, 60]}
    regions = (
        (RECT, {"class": "ant"}),
        ({"name": "circle", "cx": 50, "cy": 40, "r": 5}, {"class": {"bee": True}}),
        (ellipse, {"class": "ant"}),
        (polygon, {"class": "ant", "ignore": "1"}),
        ({"name": "point", "cx": 1, "cy": 2}, {"class": "ant"}),
        (RECT, {"class": ""}),
    )
    metadata = {"a.jpg252": entry("a.jpg", *regions), "b.jpg252": entry("b.jpg")}
    write(tmp_path, {"via_project.json": {"_via_settings": {}, "_via_img_metadata": metadata}})
    dataset = read("via", tmp_path)
    assert seen(dataset) == {
        "a.jpg": [
            ("ant", 20, 10, 60, 40),
            ("bee", 35, 45, 45, 55),
            ("ant", 30, 45, 50, 55),
            ("ant!", 20, 10, 60, 40),
        ],
        "b.jpg": [],
    }
    assert kinds(dataset) == ["shape without an area", "object without a class", "ignored objects"]


def test_an_export_of_1x_has_regions_in_a_dict(tmp_path):
    images(tmp_path, "train/a.jpg")
    one = entry("a.jpg", (RECT, {"balloon": "red"}))
    one["regions"] = dict(enumerate(one["regions"]))
    write(tmp_path, {"train/via_region_data.json": {"a.jpg252": one}})
    assert seen(read("via", tmp_path, "train")) == {"a.jpg": [("red", 20, 10, 60, 40)]}


def test_an_outline_drawn_as_a_polyline_has_a_box(tmp_path):
    images(tmp_path, "a.jpg")
    outline = {"name": "polyline", "all_points_x": [10, 40, 20], "all_points_y": [20, 30, 60]}
    line = {"name": "polyline", "all_points_x": [10, 40], "all_points_y": [20, 30]}
    regions = entry("a.jpg", (outline, {"class": "ant"}), (line, {"class": "ant"}))
    write(tmp_path, {"via.json": {"a.jpg252": regions}})
    dataset = read("via", tmp_path)
    assert seen(dataset) == {"a.jpg": [("ant", 20, 10, 60, 40)]}
    assert kinds(dataset) == ["polyline", "shape without an area"]


def test_no_attribute_is_one_class_and_several_are_refused(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"via.json": {"a.jpg252": entry("a.jpg", (RECT, {}))}})
    assert read("via", tmp_path).class_names == ["object"]
    write(
        tmp_path, {"via.json": {"a.jpg252": entry("a.jpg", (RECT, {"colour": "1", "size": "2"}))}}
    )
    with pytest.raises(DataError, match="colour, size"):
        read("via", tmp_path)


@pytest.mark.parametrize("shape, told", [(5, {}), ("rect", {}), (RECT, "ant"), (RECT, ["ant"])])
def test_regions_that_are_no_objects_are_named(tmp_path, shape, told):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"via.json": {"a.jpg252": entry("a.jpg", (shape, told))}})
    dataset = read("via", tmp_path)
    assert kinds(dataset)[0] == "bad image entry"
    assert "via.json: a.jpg252: a region of the shape" in dataset.problems[0].text


def test_one_faulty_entry_leaves_the_others(tmp_path):
    images(tmp_path, "a.jpg")
    content = {"x": {"filename": 5, "regions": []}, "y": 5, "a": entry("a.jpg", (RECT, {}))}
    write(tmp_path, {"via.json": content})
    dataset = read("via", tmp_path)
    assert seen(dataset) == {"a.jpg": [("object", 20, 10, 60, 40)]}
    assert sorted(kinds(dataset)) == ["bad image entry", "missing image"]
    write(tmp_path, {"via.json": ["_via_img_metadata"]})
    with pytest.raises(DataError, match="via.json: not a file of VIA 2"):
        read("via", tmp_path)


def test_csv(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    write(
        tmp_path,
        {
            "via_export.csv": "filename,file_size,file_attributes,region_count,region_id,"
            "region_shape_attributes,region_attributes\n"
            'a.jpg,252,"{}",1,0,"{""name"":""rect"",""x"":10,""y"":20,""width"":30,""height"":40}",'
            '"{""name"":""ant""}"\nb.jpg,252,"{}",0,0,"{}","{}"\n'
        },
    )
    assert seen(read("via", tmp_path)) == {"a.jpg": [("ant", 20, 10, 60, 40)], "b.jpg": []}
