"""The images whose errors cost most, with their boxes, for the page."""

import base64
import io

import numpy as np
from PIL import Image, ImageDraw

from lhrcnn.data.decoding import read_image
from lhrcnn.errors import DataError
from lhrcnn.evaluation.analysis import errors

NUM_IMAGES, NUM_ERRORS = 80, 12  # errors per image
LEAST_SHARE = 0.01  # of an image's cost, for an error to be told
LONG_SIDE = 380  # px of the embedded images
CROP_SIDE = 150
MAX_BYTES = 14_000_000  # of all images, in base64


def costliest(matches, mistakes):
    """The images that cost most, as dicts: "image", "path", "cost" (a share of the mean AP50, to
    first order), "errors" [{"kind", "class", "as", "score", "cost", "box"}], the costliest first,
    and "truth" [{"class", "box", "crowd"}]. Boxes are (x, y, width, height), px."""
    found, objects = matches.found, matches.objects
    of_detection, of_object = errors.shares(matches, mistakes)
    total = np.zeros(len(matches.records))
    np.add.at(total, found.images, of_detection)
    np.add.at(total, objects.images, of_object)
    rows = []
    for image in np.argsort(-total, kind="stable")[:NUM_IMAGES]:
        if total[image] <= 0:
            break
        wrong = [
            _error(matches, mistakes, d, of_detection[d])
            for d in np.flatnonzero((found.images == image) & (of_detection > 0))
        ]
        wrong += [
            _missed(matches, g, of_object[g])
            for g in np.flatnonzero((objects.images == image) & mistakes.missed)
        ]
        wrong.sort(key=lambda error: -error["cost"])
        record = matches.records[image]
        told = [error for error in wrong if error["cost"] >= LEAST_SHARE * total[image]]
        row = {
            "image": record.shown_id,
            "path": record.path,
            "size": [record.width, record.height],
            "cost": float(total[image]),
            "errors": told[:NUM_ERRORS],
            "truth": [_truth(matches, g) for g in np.flatnonzero(objects.images == image)],
        }
        rows.append(row)
    return rows


def _error(matches, mistakes, detection, cost):
    found, about = matches.found, mistakes.object[detection]
    name = matches.names[found.classes[detection]]
    return {
        "kind": list(errors.KINDS)[mistakes.kind[detection]],
        "class": matches.names[matches.objects.classes[about]] if about >= 0 else name,
        "as": name,
        "score": float(found.scores[detection]),
        "cost": float(cost),
        "box": found.boxes[detection].round(1).tolist(),
    }


def _missed(matches, place, cost):
    truth = _truth(matches, place)
    del truth["crowd"]
    return {"kind": "Miss", **truth, "as": truth["class"], "score": None, "cost": float(cost)}


def _truth(matches, place):
    objects = matches.objects
    return {
        "class": matches.names[objects.classes[place]],
        "box": objects.boxes[place].round(1).tolist(),
        "crowd": bool(objects.crowd[place]),
    }


def embedded(path, long_side=LONG_SIDE, box=None):
    """A `data:` address of an image file as JPEG, at most `long_side` px; of the surroundings of a
    `box` (x, y, width, height), which is drawn. None where the file cannot be read."""
    try:
        image = Image.fromarray(read_image(path))
    except DataError:
        return None
    if box is not None:
        image = _surroundings(image, box)
    image.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _surroundings(image, box):
    x, y, width, height = box
    margin = max(width, height) * 0.6 + 4
    corners = x - margin, y - margin, x + width + margin, y + height + margin
    left, top = max(0, corners[0]), max(0, corners[1])
    image = image.crop((left, top, min(image.width, corners[2]), min(image.height, corners[3])))
    factor = CROP_SIDE / max(image.size)
    image = image.resize([max(1, round(side * factor)) for side in image.size])
    draw = ImageDraw.Draw(image)
    frame = [(x - int(left)) * factor, (y - int(top)) * factor]
    draw.rectangle([*frame, frame[0] + width * factor, frame[1] + height * factor], outline="red")
    return image
