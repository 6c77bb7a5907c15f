"""Frames of videos, and videos of frames."""

import fractions
import sys

import numpy as np
import pytest
from PIL import Image

from lhrcnn.errors import DataError, DependencyError
from lhrcnn.inference import video


def frames(number, height=48, width=62):
    """Smooth images, each with a bright bar where its number says."""
    for k in range(number):
        image = np.full((height, width, 3), (40, 90, 160), np.uint8)
        image[:, 4 * k : 4 * k + 6] = (230, 220, 60)
        yield image


@pytest.mark.parametrize("size", [(48, 62), (47, 61)])
def test_a_video_is_read_as_it_was_written(tmp_path, size):
    pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with open(path, "wb") as file:
        writer = video.VideoWriter(file, "30000/1001")
        for image in frames(12, *size):
            writer.add(Image.fromarray(image))
        writer.close()
    opened = video.open_video(path)
    assert float(opened.rate) == pytest.approx(29.97, abs=0.01) and opened.num_frames == 12
    found = list(opened.frames)
    assert len(found) == 12
    for image, expected in zip(found, frames(12, *size)):
        assert image.dtype == np.uint8 and image.shape[2] == 3
        image = image[: size[0], : size[1]]
        assert np.abs(image.astype(int) - expected).mean() < 12


def test_frames_have_their_own_times(tmp_path):
    av = pytest.importorskip("av")
    shown = [0, 1, 2, 3, 9, 10]  # 1/10 s: a phone in the dark leaves frames out
    with av.open(tmp_path / "phone.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 62, 48, "yuv420p"
        for pts, image in zip(shown, frames(len(shown))):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = pts + 5, fractions.Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    opened = video.open_video(tmp_path / "phone.mp4")
    assert len(list(opened.frames)) == len(shown)
    assert list(opened.times) == pytest.approx([pts / 10 for pts in shown])


def test_what_is_no_video_is_named(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("text.mp4", "gone.mp4"):
        with pytest.raises(DataError, match=f"{name}: cannot be opened as a video"):
            video.open_video(tmp_path / name)
    with pytest.raises(DataError, match="cannot be opened as a video|are read on Linux"):
        video.open_video(99)


def test_without_its_package_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DependencyError, match="pip install 'lhrcnn.video.'"):
        video.open_video(tmp_path / "a.mp4")


def test_a_video_that_is_cut_short_is_said(tmp_path, caplog):
    av = pytest.importorskip("av")
    with open(tmp_path / "whole.mp4", "wb") as file:
        writer = video.VideoWriter(file, 25)
        for seed in range(60):
            noise = np.random.default_rng(seed).integers(0, 256, (48, 62, 3), np.uint8)
            writer.add(Image.fromarray(noise))
        writer.close()
    front = {"movflags": "faststart"}  # the index at the beginning, as in what is downloaded
    with (
        av.open(tmp_path / "whole.mp4") as source,
        av.open(tmp_path / "front.mp4", "w", options=front) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert len(list(video.open_video(tmp_path / "front.mp4").frames)) == 60 and not caplog.text
    content = (tmp_path / "front.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    number = len(list(video.open_video(tmp_path / "cut.mp4").frames))
    assert 0 < number < 60 and f"cut.mp4: ends after {number} of the 60 frames" in caplog.text
    (tmp_path / "none.mp4").write_bytes(content[: content.index(b"mdat") + 4])
    with pytest.raises(DataError, match="none.mp4: no frame of this video can be decoded"):
        list(video.open_video(tmp_path / "none.mp4").frames)
