"""`lhrcnn predict` on images of all formats, folders, videos and tiles."""

import json
import pathlib

import numpy as np
import pytest
from inference.conftest import draw_image, run_dir  # noqa: F401  a fixture
from PIL import Image

from lhrcnn import cli
from lhrcnn.inference import video


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos" / "deep"
    folder.mkdir(parents=True)
    image = Image.fromarray(draw_image(50, 80))
    for name in ("a.jpg", "b.webp", "c.tif", "deep/d.png"):
        image.save(folder.parent / name)
    image.save(folder.parent / "e.jfif", "JPEG")
    (folder.parent / "._a.jpg").write_bytes(b"hidden")
    return folder.parent


def predict(*words):
    return cli.main(["predict", *map(str, words)])


@pytest.mark.parametrize("draw", [True, False])
def test_a_folder_with_all_formats(photos, run_dir, capsys, draw):  # noqa: F811
    flags = ["--run_dir", run_dir, "--score_threshold", 0, "--save=txt,csv", "--save=yolo"]
    assert predict(photos, *flags, *([] if draw else ["--no_draw"])) == 0
    out, found = capsys.readouterr().out, pathlib.Path("predictions")
    assert "[1 of 5, " in out and "photos/a.jpg: " in out and "of 80 classes" not in out
    content = json.loads((found / "detections.json").read_text())
    names = [pathlib.Path(image["file_name"]).name for image in content["images"]]
    assert names == ["a.jpg", "b.webp", "c.tif", "d.png", "e.jfif"]
    assert len(list(found.glob("*.jpg"))) == (5 if draw else 0)
    assert len(list((found / "txt").iterdir())) == 5 and (found / "yolo/data.yaml").is_file()
    assert len((found / "detections.csv").read_text().splitlines()) == 1 + len(
        content["annotations"]
    )
    assert predict(".", *flags) == 0  # its own output is not looked at
    assert "[1 of 5, " in capsys.readouterr().out


def test_a_file_of_no_image_and_a_missing_one_are_named(photos, run_dir, capsys):  # noqa: F811
    (photos / "page.jpg").write_text("<!DOCTYPE html>")
    assert predict(photos, "gone.png", "--run_dir", run_dir) == 1
    captured = capsys.readouterr()
    assert "page.jpg: not readable as an image: it is a HTML file" in captured.err
    assert "gone.png: no such image file" in captured.err and "2 of 7 inputs" in captured.err
    assert "5 images" in captured.out


def test_detections_of_before_stay_where_no_input_can_be_used(photos, run_dir, capsys):  # noqa: F811
    assert predict(photos, "--run_dir", run_dir) == 0
    before = pathlib.Path("predictions/detections.json").read_bytes()
    (photos / "page.jpg").write_text("")
    capsys.readouterr()
    for words in (["gone.png"], ["*.nothing"], [photos / "page.jpg"]):
        assert predict(*words, "--run_dir", run_dir) == 1
    err = capsys.readouterr().err
    assert "page.jpg: not readable as an image: the file is empty" in err
    assert err.count("nothing is written") == 2 and "no image fits this pattern" in err
    assert pathlib.Path("predictions/detections.json").read_bytes() == before


def test_tiles(photos, run_dir, capsys):  # noqa: F811
    Image.fromarray(draw_image(300, 400)).save("large.png")
    flags = ["--run_dir", run_dir, "--score_threshold", 0]
    assert predict("large.png", *flags, "--tiles=128", "--tile_merge=fusion") == 0
    tiled = json.loads(pathlib.Path("predictions/detections.json").read_text())
    assert predict("large.png", *flags) == 0
    whole = json.loads(pathlib.Path("predictions/detections.json").read_text())
    assert len(tiled["annotations"]) > len(whole["annotations"]) > 0
    assert predict("large.png", *flags, "--tiles=3") == 2
    assert "tiles of 3 px" in capsys.readouterr().err


@pytest.mark.parametrize("frames", [False, True])
def test_a_video(tmp_path, monkeypatch, run_dir, capsys, frames):  # noqa: F811
    pytest.importorskip("av")
    monkeypatch.chdir(tmp_path)
    with open("clip.mp4", "wb") as file:
        writer = video.VideoWriter(file, 5)
        for number in range(6):
            writer.add(Image.fromarray(draw_image(48, 64, number)))
        writer.close()
    flags = ["--run_dir", run_dir, "--score_threshold=0", "--save=csv"]
    assert predict("clip.mp4", *flags, *(["--frames"] if frames else [])) == 0
    assert "clip.mp4: 6 frames" in capsys.readouterr().out
    content = json.loads(pathlib.Path("predictions/detections.json").read_text())
    assert [image["frame"] for image in content["images"]] == list(range(6))
    assert content["images"][5]["time_s"] == 1.0
    if frames:
        drawn = np.asarray(Image.open("predictions/clip_000005.jpg"))
        assert len(list(pathlib.Path("predictions").glob("clip_*.jpg"))) == 6 and drawn.ndim == 3
    else:
        assert len(list(video.open_video("predictions/clip.mp4").frames)) == 6
    assert predict("clip.mp4", *flags, "--save=voc") == 2
    assert "a video has none" in capsys.readouterr().err


def test_a_camera_that_is_not_there(tmp_path, monkeypatch, run_dir, capsys):  # noqa: F811
    pytest.importorskip("av")
    monkeypatch.chdir(tmp_path)
    assert predict("97", "--run_dir", run_dir) == 1
    assert "cannot be opened as a video" in capsys.readouterr().err
