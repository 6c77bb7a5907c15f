"""Synthetic scene text: words in the system's fonts, straight and of any size and colour, over
given images; truth in ICDAR's layout."""

import math
import pathlib

import matplotlib
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from lhrcnn.data.decoding import read_image
from lhrcnn.data.formats import IMAGE_SUFFIXES
from lhrcnn.data.readers.icdar import write_truth
from lhrcnn.data.readers.lookup import walk
from lhrcnn.data.tools.fonts import letters_of
from lhrcnn.errors import DataError

# As often as in English.
_LETTERS = (
    "eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnssssssshhhhhhrrrrrrddddlllluuucccmmm"
    "wwffggyyppbbvkjxqz"
)
_CHARACTERS = sorted(set(_LETTERS + _LETTERS.upper() + "0123456789&!.-"))
_LONGEST_SIDE = 480  # px of an image, to which larger ones are shrunk
_MAX_LINES, _MAX_WORDS = 6, 3  # of an image, of a line
_HEIGHTS = (10, 64)  # px of a font
_LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue
_MIN_CONTRAST = 60  # difference of a word's luminance from the mean of what lies under it, of 255
_GAP = 4  # px between lines


def make_text(folder, images, seed=0, num_train=7000, num_val=500):
    """Writes train/, train_gt/, val/ and val_gt/ under `folder`, the same for a seed, images and
    fonts everywhere.

    `images` is a folder, searched with all in it; those of val/ show other backgrounds than those
    of train/. Raises DataError when it holds fewer than two images, or `folder` has something in it
    or cannot be written."""
    folder = pathlib.Path(folder)
    backgrounds = sorted(
        path for path in map(pathlib.Path, walk(images)) if path.suffix.lower() in IMAGE_SUFFIXES
    )
    if len(backgrounds) < 2:
        raise DataError(
            f"{images}: {len(backgrounds)} images in this folder, expected two at least to write "
            "text on"
        )
    fonts = usable_fonts()
    order = np.random.default_rng(seed).permutation(len(backgrounds))
    held_out = max(1, len(backgrounds) // 5)
    parts = {"train": (num_train, order[held_out:]), "val": (num_val, order[:held_out])}
    try:
        if folder.exists() and any(folder.iterdir()):
            raise DataError(
                f"{folder}: the folder is not empty; give another one for the text data set"
            )
        for number, (split, (count, chosen)) in enumerate(parts.items()):
            for name in (split, f"{split}_gt"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            for index in range(1, count + 1):
                rng = np.random.default_rng([seed, number, index])
                background = _background(backgrounds[chosen[rng.integers(len(chosen))]])
                image, boxes, words = write_words(rng, background, fonts)
                Image.fromarray(image).save(folder / split / f"img_{index}.jpg", quality=90)
                write_truth(folder / f"{split}_gt" / f"gt_img_{index}.txt", boxes, words)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot write the text data set there: {error.strerror or error}; choose "
            "another folder"
        ) from None


def usable_fonts():
    """Paths of the fonts of the system, or else of matplotlib, that have every character that is
    written, sorted by name. Raises DataError where there is none."""
    own = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")
    for fonts in (font_manager.findSystemFonts(), own):
        usable = [str(path) for path in fonts if set(map(ord, _CHARACTERS)) <= letters_of(path)]
        if usable:
            return sorted(usable, key=lambda path: (pathlib.Path(path).name, path))
    raise DataError("no font of the system or of matplotlib has the letters and digits to write")


def write_words(rng, image, fonts):
    """(uint8 [H, W, 3] image with words, their boxes [n, 4] (ymin, xmin, ymax, xmax) whole px, the
    words), drawn by a Generator."""
    canvas = image.astype(np.float32)
    boxes, words = [], []
    for _ in range(int(rng.integers(1, _MAX_LINES, endpoint=True))):
        font = ImageFont.truetype(
            fonts[rng.integers(len(fonts))], int(math.exp(rng.uniform(*np.log(_HEIGHTS))))
        )
        line = [_word(rng) for _ in range(int(rng.integers(1, _MAX_WORDS, endpoint=True)))]
        masks = [_mask(font, word) for word in line]
        space = int(font.getlength(" ") * rng.uniform(1.0, 1.8)) + 1
        height = max(mask.shape[0] for mask in masks)
        width = sum(mask.shape[1] for mask in masks) + space * (len(line) - 1)
        place = _free_place(rng, height, width, image.shape[:2], boxes)
        if place is None:
            continue
        y, x = place
        colour = _colour(rng, canvas[y : y + height, x : x + width].mean((0, 1)))
        opacity = rng.uniform(0.75, 1)
        for word, mask in zip(line, masks):
            area = canvas[y : y + mask.shape[0], x : x + mask.shape[1]]
            area += (mask * opacity)[..., None] * (colour - area)
            rows, columns = (np.flatnonzero((mask > 0.3).any(axis)) for axis in (1, 0))
            boxes.append((y + rows[0], x + columns[0], y + rows[-1] + 1, x + columns[-1] + 1))
            words.append(word)
            x += mask.shape[1] + space
    canvas += rng.normal(0, rng.uniform(0, 6), canvas.shape)
    return np.clip(canvas, 0, 255).astype(np.uint8), np.array(boxes).reshape(-1, 4), words


def _background(path):
    image = Image.fromarray(read_image(path, accurate_jpeg=True))
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return np.asarray(image)


def _word(rng):
    """Letters or digits in one of the ways that words are written."""
    if rng.random() < 0.15:
        return "".join(rng.choice(list("0123456789"), rng.integers(1, 5)))
    word = "".join(rng.choice(list(_LETTERS), min(12, 1 + rng.poisson(4.5))))
    word = (str.lower, str.upper, str.capitalize)[rng.integers(3)](word)
    return word + str(rng.choice(list("&!.-"))) if rng.random() < 0.05 else word


def _mask(font, word):
    """float32 [h, w], the share of each pixel that a word covers; the baseline of all words of a
    font is in the same row."""
    ascent, descent = font.getmetrics()
    left, _, right, _ = font.getbbox(word)
    image = Image.new("L", (right - min(left, 0) + 2, ascent + descent + 2))
    ImageDraw.Draw(image).text((1 - min(left, 0), 1), word, fill=255, font=font)
    return np.asarray(image, np.float32) / 255


def _free_place(rng, height, width, size, others):
    """(y, x) of a line's corner, clear of the other boxes; None when there is no room."""
    if height > size[0] or width > size[1]:
        return None
    for _ in range(20):
        y = int(rng.integers(size[0] - height, endpoint=True))
        x = int(rng.integers(size[1] - width, endpoint=True))
        if all(
            y - _GAP >= box[2]
            or box[0] >= y + height + _GAP
            or x - _GAP >= box[3]
            or box[1] >= x + width + _GAP
            for box in others
        ):
            return y, x
    return None


def _colour(rng, background):
    """A colour [3] that stands out from another."""
    while True:
        colour = rng.uniform(0, 255, 3)
        if abs((colour - background) @ _LUMINANCE) >= _MIN_CONTRAST:
            return colour
