"""Drawing boxes on images, and images beside each other."""

import functools
import zlib

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from lhrcnn.data.decoding import as_rgb
from lhrcnn.errors import UsageError

_PALETTE = (
    "#e6194b #3cb44b #4363d8 #f58231 #911eb4 #42d4f4 #f032e6 #bfef45 #ffe119 #469990 #b07a3a "
    "#dcbeff #c83737 #aaffc3 #a0a000 #ffd8b1 #7a7af0 #fabed4"
).split()
_BACKGROUND, _GAP = "#202020", 6  # of a sheet; px


def draw_detections(image, boxes, labels, scores=None, class_names=None, min_side=360):
    """The image with its boxes and their labels drawn on it, as a PIL image.

    image: PIL or uint8 [H, W, 3] or [H, W]; boxes [D, 4] (ymin, xmin, ymax, xmax) px, which may
    stick out; labels: D class names; scores [D] in 0...1 or None. Colours follow the place in
    `class_names`, or the name itself without them.
    An image whose short side is below `min_side` px is enlarged, so that labels stay legible."""
    canvas, factor = _enlarged(_as_rgb(image), min_side)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4) * factor
    if len(labels) != len(boxes) or (scores is not None and len(scores) != len(boxes)):
        number = "no" if scores is None else len(scores)
        raise UsageError(
            f"draw_detections: found {len(boxes)} boxes, {len(labels)} labels and {number} scores; "
            "give one each per box"
        )
    line, draw = max(2, round(min(canvas.size) / 180)), ImageDraw.Draw(canvas)
    order = np.arange(len(boxes))
    if scores is not None:
        order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    drawn = [k for k in order if _visible(boxes[k], canvas)]
    colors = [_color(label, class_names) for label in labels]
    for k in reversed(drawn):
        draw.rectangle(_corners(boxes[k], canvas, line), outline=colors[k], width=line)
    texts = list(map(_one_line, labels))
    if scores is not None:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, scores)]
    _draw_labels(canvas, boxes, texts, colors, drawn, line)
    return canvas


def _draw_labels(canvas, boxes, texts, colors, order, line):
    """Labels beside the boxes of `order`, the first one's on top, none over an earlier one."""
    size, draw, places = max(11, round(min(canvas.size) / 32)), ImageDraw.Draw(canvas), []
    fonts = {k: _font(size, texts[k]) for k in order}
    for k in order:
        places.append(_label_place(draw, texts[k], fonts[k], boxes[k], canvas, line, places))
    for k, place in reversed(list(zip(order, places))):
        draw.rectangle(place, fill=colors[k])
        middle = (place[0] + line, (place[1] + place[3]) / 2)
        draw.text(middle, texts[k], fill=_text_color(colors[k]), font=fonts[k], anchor="lm")


def contact_sheet(images, columns, captions=None, tile=360):
    """The images (PIL or uint8 arrays) as one PIL image of `columns` columns, each fitted into
    `tile` x `tile` px.

    `captions`, one per image where given, stand below. Raises UsageError without images."""
    if not images:
        raise UsageError("contact_sheet: found no images; give at least one")
    columns, below = min(columns, len(images)), 22 if captions else 0
    tiles = [_fitted(_as_rgb(image), tile) for image in images]
    rows = [
        range(start, min(start + columns, len(tiles))) for start in range(0, len(tiles), columns)
    ]
    heights = [max(tiles[k].height for k in row) for row in rows]
    size = columns * (tile + _GAP) + _GAP, sum(heights) + len(rows) * (below + _GAP) + _GAP
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw, top = ImageDraw.Draw(sheet), _GAP
    for row, height in zip(rows, heights):
        for column, k in enumerate(row):
            left = _GAP + column * (tile + _GAP)
            own = tiles[k]
            sheet.paste(own, (left + (tile - own.width) // 2, top + (height - own.height) // 2))
            if captions:
                text = _one_line(captions[k])
                font = _font(15, text)
                text = _shortened(draw, text, font, tile)
                place = left + tile // 2, top + height + below // 2
                draw.text(place, text, fill="#e0e0e0", font=font, anchor="mm")
        top += height + below + _GAP
    return sheet


def _fitted(image, tile):
    factor = tile / max(image.size)
    return image.resize(
        [max(1, round(side * factor)) for side in image.size], Image.Resampling.LANCZOS
    )


def _as_rgb(image):
    """A copy of an image as a PIL RGB image, as `Detector.predict` looks at it."""
    if isinstance(image, Image.Image):
        image = as_rgb(image)
    return Image.fromarray(np.asarray(image, np.uint8)).convert("RGB")


def _enlarged(image, min_side):
    # A strip of a few px would become huge.
    most = max(1.0, 4 * min_side / max(image.size))
    factor = min(max(1.0, min_side / min(image.size)), most)
    if factor == 1:
        return image, factor
    size = [round(side * factor) for side in image.size]
    return image.resize(size, Image.Resampling.BICUBIC), factor


def _visible(box, image):
    start, stop = box[:2], box[2:]
    if not np.isfinite(box).all():
        return False
    return bool(((stop > start) & (stop > 0) & (start < [image.height, image.width])).all())


def _corners(box, image, line):
    """[left, top, right, bottom] px, inclusive; sides outside the image lie just out of sight."""
    ymin, xmin, ymax, xmax = np.round(
        np.clip(box, -line - 1, [image.height + line + 1, image.width + line + 1] * 2)
    ).tolist()
    return [xmin, ymin, max(xmin, xmax - 1), max(ymin, ymax - 1)]


def _label_place(draw, text, font, box, image, line, taken):
    """[left, top, right, bottom] of a label: above its box, else inside, below or beside it, where
    no earlier label stands."""
    ascent, descent = font.getmetrics()
    width, height = round(draw.textlength(text, font=font)) + 2 * line, ascent + descent
    ymin, xmin, ymax, xmax = np.clip(box, 0, [image.height, image.width] * 2)
    choices = [
        (xmin, ymin - height),
        (xmin, ymin),
        (xmin, ymax),
        (xmin, ymax - height),
        (xmax - width, ymin - height),
        (xmax - width, ymax),
        (xmax, ymin),
    ]
    places = []
    for left, top in choices:
        left = round(min(max(left, 0), max(0, image.width - width)))
        if 0 <= top <= image.height - height:
            places.append([left, round(top), left + width - 1, round(top) + height - 1])
    top = round(min(max(ymin, 0), max(0, image.height - height)))
    places.append([left, top, left + width - 1, top + height - 1])
    return next(
        (place for place in places if not any(_overlap(place, other) for other in taken)), places[0]
    )


def _overlap(first, second):
    return (
        first[0] <= second[2]
        and second[0] <= first[2]
        and first[1] <= second[3]
        and second[1] <= first[3]
    )


def _color(label, class_names):
    known = class_names is not None and label in class_names
    index = list(class_names).index(label) if known else zlib.crc32(str(label).encode())
    return _PALETTE[index % len(_PALETTE)]


def _text_color(color):
    red, green, blue = ImageColor.getrgb(color)
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def _shortened(draw, text, font, width):
    while len(text) > 4 and draw.textlength(text, font=font) > width:
        text = "..." + text[4:]
    return text


def _one_line(text):
    return " ".join(str(text).split())


def _font(size, text):
    """A font of a size in px with the letters of a text."""
    from lhrcnn.data.tools.fonts import font_for  # matplotlib, which takes a while

    return _opened(font_for(text), size)


_opened = functools.cache(ImageFont.truetype)
