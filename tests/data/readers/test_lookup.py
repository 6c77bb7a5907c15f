"""Images by what annotations call them; text of any encoding."""

import types
import unicodedata

import pytest
from data.reading import images

from lhrcnn.data.readers.lookup import ImageIndex, from_json, is_hidden, local_name, read_text, walk
from lhrcnn.files import Output


def find(folder, name, near=".", split=""):
    problems = []
    image = types.SimpleNamespace(
        names=(name,), source=folder / near / "a.json", where="a.json", split=split
    )
    path = ImageIndex(folder).find(image, problems)
    return path.replace(f"{folder}/", ""), [problem.kind for problem in problems]


@pytest.mark.parametrize(
    "name",
    [
        "x/a.jpg",
        "a.jpg",
        "a",
        "A.JPG",
        "..\\other\\a.jpg",
        "C:\\photos\\a.jpg",
        "s3://bucket/x/a.jpg",
    ],
)
def test_an_image_is_found_by_what_is_sure_of_its_name(tmp_path, name):
    images(tmp_path, "x/a.jpg", "x/b.jpg", "x/._a.jpg")
    assert find(tmp_path, name) == ("x/a.jpg", [])


def test_two_of_one_name_are_told_apart_by_folders(tmp_path):
    images(tmp_path, "images/train/a.jpg", "images/val/a.jpg")
    assert find(tmp_path, "a.jpg", near="labels/val") == ("images/val/a.jpg", [])
    assert find(tmp_path, "a.jpg", split="train") == ("images/train/a.jpg", [])
    assert find(tmp_path, "a.jpg") == ("", ["ambiguous image name"])
    images(tmp_path, "shown/b.jpg", "JPEGImages/b.jpg")
    assert find(tmp_path, "b") == ("JPEGImages/b.jpg", [])


def test_a_missing_image_is_named(tmp_path):
    assert find(tmp_path, "a.jpg") == ("", ["missing image"])


def test_urls():
    assert local_name("/data/local-files/?d=photos%2Fb%20c.jpg") == "photos/b c.jpg"
    assert local_name("https://x.org/a%20b.jpg?size=3") == "a b.jpg"
    assert local_name("http://[x") == "http://[x" and local_name("a?d=") == "a?d="


def test_hidden_files():
    hidden = ("._a.jpg", ".DS_Store", ".ipynb_checkpoints", "@eaDir", "__MACOSX", "Thumbs.db")
    assert all(map(is_hidden, hidden)) and not is_hidden("a._b.jpg")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
def test_text_of_any_encoding(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("\u8682\u8681\n".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "\u8682\u8681\n"


def test_a_second_name_tells_two_images_of_one_name_apart(tmp_path):
    images(tmp_path, "a.jpg", "a.png", "b.jpg")
    image = types.SimpleNamespace(source=tmp_path / "a.xml", where="a.xml", split="")
    for second, found in (("a.png", "a.png"), ("b.jpg", "")):  # b.jpg is another image
        image.names = ("a", second)
        path = ImageIndex(tmp_path).find(image, [])
        assert path == (str(tmp_path / found) if found else "")


@pytest.mark.parametrize("kind", [str, str.encode], ids=["text", "bytes"])
def test_halves_of_pairs_in_json_become_question_marks(kind):
    assert from_json(kind('["\\ud800", "\\ud83d\\ude00", "\\u00e9"]')) == ["?", "\U0001f600", "é"]


def test_letters_in_two_parts_are_those_in_one(tmp_path):
    images(tmp_path, unicodedata.normalize("NFD", "x/é.jpg"))
    path, problems = find(tmp_path, unicodedata.normalize("NFC", "é.jpg"))
    assert unicodedata.normalize("NFC", path) == "x/é.jpg" and problems == []


def test_links_to_folders_elsewhere_are_followed_once(tmp_path):
    images(tmp_path, "far/b.jpg", "mine/a.jpg", "mine/real/c.jpg")
    mine = tmp_path / "mine"
    for name, target in (("far", "far"), ("again", "far"), ("up", "."), ("twin", "mine/real")):
        (mine / name).symlink_to(tmp_path / target)
    (tmp_path / "far" / "back").symlink_to(mine)
    assert walk(mine) == [f"{mine}/{name}" for name in ("a.jpg", "again/b.jpg", "real/c.jpg")]


@pytest.mark.parametrize(
    "text", ["Käfer\n", "grün, rouge écarlate\n", "señal – «alto»\n", "Ñandú\n"]
)
def test_western_text_is_not_taken_for_chinese(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text.encode("cp1252"))
    assert read_text(tmp_path / "a.txt") == text


def test_what_lhrcnn_made_in_a_data_folder_is_none_of_the_data(tmp_path):
    data = [f"{tmp_path}/images/{name}" for name in ("a.jpg", "b.jpg")]
    images(tmp_path, "images/a.jpg")
    (tmp_path / "images" / "b.jpg").symlink_to(tmp_path / "images" / "a.jpg")
    predictions, run = Output(tmp_path / "images" / "found"), Output(tmp_path / "runs" / "x")
    predictions.write("a.jpg", "an image with boxes")
    predictions.write("detections.json", "{}")
    images(predictions.folder, "coco/predictions/a.jpg")  # of --save coco
    run.write("classes.json", "{}")
    images(run.folder, "images/c.jpg")
    assert walk(tmp_path) == data
    assert f"{predictions.folder}/detections.json" in walk(predictions.folder)  # named by the user
    images(predictions.folder, "mine.jpg", "a.jpg")  # of the user, one in the place of lhrcnn's
    assert walk(tmp_path) == [*data, *(f"{predictions.folder}/{name}" for name in OWN)]
    assert walk(run.folder) == [f"{run.folder}/classes.json", f"{run.folder}/images/c.jpg"]


OWN = ("a.jpg", "mine.jpg")


def test_a_data_set_that_lhrcnn_wrote_is_data(tmp_path):
    written = Output(tmp_path / "as_yolo")
    names = ["data.yaml", "images/train/a.jpg", "labels/train/a.txt"]
    for name in names:
        written.write(name, "text")
    assert walk(tmp_path) == [f"{tmp_path}/as_yolo/{name}" for name in names]
