"""The Label Studio reader; turned rectangles against corners turned by hand in px."""

import numpy as np
import pytest
from data.reading import images, kinds, read, seen, write


def result(x, y, width, height, rotation=0, label="ant", **others):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation}
    return {
        "id": "r",
        "type": "rectanglelabels",
        "original_width": 100,
        "original_height": 80,
        "image_rotation": 0,
        "value": {**value, "rectanglelabels": [label]},
        **others,
    }


def task(*results, image="/data/upload/3/8f1a2b3c-a.jpg", number=7):
    annotations = [{"id": 1, "was_cancelled": False, "result": list(results)}]
    return {"id": number, "data": {"image": image}, "annotations": annotations}


def turned_slowly(x, y, width, height, degrees):
    """The box around a rectangle's corners turned about (x, y), all in px."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.array([(0, 0), (width, 0), (width, height), (0, height)]) @ matrix.T + (x, y)
    (xmin, ymin), (xmax, ymax) = points.min(0), points.max(0)
    return ymin, xmin, ymax, xmax


@pytest.mark.parametrize("degrees", [0, 30, 90, 200, 359])
def test_rectangles_are_turned_in_px(tmp_path, degrees):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"tasks.json": [task(result(50, 50, 20, 10, degrees))]})
    dataset = read("label_studio", tmp_path)
    expected = turned_slowly(50, 40, 20, 8, degrees)
    assert seen(dataset)["a.jpg"][0][1:] == pytest.approx(expected, abs=2e-3)
    assert kinds(dataset) == (["turned box"] if degrees else [])
    assert dataset.records[0].image_id == 7


def test_other_shapes_urls_and_several_annotations(tmp_path):
    images(tmp_path, "photos/a.jpg", "photos/b c.jpg", "photos/c.jpg")
    polygon = result(0, 0, 0, 0, type="polygonlabels")
    polygon["value"] = {"points": [[10, 25], [40, 30], [20, 75]], "polygonlabels": ["ant"]}
    ellipse = result(0, 0, 0, 0, type="ellipselabels")
    ellipse["value"] = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "ellipselabels": ["bee"]}
    brush = result(0, 0, 0, 0, type="brushlabels")
    brush["value"] = {"format": "rle", "rle": [1], "brushlabels": ["ant"]}
    second = task(result(10, 25, 30, 50), image="/data/local-files/?d=photos/b%20c.jpg", number=8)
    skipped = {"id": 3, "was_cancelled": True, "result": [result(0, 0, 1, 1)]}
    truth = {"id": 4, "ground_truth": True, "result": [result(10, 25, 30, 50)]}
    third = task(result(0, 0, 1, 1), image="s3://bucket/photos/c.jpg", number=9)
    third["annotations"] += [skipped, truth]
    write(tmp_path, {"p.json": [task(polygon, ellipse, brush), second, third]})
    dataset = read("label_studio", tmp_path)
    box = ("ant", 20, 10, 60, 40)
    assert seen(dataset) == {
        "a.jpg": [box, ("bee", 36, 40, 44, 60)],
        "b c.jpg": [box],
        "c.jpg": [box],
    }
    assert kinds(dataset) == ["result without a box", "several annotations of an image"]


def test_json_min_and_tasks_without_results(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    value = {"x": 10, "y": 25, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["ant"]}
    sizes = {"original_width": 100, "original_height": 80}
    tasks = [
        {"id": 1, "image": "/data/upload/1/8f1a2b3c-a.jpg", "label": [{**value, **sizes}]},
        {"id": 2, "image": "/data/upload/1/9f1a2b3c-b.jpg", "annotation_id": 3},
    ]
    write(tmp_path, {"min.json": tasks})
    found = seen(read("label_studio", tmp_path))
    assert found == {"a.jpg": [("ant", 20, 10, 60, 40)], "b.jpg": []}


def test_a_task_that_nobody_has_annotated_is_no_background(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    empty, none, skipped, predicted = (
        task(image=f"/data/upload/1/8f1a2b3c-{name}.jpg", number=number)
        for number, name in enumerate("abcd")
    )
    none["annotations"], predicted["annotations"] = [], []
    skipped["annotations"][0]["was_cancelled"] = True
    predicted["predictions"] = [{"result": [result(10, 25, 30, 50)]}]
    write(tmp_path, {"p.json": [empty, none, skipped, predicted]})
    dataset = read("label_studio", tmp_path)
    assert seen(dataset) == {"a.jpg": []}
    assert kinds(dataset).count("task without annotations") == 3


def test_a_task_without_an_image_is_named(tmp_path):
    images(tmp_path, "a.jpg")
    of_text = {"id": 8, "data": {"text": "a sentence"}, "annotations": []}
    write(tmp_path, {"p.json": [task(result(10, 25, 30, 50)), of_text, None, "a.jpg"]})
    dataset = read("label_studio", tmp_path)
    assert seen(dataset) == {"a.jpg": [("ant", 20, 10, 60, 40)]}
    assert kinds(dataset).count("bad task") == 3 and "task 3: not a" in dataset.problems[1].text


def test_boxes_of_several_images_say_on_which_they_are(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    album = task(
        result(10, 25, 30, 50, item_index=1),
        result(20, 50, 30, 25, item_index=1, label="bee"),
        result(50, 50, 20, 10, item_index=0),
        {"type": "choices", "value": {"choices": ["dark"]}},
    )
    album["data"] = {"title": "x", "images": [f"/data/upload/3/8f1a2b3c-{k}.jpg" for k in "abc"]}
    write(tmp_path, {"p.json": [album]})
    dataset = read("label_studio", tmp_path)
    assert seen(dataset) == {
        "a.jpg": [("ant", 40, 50, 48, 70)],
        "b.jpg": [("ant", 20, 10, 60, 40), ("bee", 40, 20, 60, 50)],
        "c.jpg": [],
    }
    assert kinds(dataset) == [] and len({record.image_id for record in dataset.records}) == 3


@pytest.mark.parametrize("index", [{}, {"item_index": 2}, {"item_index": -1}])
def test_a_box_that_may_be_on_any_of_several_images_is_named(tmp_path, index):
    images(tmp_path, "a.jpg")
    several = task(result(1, 1, 9, 9, **index), image=["a.jpg", "b.jpg"])
    write(tmp_path, {"p.json": [several, task()]})
    dataset = read("label_studio", tmp_path)
    assert seen(dataset) == {"a.jpg": []} and kinds(dataset) == ["bad task"]
    assert f"item_index {index.get('item_index')} of a box" in dataset.problems[0].text


def test_boxes_on_two_tags_of_an_image_each_are_not_guessed(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    pair = task(result(1, 1, 9, 9, to_name="left"), result(1, 1, 9, 9, to_name="right"))
    pair["data"] = {"first": "a.jpg", "second": "b.jpg"}
    write(tmp_path, {"p.json": [pair, task()]})
    dataset = read("label_studio", tmp_path)
    assert seen(dataset) == {"a.jpg": []}
    assert kinds(dataset) == ["bad task", "image without annotations"]
    assert "its boxes are on left, right" in dataset.problems[0].text


@pytest.mark.parametrize("width, height", [(None, None), (200, 160)])
def test_a_box_without_a_size_or_of_another_one_is_a_share_too(tmp_path, width, height):
    images(tmp_path, "a.jpg")
    other = result(10, 25, 30, 50, original_width=width, original_height=height)
    write(tmp_path, {"p.json": [task(result(20, 50, 30, 25), other)]})
    boxes = [("ant", 40, 20, 60, 50), ("ant", 20, 10, 60, 40)]
    assert seen(read("label_studio", tmp_path)) == {"a.jpg": boxes}
