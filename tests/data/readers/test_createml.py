"""The Create ML reader."""

from data.reading import images, kinds, read, seen, write


def test_centers_become_corners(tmp_path):
    images(tmp_path, "train/a.jpg", "train/b.jpg", "valid/c.jpg")
    coordinates = {"x": 25, "y": 40, "width": 30, "height": 40}
    good = {"label": "ant", "coordinates": coordinates}
    first = {"image": "a.jpg", "annotations": [good, {"label": "ant"}]}
    write(
        tmp_path,
        {
            "train/_annotations.createml.json": [first, {"image": "b.jpg", "annotations": []}],
            "valid/_annotations.createml.json": [{"imagefilename": "c.jpg", "annotation": [good]}],
        },
    )
    dataset = read("createml", tmp_path, "train")
    assert seen(dataset) == {"a.jpg": [("ant", 20, 10, 60, 40)], "b.jpg": []}
    assert kinds(dataset) == ["bad object"]
    assert seen(read("createml", tmp_path, "val")) == {"c.jpg": [("ant", 20, 10, 60, 40)]}
