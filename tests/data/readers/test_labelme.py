"""The labelme reader: shapes, groups, names of images, flags."""

from data.reading import images, kinds, read, seen, write


def file(*shapes, **others):
    content = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg"}
    return {**content, "imageHeight": 80, "imageWidth": 100, "imageData": None, **others}


def shape(kind, *points, label="ant", **others):
    return {"label": label, "points": list(points), "shape_type": kind, "flags": {}, **others}


def test_every_shape_gives_its_box(tmp_path):
    images(tmp_path, "a.jpg")
    shapes = (
        shape("rectangle", (40, 60), (10, 20)),  # drawn from the lower right
        shape("rectangle", (10, 20), (40, 20), (40, 60), (10, 60)),  # X-AnyLabeling
        shape("polygon", (10, 20), (40, 30), (20, 60)),
        shape("circle", (50, 40), (53, 44)),
        shape("mask", (10, 20), (39, 59)),
        shape("rotation", (30, 10), (50, 30), (30, 50), (10, 30)),
        shape("point", (1, 2)),
    )
    write(tmp_path, {"a.json": file(*shapes)})
    dataset = read("labelme", tmp_path)
    box = ("ant", 20, 10, 60, 40)
    assert seen(dataset)["a.jpg"] == [
        *[box] * 3,
        ("ant", 35, 45, 45, 55),
        box,
        ("ant", 10, 10, 50, 50),
    ]
    assert kinds(dataset) == ["turned box", "shape without an area"]


def test_shapes_of_a_group_and_class_are_one_object(tmp_path):
    images(tmp_path, "a.jpg")
    shapes = [
        shape("polygon", (10, 20), (20, 20), (15, 30), group_id=1),
        shape("polygon", (30, 40), (40, 40), (35, 60), group_id=1),
        shape("polygon", (30, 40), (40, 40), (35, 60), group_id=1, label="bee"),
        shape("polygon", (50, 40), (60, 40), (55, 60), group_id=[2], label="bee"),
    ]
    write(tmp_path, {"a.json": file(*shapes)})
    found = seen(read("labelme", tmp_path))["a.jpg"]
    bees = [("bee", 40, 30, 60, 40), ("bee", 40, 50, 60, 60)]
    assert found == [("ant", 20, 10, 60, 40), *bees]


def test_images_in_another_folder_flags_and_empty_files(tmp_path):
    images(tmp_path, "images/a.jpg", "images/b.jpg")
    box = ((10, 20), (40, 60))
    shapes = [
        shape("rectangle", *box, flags={"ignore": True}),
        shape("rectangle", *box, difficult=True),
    ]
    write(
        tmp_path,
        {
            "json/a.json": file(*shapes, shape("rectangle", *box), imagePath="..\\images\\a.jpg"),
            "json/b.json": file(imagePath="renamed.jpg"),  # of the name of its own file, then
        },
    )
    dataset = read("labelme", tmp_path)
    box = (20, 10, 60, 40)
    assert seen(dataset) == {"a.jpg": [("ant!", *box), ("ant!", *box), ("ant", *box)], "b.jpg": []}


def test_labelmes_own_word_for_ignored(tmp_path):
    images(tmp_path, "a.jpg")
    box = ((10, 20), (40, 60))
    shapes = shape("rectangle", *box, label="__ignore__"), shape("rectangle", *box)
    write(tmp_path, {"a.json": file(*shapes)})
    dataset = read("labelme", tmp_path)
    assert dataset.class_names == ["ant"]
    assert seen(dataset)["a.jpg"] == [("ant!", 20, 10, 60, 40), ("ant", 20, 10, 60, 40)]


def test_faulty_files_and_shapes_are_named(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg")
    good = shape("rectangle", (10, 20), (40, 60))
    files = {"a.json": file({"label": "ant"}, good), "b.json": '{"shapes": [', "c.json": "{}"}
    write(tmp_path, {**files, "d.json": {**file(), "shapes": 5}})
    dataset = read("labelme", tmp_path)
    assert seen(dataset) == {"a.jpg": [("ant", 20, 10, 60, 40)]}
    assert set(kinds(dataset)) == {
        "bad object",
        "unreadable annotation file",
        "image without annotations",
    }


def test_a_name_that_is_no_text(tmp_path):
    images(tmp_path, "a.jpg")
    write(tmp_path, {"a.json": file(imagePath=5)})
    assert seen(read("labelme", tmp_path)) == {"a.jpg": []}


def test_folders_name_splits(tmp_path):
    images(tmp_path, "train/a.jpg", "val/a.jpg")
    good = shape("rectangle", (10, 20), (40, 60))
    write(tmp_path, {"train/a.json": file(good), "val/a.json": file()})
    assert seen(read("labelme", tmp_path, "train")) == {"a.jpg": [("ant", 20, 10, 60, 40)]}
    assert seen(read("labelme", tmp_path, "val")) == {"a.jpg": []}
    assert read("labelme", tmp_path, "val").class_names == ["ant"]


def test_a_file_cut_short_is_an_error(tmp_path):
    images(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    text = '{"shapes": [{"label": "ant", "points": [[10, 20], [40, 60]]}]}'
    write(tmp_path, {"a.json": text, "b.json": "", "c.json": "{}", "other.json": ""})
    dataset = read("labelme", tmp_path)
    assert list(seen(dataset)) == ["a.jpg"]
    found = [(problem.severity, problem.kind) for problem in dataset.problems]
    assert found.count(("error", "unreadable annotation file")) == 2


def test_a_large_image_before_all_else(tmp_path):
    images(tmp_path, "a.jpg")
    content = file(shape("rectangle", (10, 20), (40, 60)), imageData="A" * 100_000)
    write(tmp_path, {"a.json": dict(sorted(content.items()))})
    assert seen(read("labelme", tmp_path)) == {"a.jpg": [("ant", 20, 10, 60, 40)]}


def test_lists_tell_images_of_one_name_by_their_folders(tmp_path):
    names = [f"{folder}/{name}" for folder in ("x", "y", "z/x") for name in ("1", "2")]
    images(tmp_path, *(f"{name}.jpg" for name in names))
    write(tmp_path, {f"{name}.json": file(imagePath=f"{name[-1]}.jpg") for name in names})
    lists = {"train.txt": "x/1.jpg\n./y/2\n", "val.txt": "/home/u/set/z/x/1.jpg\ny\\1.jpg\n"}
    write(tmp_path, {**lists, "test.txt": "2.jpg\n"})

    def found(split):
        records = read("labelme", tmp_path, split).records
        return [record.path[len(f"{tmp_path}/") : -len(".jpg")] for record in records]

    assert found("train") == ["x/1", "y/2"] and found("val") == ["y/1", "z/x/1"]
    assert found("test") == ["x/2", "y/2", "z/x/2"]
