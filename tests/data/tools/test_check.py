"""What `lhrcnn data check` finds."""

import shutil

import pytest
from data.samples import coco_content, options, write_coco, write_sized
from PIL import Image

from lhrcnn import cli
from lhrcnn.data import headers
from lhrcnn.data.tools import content
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
    assert "val/2.png: in split 'val', and in split 'train' as" in problem.text
    assert problem.text.endswith("train/1.png")


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
        (lambda c: c["annotations"][0].update(area=-3), ("note", "area that cannot be meant")),
        (lambda c: c["annotations"][0].update(area=0.1), ("note", "area that cannot be meant")),
        (lambda c: c.update(categories=below_root(c["categories"])), ("note", "root category")),
        (lambda c: None, ("note", "class without objects")),
    ],
)
def test_patterns_of_mistakes(tmp_path, change, kind):
    content = coco_content()
    change(content)
    found = kinds(check(write_coco(tmp_path, content), "train"))
    assert kind in found and all(severity != "error" for severity, _ in found)


def test_classes_in_another_order_are_the_same_classes(tmp_path):
    content = coco_content()
    write_coco(tmp_path, content)
    first, second = content["categories"][:2]
    first["name"], second["name"] = second["name"], first["name"]
    write_coco(tmp_path, content, "annotations/instances_val.json", "val")
    found = kinds(check(tmp_path, "train", "val"))
    assert ("note", "other order of classes in another split") in found
    assert all(severity != "error" for severity, _ in found)
    content["categories"][0]["name"] = "another"
    write_coco(tmp_path, content, "annotations/instances_val.json", "val")
    assert ("error", "other classes in another split") in kinds(check(tmp_path, "train", "val"))


def same(k):
    return {"id": k, "image_id": (7, 3)[k % 2], "category_id": 2, "bbox": [1, 2, 3, 4]}


def below_root(categories):
    below = [{**category, "supercategory": "animals"} for category in categories]
    return [{"id": 0, "name": "animals", "supercategory": "none"}, *below]


def test_boxes_that_are_shares_of_the_image(tmp_path):
    content = coco_content()
    for annotation in content["annotations"]:
        annotation["bbox"] = [0.1, 0.2, 0.5, 0.5]
    (problem,) = check(write_coco(tmp_path, content), "train")
    assert problem.severity == "error" and "they are shares of height and width" in problem.text


def test_an_image_that_exif_turns_annotated_as_stored(tmp_path):
    path = write_coco(tmp_path, coco_content()) / "train" / "a.jpg"
    exif = Image.Exif()
    exif[headers.ORIENTATION_TAG] = 6
    Image.open(path).copy().save(path, exif=exif)
    (problem,) = [p for p in check(tmp_path, "train") if p.severity == "error"]
    assert problem.kind == "image of another size than annotated"
    assert "EXIF turns it, and it is annotated as stored" in problem.text


def test_an_image_twice_in_a_split(tmp_path):
    write_sized(tmp_path, [(20, 30), (20, 30)])
    shutil.copy(tmp_path / "train" / "1.png", tmp_path / "train" / "2.png")
    (problem,) = check(tmp_path, "train")
    assert (problem.severity, problem.kind) == ("note", "image twice in a split")


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


def test_what_drawn_splits_share_is_counted_once(tmp_path):
    content = coco_content()
    content["annotations"].append({"id": 9, "image_id": 3, "category_id": 2, "bbox": [1, 1, 0, 4]})
    write_coco(tmp_path, content, annotations="a.json", images=".")
    problems = find_problems(options(tmp_path, "format=auto"), ["train", "val"])
    assert kinds(problems).count(("warning", "empty box")) == 1
    (tmp_path / "a.json").write_text("{")
    problems = find_problems(options(tmp_path, "format=auto"), ["train", "val"])
    assert kinds(problems) == [("error", "split that cannot be read")]


def test_the_command_checks_all_splits_that_are_found(tmp_path, capsys):
    for part in ("train", "test"):
        write_coco(
            tmp_path, coco_content(), annotations=f"{part}/_annotations.coco.json", images=part
        )
    assert cli.main(["data", "check", "--data_dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "in train, val, test" in out and "warnings, image in two splits" in out


def test_an_image_that_cannot_be_opened_is_no_copy(tmp_path, monkeypatch):
    folder = write_sized(tmp_path, [(20, 30), (20, 30)])
    shutil.copy(folder / "train" / "1.png", folder / "train" / "2.png")
    monkeypatch.setattr(content, "sha256_of", lambda path: Image.open("no such file"))
    assert check(folder, "train") == []
