"""The CrowdHuman reader."""

import json

from data.reading import images, kinds, read, seen, write


def person(box, tag="person", ignore=0):
    return {
        "tag": tag,
        "fbox": box,
        "vbox": [0, 0, 1, 1],
        "hbox": [0, 0, 1, 1],
        "extra": {"ignore": ignore},
    }


def test_full_bodies_masks_and_ignored_people(tmp_path):
    images(tmp_path, "Images/273271,c9db000d5146c15.jpg", "Images/b.jpg")
    people = [
        person([10, 20, 30, 40]),
        person([-20, 50, 30, 60]),  # the body goes on beyond the image
        person([1, 2, 3, 4], ignore=1),
        person([1, 2, 3, 4], tag="mask"),
        {"tag": "person"},
    ]
    lines = [{"ID": "273271,c9db000d5146c15", "gtboxes": people}, {"ID": "b", "gtboxes": []}]
    write(tmp_path, {"annotation_train.odgt": "\n".join(map(json.dumps, lines)) + "\n{\n"})
    dataset = read("crowdhuman", tmp_path, "train")
    assert dataset.records[0].source_id == "273271,c9db000d5146c15"
    assert seen(dataset) == {
        "273271,c9db000d5146c15.jpg": [
            ("person", 20, 10, 60, 40),
            ("person", 50, 0, 80, 10),
            ("person!", 2, 1, 6, 4),
            ("person!", 2, 1, 6, 4),
        ],
        "b.jpg": [],
    }
    assert sorted(kinds(dataset)) == [
        "bad line",
        "bad object",
        "box beyond the border",
        "ignored objects",
    ]
