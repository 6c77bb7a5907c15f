"""Detecting in many images and in videos, drawing what is found beside the computation, and what
of it goes into files."""

import contextlib

import numpy as np

from lhrcnn.data.windows import open_windows
from lhrcnn.errors import DataError, LhrcnnError
from lhrcnn.inference.batching import in_batches
from lhrcnn.inference.saving import Found
from lhrcnn.inference.video import VideoWriter, open_video
from lhrcnn.inference.visualize import draw_detections
from lhrcnn.progress import Progress

_FRAMES_AHEAD = 16
_LONGEST_DRAWN_PX = 4000  # at least, of images too large to be drawn on whole


class Collector:
    """A detector at work on images and videos, and all that it `found`, saving.Found each."""

    def __init__(self, detector, output, score_threshold, draw=True, frames=False):
        """output: a files.Output; draw: writes annotated images and videos there; frames: the
        frames of videos as images."""
        self.detector, self.output, self.threshold = detector, output, score_threshold
        self.draw, self.frames = draw, frames
        self.found, self._images, self._annotations = [], [], []

    def detect_images(self, paths, names):
        """Yields (path, Prediction) of image files, or (path, the error); `names` are those of the
        annotated ones."""
        name_of = dict(zip(paths, names))

        def finish(pair):
            path, found = pair
            if isinstance(found, Exception):
                raise found
            found = found.above(self.threshold)
            if self.draw:
                image = open_windows(path).reduced(_LONGEST_DRAWN_PX)
                self._save(self._annotated(image, found), name_of[path])
            return None, found

        pairs = self.detector.predict_each(paths)
        for (path, _), found in in_batches(pairs, finish, lambda done: done, 1, ahead=8):
            if not isinstance(found, LhrcnnError):
                self._add(Found(path, name_of[path][: -len(".jpg")], found), name_of[path])
            yield path, found

    def detect_video(self, source, name):
        """Detects in all frames of a video, or of a camera until it is interrupted; returns how
        many there were. `name` is the annotated video's. Raises DependencyError, and DataError,
        after its frames are kept where a video breaks off."""
        video, stem, number, broken = open_video(source), name[: -len(".mp4")], 0, []
        progress = Progress(video.name, video.num_frames, "frames")
        frames = _until_error(video.frames, broken)
        pairs = self.detector.predict_each(frames, ahead=_FRAMES_AHEAD)

        def finish(pair):
            found = pair[1].above(self.threshold)
            return None, (found, self._annotated(pair[0], found) if self.draw else None)

        until = KeyboardInterrupt if isinstance(source, int) else ()
        with self._writer(name, video.rate) as write, contextlib.suppress(until):
            for _, (found, annotated) in in_batches(pairs, finish, lambda x: x, 1, ahead=8):
                frame_name = f"{stem}_{number:06d}"
                if annotated is not None:
                    write(annotated, f"{frame_name}.jpg")
                shown = f"{frame_name}.jpg" if self.frames else name
                about = {"frame": number, "time_s": video.times.popleft()}
                self._add(Found(video.name, frame_name, found, number), shown, about)
                number += 1
                progress.update(number)
            if broken and not number:
                raise broken[0]
        if broken:
            raise DataError(f"{broken[0]}; what was found in the {number} frames before is kept")
        return number

    @contextlib.contextmanager
    def _writer(self, name, rate):
        """A function of an annotated frame and its file's name that writes it."""
        if self.frames or not self.draw:
            yield self._save
            return
        with self.output.writing(name) as file:
            writer = VideoWriter(file, rate)
            yield lambda image, _: writer.add(image)
            writer.close()

    def _annotated(self, image, found):
        """An image, which may be shrunk, with what was found in it."""
        names, factor = self.detector.class_names, np.divide(image.shape[:2], found.size)
        boxes = found.boxes * np.tile(factor, 2)
        return draw_detections(image, boxes, found.names, found.scores, class_names=names)

    def _save(self, image, name):
        with self.output.writing(name) as file:
            image.save(file, "JPEG", quality=92)

    def _add(self, one, annotated, about=None):
        self.found.append(one)
        image_id, (height, width) = len(self._images) + 1, map(int, one.prediction.size)
        about = {"file_name": str(one.path), "height": height, "width": width, **(about or {})}
        about.update({"annotated": annotated} if self.draw else {})
        self._images.append({"id": image_id, **about})
        for result in one.prediction.to_coco(image_id):
            self._annotations.append({"id": len(self._annotations) + 1, **result})

    def content(self):
        """COCO's form of all that was found: {"images", "categories", "annotations"}."""
        classes = zip(self.detector.category_ids, self.detector.class_names)
        categories = [{"id": number, "name": name} for number, name in classes]
        return {"images": self._images, "categories": categories, "annotations": self._annotations}


def _until_error(frames, errors):
    """The frames of a video up to the DataError that ends them, which goes to a list."""
    try:
        yield from frames
    except DataError as error:
        errors.append(error)
