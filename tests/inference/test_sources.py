"""What the words of `lhrcnn predict` mean."""

import pathlib

import pytest

from lhrcnn.errors import UsageError
from lhrcnn.inference.sources import find_sources, output_names

FILES = (
    "a.jpg b.JFIF c.webp d.tif notes.txt clip.MP4 ._a.jpg sub/e.png sub/deep/f.heic .git/g.png "
    "sub/.ipynb_checkpoints/e.png @eaDir/h.jpg __MACOSX/i.jpg found/a.jpg odd[1].jpg"
).split()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(paths):
    return [str(path) for path in paths]


def test_folders_are_taken_with_all_below_them_but_what_is_hidden(folder):
    found = find_sources(["."], "found")
    assert names(found.images) == names(
        map(pathlib.Path, "a.jpg b.JFIF c.webp d.tif odd[1].jpg sub/deep/f.heic sub/e.png".split())
    )
    assert names(found.videos) == ["clip.MP4"] and found.failures == []
    assert len(find_sources(["."]).images) == 8
    for named in ("found", "found/*.jpg"):
        assert names(find_sources([named], "found").images) == ["found/a.jpg"]


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("*.jpg", ["a.jpg", "odd[1].jpg"]),
        ("**/*.png", ["sub/e.png"]),
        ("**/*.jpg", ["a.jpg", "odd[1].jpg"]),
        ("s*", ["sub/deep/f.heic", "sub/e.png"]),
        ("odd[1].jpg", ["odd[1].jpg"]),
        ("?.*", ["a.jpg", "b.JFIF", "c.webp", "d.tif"]),
    ],
)
def test_patterns(folder, pattern, expected):
    found = find_sources([pattern], "found")
    assert names(found.images) == expected and not found.failures
    absolute = find_sources([str(folder / pattern)], "found")
    assert names(absolute.images) == [str(folder / name) for name in expected]


def test_what_is_not_there_is_said(folder):
    found = find_sources(["empty", "*.bmp", "gone.jpg", "a.jpg", "./a.jpg"])
    assert names(found.images) == ["gone.jpg", "a.jpg"]
    assert "empty: no image in or below this folder (looked for .jpg" in found.failures[0]
    assert "*.bmp: no image fits this pattern" in found.failures[1]
    with pytest.raises(UsageError, match="http://x/a.jpg: no such file; fetch it"):
        find_sources(["http://x/a.jpg"], hint=lambda word: "fetch it")


def test_a_number_is_a_camera_unless_a_file_has_that_name(folder):
    assert find_sources(["0"]).videos == [0]
    (folder / "0").write_bytes(b"x")
    assert names(find_sources(["0"]).images) == ["0"]


def test_no_two_outputs_have_one_name():
    paths = [pathlib.Path(name) for name in ("a.png", "x/A.jpg", "y/a.webp", "b.png")]
    assert output_names(paths, ".jpg") == ["a.jpg", "A_2.jpg", "a_3.jpg", "b.jpg"]
    assert output_names([0, pathlib.Path("a.mov")], ".mp4") == ["camera_0.mp4", "a.mp4"]


def test_frames_of_a_video_have_names_of_their_own():
    images = ["clip_000001.jpg", "clip_2_1000000.jpg", "film_01.jpg"]
    films = [pathlib.Path("Clip.mp4"), pathlib.Path("film.mp4")]
    assert output_names(films, ".mp4", images) == ["Clip_3.mp4", "film.mp4"]


def test_hidden_folders_that_a_pattern_names_and_digits_of_no_camera(folder):
    assert names(find_sources([".git/*.png"]).images) == [".git/g.png"]
    assert names(find_sources(["²"]).images) == ["²"]
