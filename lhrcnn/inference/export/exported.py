"""An exported model as a detector, run by the runtime it was exported for.

So that what is measured is what is shipped: `lhrcnn eval`, `predict` and `benchmark --model`.
"""

import hashlib
import json
import pathlib
import time

import numpy as np

from lhrcnn import config
from lhrcnn.choices import resolve
from lhrcnn.data.readers.parsing import MALFORMED
from lhrcnn.errors import ExportError
from lhrcnn.files import sha256_of
from lhrcnn.inference import batching
from lhrcnn.inference.export import ASSETS, EXPORTS, require_extra
from lhrcnn.inference.export.description import HELD_OUT
from lhrcnn.inference.export.prepare import prepare
from lhrcnn.inference.prediction import named
from lhrcnn.inference.predictor import pixels_of

OUTPUTS = ("boxes", "scores", "classes", "num_detections")


class ExportedDetector:
    """What `predictor.Detector` is, of a folder that `lhrcnn export` wrote, or a file in it."""

    def __init__(self, path, precision="float32"):
        """precision: for runtimes that have a choice, one of Format.precisions.

        Raises ExportError for a folder without a model, a broken file or a precision that is not
        offered, DependencyError for a missing extra."""
        path = pathlib.Path(path)
        self.folder = folder = path if path.is_dir() else path.parent
        places = (folder, folder / ASSETS)
        beside = next((each for each in places if (each / "export.json").is_file()), None)
        if beside is None:
            raise _no_model(path)
        self.facts = _read(beside / "export.json", _facts)
        # It may name the plugin that has put the format into EXPORTS.
        self.config = _read(beside / "config.yaml", lambda _: config.load(beside / "config.yaml"))
        self.format = _format_of(path, folder)
        entry = EXPORTS[self.format]
        require_extra(self.format, entry.runs_with)
        if precision not in entry.precisions:
            raise ExportError(
                f"--precision={precision}: {self.format} runs as it was exported; allowed: "
                f"{', '.join(entry.precisions)}"
            )
        self.class_names = self.facts["class_names"]
        self.category_ids = self.facts["category_ids"]
        self.meta, self.name = {"step": self.facts["step"]}, str(path)
        self.held_out = tuple(self.facts[HELD_OUT])  # as of LoadedRun
        self._preprocess = None
        if "preprocess.json" in entry.files:
            self._preprocess = _read(beside / "preprocess.json", _preparation)
        self._batch_size = self._preprocess["batch_size"] if self._preprocess else 1
        try:
            self._run, self.runtime = resolve(entry.opens)(folder, precision)
        except (ImportError, ExportError):
            raise
        except Exception as error:  # each runtime has errors of its own for a broken file
            raise ExportError(
                f"{path}: cannot be opened as {self.format}: {_first_line(error)}"
            ) from error
        if self.facts.get("precision") == "int8":
            self.runtime += ", products in int8"
        self.seconds = []  # that the model took for each image, without decoding and resizing

    @property
    def fixed_size(self):
        """(height, width) px of the images that the model takes; None: any."""
        return tuple(self._preprocess["size"]) if self._preprocess else None

    def digest(self):
        """Hexadecimal sha256 of the files that were exported."""
        parts = [self.folder / name for name in EXPORTS[self.format].files]
        files = sorted(f for part in parts for f in (part, *part.rglob("*")) if f.is_file())
        return hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest()

    def predict(self, image):
        """The `Prediction` of an image; see `Detector.predict`."""
        return self._detected([self._prepared(image)[1]])[0]

    def predict_each(self, images, batch_size=1, ahead=batching.AHEAD):
        """As of `Detector`; the model itself takes the number of images it was exported for."""
        together = max(batch_size, self._batch_size)
        return batching.in_batches(images, self._prepared, self._detected, together, ahead)

    def _prepared(self, image):
        """(None, (size of an image, what the model takes, its size there))."""
        pixels = pixels_of(image, self.config.data)
        size, given, inner = pixels.shape[:2], pixels[None], pixels.shape[:2]
        if self._preprocess:
            given, inner = prepare(pixels, self._preprocess)
        return None, (size, given, inner)

    def _detected(self, prepared):
        """The `Prediction`s of a list of what `_prepared` makes."""
        predictions = []
        for first in range(0, len(prepared), self._batch_size):
            sizes, given, inner = zip(*prepared[first : first + self._batch_size])
            missing = self._batch_size - len(given)
            images = np.concatenate([*given, *given[-1:] * missing])
            start = time.perf_counter()
            found = self._found(images)
            seconds = time.perf_counter() - start
            self.seconds.extend([seconds / len(given)] * len(given))
            rows = range(len(given))
            predictions += [self._prediction(found, row, sizes[row], inner[row]) for row in rows]
        return predictions

    def _found(self, images):
        """What the runtime gives. Raises ExportError where it cannot, or gives something else."""
        try:
            found = self._run(images)
            found = {name: np.asarray(found[name]) for name in OUTPUTS}
            if found["classes"].max(initial=-1) >= len(self.class_names):
                raise ValueError(f"class {found['classes'].max()} of {len(self.class_names)}")
            return found
        except Exception as error:
            raise ExportError(
                f"{self.name}: is not the model that export.json beside it describes, or cannot "
                f"run here: {_first_line(error)}"
            ) from error

    def _prediction(self, found, row, size, inner):
        number = int(found["num_detections"][row])
        boxes = found["boxes"][row, :number] * np.tile(np.divide(size, inner), 2)
        boxes = np.clip(boxes, 0, np.tile(size, 2)).astype(np.float32)
        # of what lies beside the image in an input of fixed size nothing is left
        seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        scores, classes = (found[name][row, :number][seen] for name in ("scores", "classes"))
        return named(self, boxes[seen], scores, classes, size)


def _format_of(path, folder):
    """The name in EXPORTS of what a folder holds; `path` is it or a file of the model in it."""
    for name, entry in EXPORTS.items():
        is_it = path == folder or path.is_file() and path.name in entry.files
        if entry.opens and is_it and (folder / entry.files[0]).is_file():
            return name
    raise _no_model(path)


def _no_model(path):
    known = ", ".join(entry.files[0] for entry in EXPORTS.values() if entry.opens)
    return ExportError(
        f"--model {path}: no exported model there; looked for {known}, with export.json"
    )


def _facts(text):
    """The dict of export.json, with the parts that are needed here."""
    facts = json.loads(text)
    names, ids = list(map(str, facts["class_names"])), list(map(int, facts["category_ids"]))
    if len(names) != len(ids):
        raise ValueError(f"{len(names)} class_names and {len(ids)} category_ids")
    drawn = list(map(str, facts.get(HELD_OUT, [])))
    known = {"class_names": names, "category_ids": ids, "step": facts["step"], HELD_OUT: drawn}
    return {**facts, **known}


def _preparation(text):
    """The dict of preprocess.json, for `prepare`."""
    found = {"batch_size": 1, **json.loads(text)}  # the first versions wrote no batch_size
    (height, width), (red, green, blue) = found["size"], found["fill"]
    sides, colours = [found["batch_size"], height, width], [red, green, blue]
    if (
        not all(type(number) is int for number in sides + colours)
        or not 1 <= min(sides) <= max(sides) <= 2**15
        or not 0 <= min(colours) <= max(colours) <= 255
        or found["resize"] not in ("fit", "stretch")
        or type(found["antialias"]) is not bool
    ):
        raise ValueError(f"{found} describes no images")
    return found


def _read(path, read):
    """What a function makes of the text of a file. Raises ExportError naming the file."""
    try:
        return read(path.read_text(encoding="utf-8"))
    except (OSError, *MALFORMED) as error:
        raise ExportError(
            f"{path}: cannot be read ({' '.join(str(error).split())}); `lhrcnn export` writes it "
            "beside the model"
        ) from None


def _first_line(error):
    """The first line of a runtime's error that says more than where in its source it arose."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    telling = [line.strip() for line in lines if not line.startswith("Exception from")]
    return (telling or lines or [type(error).__name__])[0]
