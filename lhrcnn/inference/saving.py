"""Detections in the files of other tools: lines and tables, and what annotation tools open, beside
copies of the images."""

import csv
import io
import typing

import numpy as np

from lhrcnn.choices import resolve
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.data.tools import convert
from lhrcnn.errors import UsageError
from lhrcnn.files import Output
from lhrcnn.inference import SAVES
from lhrcnn.inference.prediction import Prediction

_COLUMNS = "filename frame width height class score xmin ymin xmax ymax".split()


class Found(typing.NamedTuple):
    """What was found in an image, or in a frame of a video."""

    path: typing.Any  # of the file
    name: str  # of its own, without a suffix: for files of it alone
    prediction: Prediction
    frame: typing.Optional[int] = None  # counted from 0; None: an image


def save_txt(found, classes, output):
    """`txt/NAME.txt` for each image: `class score xmin ymin xmax ymax` of each detection, px.

    Blanks in class names become `_`."""
    del classes
    for one in found:
        rows = zip(one.prediction.names, one.prediction.scores, one.prediction.boxes.tolist())
        lines = [
            f"{'_'.join(name.split())} {score:.6g} {xmin:.6g} {ymin:.6g} {xmax:.6g} {ymax:.6g}\n"
            for name, score, (ymin, xmin, ymax, xmax) in rows
        ]
        output.write(f"txt/{one.name}.txt", "".join(lines))
    return output.folder / "txt"


def save_csv(found, classes, output):
    """`detections.csv`, a row per detection; `frame` is empty for images."""
    del classes
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for one in found:
        height, width = one.prediction.size
        frame = "" if one.frame is None else one.frame
        rows = zip(one.prediction.names, one.prediction.scores, one.prediction.boxes.tolist())
        for name, score, (ymin, xmin, ymax, xmax) in rows:
            numbers = [f"{value:.6g}" for value in (score, xmin, ymin, xmax, ymax)]
            table.writerow([one.path, frame, width, height, name, *numbers])
    return output.write("detections.csv", text.getvalue())


def annotations_in(name):
    """An entry of SAVES that writes a data set in a format of `data convert`, into a folder of its
    name."""

    def save(found, classes, output):
        records = [_record(number, one) for number, one in enumerate(found, start=1)]
        dataset = Dataset("predictions", records, *classes)
        paths = [one.path for one in found]
        inside = Output(output.folder / name, overwrite=output.overwrite, inputs=paths)
        convert.convert({"predictions": dataset}, name, inside)
        return inside.folder

    save.images_only = True
    return save


def _record(number, one):
    boxes = one.prediction.boxes
    height, width = one.prediction.size
    return Record(
        image_id=number,
        path=str(one.path),
        height=height,
        width=width,
        boxes=boxes,
        classes=one.prediction.classes,
        ignore=np.zeros(len(boxes), bool),
        areas=np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        scores=one.prediction.scores,
    )


save_coco, save_voc = annotations_in("coco"), annotations_in("voc")
save_yolo, save_labelme = annotations_in("yolo"), annotations_in("labelme")


def check_names(names, videos=False):
    """The names of SAVES in a list of texts, where commas separate more. Raises UsageError.

    videos: some of the detections are to be in frames."""
    names = [name.strip() for text in names for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SAVES:
            raise UsageError(f"--save {name}: found '{name}'; allowed: {', '.join(SAVES)}")
        if videos and getattr(resolve(SAVES[name]), "images_only", False):
            raise UsageError(
                f"--save {name}: it holds annotations of image files, and a video has none; "
                "txt and csv take frames"
            )
    return list(dict.fromkeys(names))
