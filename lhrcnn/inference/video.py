"""Frames of videos and cameras, and videos of frames, through PyAV (`lhrcnn[video]`).

Frames are uint8 RGB [H, W, 3], as they are to be shown.
"""

import collections
import fractions
import sys
import typing

import numpy as np
from absl import logging

from lhrcnn.errors import DataError, DependencyError

_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}
_LARGEST_DENOMINATOR = 65535  # of a frame rate that MPEG-4 takes


class Video(typing.NamedTuple):
    """A video or camera that is open."""

    name: str
    rate: fractions.Fraction  # frames/s
    num_frames: int  # 0: not known
    frames: typing.Iterator
    times: collections.deque  # s since the first frame, of each that was read: phones vary the rate


def open_video(source):
    """The `Video` of a file, or of a camera's number. Raises DataError, and DependencyError."""
    av = _av()
    if isinstance(source, int):
        if sys.platform not in _CAMERAS:
            raise DataError(f"camera {source}: cameras are read on Linux and macOS")
        kind, place = _CAMERAS[sys.platform]
        name, options = place.format(source), {"format": kind}
    else:
        name, options = str(source), {}
    try:
        container = av.open(name, **options)
        stream = container.streams.video[0]
    except IndexError:
        raise DataError(f"{name}: no video in this file") from None
    except (OSError, av.FFmpegError) as error:
        raise DataError(f"{name}: cannot be opened as a video: {error}") from None
    rate = stream.average_rate or stream.guessed_rate or fractions.Fraction(25)
    number = stream.frames or int((container.duration or 0) / 1e6 * rate)
    stream.thread_type = "AUTO"
    times = collections.deque()
    return Video(name, rate, number, _frames(container, name, av, rate, times), times)


def _frames(container, name, av, rate, times):
    number, announced, start = 0, container.streams.video[0].frames, None
    with container:
        try:
            for frame in container.decode(video=0):
                time = float(number / rate) if frame.time is None else frame.time
                start = time if start is None else start
                times.append(round(time - start, 6))
                number += 1
                turns = getattr(frame, "rotation", 0) // 90  # counter-clockwise, as phones have it
                yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
        except (OSError, av.FFmpegError) as error:
            raise DataError(f"{name}: its video ends in an error: {error}") from None
    if not number:
        raise DataError(f"{name}: no frame of this video can be decoded")
    if number < announced:
        logging.warning("%s: ends after %d of the %d frames it announces", name, number, announced)


class VideoWriter:
    """Writes frames into an open file as an MP4 video: H.264 where FFmpeg has it, else MPEG-4."""

    def __init__(self, file, rate):
        """rate: frames/s."""
        self._av = _av()
        self._container = self._av.open(file, "w", format="mp4")
        self._rate = fractions.Fraction(rate).limit_denominator(_LARGEST_DENOMINATOR)
        self._stream = None

    def add(self, image):
        """Appends a PIL image; all are of one size."""
        if self._stream is None:
            codec = "libx264" if "libx264" in self._av.codecs_available else "mpeg4"
            self._stream = self._container.add_stream(codec, rate=self._rate)
            # both codecs take even sides alone
            self._stream.width, self._stream.height = (side + side % 2 for side in image.size)
            self._stream.pix_fmt = "yuv420p"
        if image.size != (self._stream.width, self._stream.height):
            image = image.crop((0, 0, self._stream.width, self._stream.height))
        self._container.mux(self._stream.encode(self._av.VideoFrame.from_image(image)))

    def close(self):
        """Writes what is held back, and the file's index."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()


def _av():
    try:
        import av
    except ImportError:
        raise DependencyError(
            "videos and cameras are read by PyAV, which is not installed: pip install "
            "'lhrcnn[video]'"
        ) from None
    return av
