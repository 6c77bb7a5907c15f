"""What `lhrcnn data check` finds."""

import shutil

import pytest
from data.samples import coco_content, options, write_coco, write_sized

from lhrcnn.data.tools.check import find_problems


def kinds(problems):
    return [(problem.severity, problem.kind) for problem in problems]


def check(folder, *splits, deep=False):
    return find_problems(options(folder, "format=coco"), splits, deep)


def test_everything_is_listed_at_once(tmp_path):
    content = coco_content()
    content["annotations"] += [
        {"id": 4, "image_id": 7, "category_id": 90, "bbox": [10, 5, 20.5, 15]},
        {"id": 5, "image_id": 3, "category_id": 2, "bbox": [10, 5, 0, 15]},
        {"id": 6, "image_id": 99, "category_id": 2, "bbox": [10, 5, 3, 15]},
    ]
    path = write_coco(tmp_path, content) / "train" / "b.png"
    path.write_bytes(path.read_bytes()[:-40])
    empty = {**coco_content(), "annotations": []}
    for image in empty["images"]:
        image["id"] += 100
    write_coco(tmp_path, empty, annotations="annotations/instances_val.json", images="val")
    for name in ("a.jpg", "b.png"):
        (tmp_path / "val" / name).write_bytes((tmp_path / "val" / name).read_bytes() + b"\0")
    nothing = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "bat"}]}
    write_coco(tmp_path, nothing, annotations="annotations/instances_test.json", images="test")
    problems = check(tmp_path, "train", "val", "test", "gone", "train")
    assert sorted(kinds(problems)) == sorted(
        [
            ("error", "unknown image id"),
            ("warning", "empty box"),
            ("warning", "unreadable image"),
            ("warning", "repeated object"),
            ("error", "split without objects"),
            ("error", "split without images"),
            ("error", "split that cannot be read"),
            ("error", "other classes in another split"),
            ("note", "class without objects"),
        ]
    )
    text = "\n".join(problem.text for problem in problems)
    assert "no annotation file for split 'gone'" in text and "b.png: not decodable" in text
    assert "split 'test' has the classes bat, but split 'train' has cat, owl, dog" in text


def test_a_sound_folder(tmp_path):
    content = coco_content()
    content["categories"] = content["categories"][:2]
    assert check(write_coco(tmp_path, content), "train") == []
    (problem,) = find_problems(options(tmp_path, "format=coco", "classes=[dgo]"), ["train"])
    assert "did you mean 'dog'" in problem.text and problem.severity == "error"


def test_images_in_two_splits_are_found_by_path_and_by_content(tmp_path):
    write_sized(tmp_path, [(20, 30), (30, 20)], split="train")
    write_sized(tmp_path, [(24, 30), (30, 24)], split="val")
    assert check(tmp_path, "train", "val") == []
    shutil.copy(tmp_path / "train" / "1.png", tmp_path / "val" / "2.png")
    (problem,) = [p for p in check(tmp_path, "train", "val") if p.severity == "warning"]
    assert problem.kind == "image in two splits"
    assert "val/2.png of split 'val'" in problem.text and "train/1.png of split" in problem.text


@pytest.mark.parametrize(
    "change, kind",
    [
        (lambda c: c["categories"][2].update(name=" Cat"), ("warning", "classes of one name")),
        (
            lambda c: [a.update(iscrowd=1) for a in c["annotations"]],
            ("warning", "all objects ignored"),
        ),
        (
            lambda c: c.update(annotations=[same(k) for k in range(5)]),
            ("warning", "class of one box"),
        ),
        (
            lambda c: c.update(annotations=[early(k) for k in range(5)]),
            ("note", "one-pixel offset"),
        ),
    ],
)
def test_patterns_of_mistakes(tmp_path, change, kind):
    content = coco_content()
    change(content)
    found = kinds(check(write_coco(tmp_path, content), "train"))
    assert kind in found and all(severity != "error" for severity, _ in found)


def same(k):
    return {"id": k, "image_id": (7, 3)[k % 2], "category_id": 2, "bbox": [1, 2, 3, 4]}


def early(k):
    return {"id": k, "image_id": 7, "category_id": 2, "bbox": [k, 2, 59 - k, 4]}


def test_damage_inside_a_file_is_found_by_decoding(tmp_path):
    content = coco_content()
    content["categories"] = content["categories"][:2]
    path = write_coco(tmp_path, content) / "train" / "b.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert check(tmp_path, "train") == []
    assert kinds(check(tmp_path, "train", deep=True)) == [("warning", "unreadable image")]


def test_real_data(shared):
    found = find_problems(options(shared / "data" / "coco64", "format=coco"), ["train"])
    assert all(severity == "note" for severity, _ in kinds(found))
    folder = shared / "data" / "bccd" / "BCCD"
    found = kinds(find_problems(options(folder, "format=voc"), ["trainval", "test"]))
    assert found.count(("warning", "empty box")) == 2
