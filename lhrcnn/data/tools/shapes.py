"""The embedded data set: circles, squares, triangles and stars on textured backgrounds, drawn from
a seed as a COCO folder.

Small enough to learn in minutes on a CPU, yet with what makes detection hard: sizes from 16 px to
most of the image, occlusion, images of many aspect ratios, and textures everywhere. A shape's hue
goes with its class, backgrounds have any.
"""

import colorsys
import json
import math
import pathlib

import numpy as np
from PIL import Image

from lhrcnn.errors import DataError
from lhrcnn.files import Output

CLASSES = ("circle", "square", "triangle", "star")
_HUES = (0.0, 0.3, 0.6, 0.14)  # red, green, blue, yellow; the backgrounds have any
_HUE_SPREAD = 0.06
_IMAGE_SIDES = (128, 192)  # px, both included
_SMALLEST_PX, _LARGEST_SHARE = 16, 0.85
_SIZE_EXPONENT = 0.3  # 1: log-uniform; below: fewer of the smallest, which find room the most often
_LARGEST_TURN = math.pi / 9  # either way from upright
_EMPTY_SHARE = 0.03
_MAX_OBJECTS = 5
_MIN_GAP = 0.85  # between centres, in halves of the larger object's side
_MAX_HIDDEN = 0.7  # objects hidden more than this are not annotated
# Mean absolute difference of an object's colour from what lies under it, grey levels.
_MIN_CONTRAST = 60


def make_shapes(folder, seed=0, num_train=400, num_val=100):
    """Writes train/, val/ and annotations/instances_{train,val}.json, the same for a seed
    everywhere; takes seconds.

    The annotations are written last, so a folder that has them is complete. Raises DataError when
    the folder cannot be written or holds a file that is not of such a set."""
    try:
        output, contents = Output(folder, "data.dir"), {}
        others = output.others()
        if others:
            raise DataError(
                f"{folder}: holds {others[0]}{' and more' if len(others) > 1 else ''}, so the "
                "shapes data set is not written there; set data.format to what the folder is "
                "(auto finds it out), or data.dir to an empty folder"
            )
        for number, (split, count) in enumerate((("train", num_train), ("val", num_val))):
            contents[split] = _write_split(output, split, [seed, number], count)
        for split, content in contents.items():
            output.write(f"annotations/instances_{split}.json", json.dumps(content))
    except OSError as error:
        raise DataError(
            f"{folder}: cannot write the shapes data set there: "
            f"{error.strerror or error}; choose another data.dir"
        ) from None


def is_complete(folder):
    """Whether `make_shapes` ran to its end in this folder."""
    return all(
        pathlib.Path(folder, "annotations", f"instances_{split}.json").is_file()
        for split in ("train", "val")
    )


def is_drawn(folder):
    """Whether a folder holds what `make_shapes` draws; other COCO sets have other classes."""
    if not is_complete(folder):
        return False
    try:
        text = pathlib.Path(folder, "annotations", "instances_val.json").read_text(encoding="utf-8")
        return [category["name"] for category in json.loads(text)["categories"]] == list(CLASSES)
    except (ValueError, KeyError, TypeError):
        return False


def draw_image(rng):
    """(uint8 [H, W, 3] image, list of (class index, (ymin, xmin, ymax, xmax) px)) drawn with a
    NumPy Generator."""
    height, width = rng.integers(*_IMAGE_SIDES, 2, endpoint=True).tolist()
    canvas = _texture(rng, height, width, *rng.uniform(0, 255, (2, 3)))
    owner = np.full((height, width), -1)  # the object seen at each pixel
    objects, pixels = [], []
    wanted = 0 if rng.random() < _EMPTY_SHARE else int(rng.integers(1, _MAX_OBJECTS, endpoint=True))
    for _ in range(wanted):
        shape = int(rng.integers(len(CLASSES)))
        box = _place(rng, height, width, [box for _, box in objects])
        if box is not None:
            box, mask = _paint(rng, canvas, shape, box)
            owner[mask] = len(objects)
            objects.append((shape, box))
            pixels.append(np.count_nonzero(mask))
    seen = [np.count_nonzero(owner == i) / pixels[i] for i in range(len(objects))]
    canvas += rng.normal(0, 4, canvas.shape)
    return np.clip(canvas, 0, 255).astype(np.uint8), [
        item for item, share in zip(objects, seen) if share >= 1 - _MAX_HIDDEN
    ]


def _write_split(output, split, seed, count):
    """Draws the images of a split; returns its COCO annotations."""
    images, annotations = [], []
    for number in range(1, count + 1):
        image, objects = draw_image(np.random.default_rng([*seed, number]))
        name = f"{number:06d}.jpg"
        with output.writing(f"{split}/{name}") as file:
            Image.fromarray(image).save(file, "JPEG", quality=92)
        images.append(
            {"id": number, "file_name": name, "height": image.shape[0], "width": image.shape[1]}
        )
        for shape, (ymin, xmin, ymax, xmax) in objects:
            box = [round(float(value), 2) for value in (xmin, ymin, xmax - xmin, ymax - ymin)]
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": shape + 1}
            area = round(box[2] * box[3], 2)
            annotations.append({**ids, "bbox": box, "area": area, "iscrowd": 0})
    categories = [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)]
    return {
        "info": {"description": "lhrcnn shapes", "seed": seed[0]},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def _place(rng, height, width, others):
    """(centre y, centre x, half side) of an object far enough from the others' centres; None when
    there is no room."""
    for _ in range(20):
        low, high = math.log(_SMALLEST_PX), math.log(_LARGEST_SHARE * min(height, width))
        side = math.exp(low + (high - low) * rng.random() ** _SIZE_EXPONENT)
        radius = side / 2
        y, x = rng.uniform(radius, height - radius), rng.uniform(radius, width - radius)
        gaps = [
            max(abs(y - (box[0] + box[2]) / 2), abs(x - (box[1] + box[3]) / 2)) for box in others
        ]
        if all(
            gap > _MIN_GAP * max(radius, (box[2] - box[0]) / 2) for gap, box in zip(gaps, others)
        ):
            return y, x, radius
    return None


def _paint(rng, canvas, shape, place):
    """Paints an object on the canvas [H, W, 3]; returns its tight box and the mask [H, W] of its
    pixels."""
    y, x, radius = place
    outline = _outline(shape, rng.uniform(-_LARGEST_TURN, _LARGEST_TURN))
    low, high = outline.min(axis=0), outline.max(axis=0)
    # The longer side of its box is 2 radius.
    outline = (outline - (low + high) / 2) * (2 * radius / (high - low).max()) + (y, x)
    ymin, xmin, ymax, xmax = box = (*outline.min(axis=0), *outline.max(axis=0))
    rows, columns = slice(int(ymin), math.ceil(ymax)), slice(int(xmin), math.ceil(xmax))
    size = rows.stop - rows.start, columns.stop - columns.start
    cover = _coverage(outline - (rows.start, columns.start), *size)
    under = canvas[rows, columns]
    background = np.average(under.reshape(-1, 3), axis=0, weights=cover.reshape(-1))
    colour = _colour(rng, shape)
    while np.abs(colour - background).mean() < _MIN_CONTRAST:
        colour = _colour(rng, shape)
    texture = _texture(rng, *cover.shape, colour, np.clip(colour + rng.uniform(-40, 40, 3), 0, 255))
    canvas[rows, columns] = under + cover[..., np.newaxis] * (texture - under)
    mask = np.zeros(canvas.shape[:2], bool)
    mask[rows, columns] = cover > 0.5
    return box, mask


def _colour(rng, shape):
    """A colour [3] around the hue of a shape, of any shade from pale to dark."""
    hue = (_HUES[shape] + rng.uniform(-_HUE_SPREAD, _HUE_SPREAD)) % 1
    return 255 * np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.4, 1), rng.uniform(0.4, 1)))


def _outline(shape, angle):
    """Corners [n, 2] (y, x) of a shape around 0, turned by an angle from upright."""
    corners = {"circle": 64, "square": 4, "triangle": 3, "star": 10}[CLASSES[shape]]
    first = -math.pi / 4 if corners == 4 else -math.pi / 2  # a square lies on a side
    angles = first + angle + np.arange(corners) * 2 * math.pi / corners
    radii = np.ones(corners)
    if CLASSES[shape] == "star":
        radii[1::2] = 0.42
    return np.stack([radii * np.sin(angles), radii * np.cos(angles)], axis=1)


def _coverage(outline, height, width):
    """Share [height, width] of each pixel inside the polygon [n, 2] (y, x): even-odd rule at
    3 x 3 points."""
    samples = 3
    y = (np.arange(height * samples) + 0.5)[:, np.newaxis] / samples
    x = (np.arange(width * samples) + 0.5)[np.newaxis] / samples
    inside = np.zeros((height * samples, width * samples), bool)
    for (y0, x0), (y1, x1) in zip(outline, np.roll(outline, -1, axis=0)):
        if y0 != y1:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside.reshape(height, samples, width, samples).mean(axis=(1, 3))


def _texture(rng, height, width, first, second):
    """float64 [height, width, 3]: a pattern between two colours: gradient, stripes, checks,
    blotches or noise."""
    y, x = np.mgrid[:height, :width]
    angle, period = rng.uniform(0, 2 * math.pi), rng.uniform(6, 40)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    kind = rng.integers(5)
    if kind == 0:
        mix = (along - along.min()) / max(np.ptp(along), 1)
    elif kind == 1:
        mix = 0.5 + 0.5 * np.sin(2 * math.pi * along / period)
    elif kind == 2:
        mix = (np.floor(along / period) + np.floor(across / period)) % 2
    elif kind == 3:
        coarse = rng.uniform(0, 1, (height // 16 + 2, width // 16 + 2)).astype(np.float32)
        fine = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        mix = np.asarray(fine, np.float64)
    else:
        mix = rng.uniform(0, 1, (height, width))
    return first + mix[..., np.newaxis] * (second - first)
