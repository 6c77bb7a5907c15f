"""Small data sets written by hand, for the tests in this folder."""

import io
import json

import numpy as np
from PIL import Image

from lhrcnn import config


def options(folder, *overrides):
    """The data section of a config for a folder, with overrides like `resize=stretch`."""
    return config.load(
        overrides=[f"data.dir={folder}", *(f"data.{item}" for item in overrides)]
    ).data


def save_image(path, height, width, seed=0):
    """A smooth random image."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR).save(path)


def colours(height=32, width=64):
    """Four flat quarters, so that every flip and turn shows."""
    quarters = np.zeros((height, width, 3), np.uint8)
    quarters[: height // 2, : width // 2], quarters[: height // 2, width // 2 :] = (
        (200, 30, 40),
        (20, 180, 60),
    )
    quarters[height // 2 :, : width // 2], quarters[height // 2 :, width // 2 :] = (
        (30, 50, 220),
        (240, 230, 210),
    )
    return Image.fromarray(quarters)


def encoded(image, kind, **how):
    """The bytes of a file of a PIL image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def coco_content():
    """Two images, three boxes (one a crowd, one without area), categories with gaps in their
    ids."""
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 40, "width": 60},
            {"id": 3, "file_name": "b.png", "height": 50, "width": 30},
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 90,
                "bbox": [10, 5, 20.5, 15],
                "area": 123.5,
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 7,
                "category_id": 2,
                "bbox": [0, 0, 60, 40],
                "area": 2400,
                "iscrowd": 1,
            },
            {"id": 3, "image_id": 3, "category_id": 2, "bbox": [1, 2, 3, 4]},
        ],
        "categories": [
            {"id": 90, "name": "dog"},
            {"id": 2, "name": "cat"},
            {"id": 11, "name": "owl"},
        ],
    }


def write_coco(
    folder, content=None, annotations="annotations/instances_train.json", images="train"
):
    """A COCO folder with the two images of `coco_content`; returns the folder."""
    for number, image in enumerate(coco_content()["images"]):
        save_image(folder / images / image["file_name"], image["height"], image["width"], number)
    (folder / annotations).parent.mkdir(exist_ok=True)
    (folder / annotations).write_text(json.dumps(coco_content() if content is None else content))
    return folder


def write_sized(folder, sizes, boxes=((1, 1, 8, 8),), split="train"):
    """A COCO folder with one image for each (height, width), each with these (x, y, width, height)
    boxes; returns the folder."""
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    for number, (height, width) in enumerate(sizes, start=1):
        save_image(folder / split / f"{number}.png", height, width, number)
        content["images"].append(
            {"id": number, "file_name": f"{number}.png", "height": height, "width": width}
        )
        content["annotations"].extend(
            {"image_id": number, "category_id": 1, "bbox": list(box)} for box in boxes
        )
    (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


_OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def write_voc(folder, images, lists, with_size=True):
    """A year folder: {image name: (height, width, [(class, difficult, xmin, ymin, xmax, ymax),
    ...])}, {list: lines}."""
    for number, (name, (height, width, objects)) in enumerate(images.items()):
        save_image(folder / "JPEGImages" / name, height, width, number)
        size = f"<size><width>{width}</width><height>{height}</height></size>" if with_size else ""
        file = folder / "Annotations" / (name.rpartition(".")[0] + ".xml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(
            f"<annotation>{size}{''.join(_OBJECT.format(*item) for item in objects)}</annotation>"
        )
    for name, lines in lists.items():
        file = folder / "ImageSets" / "Main" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    return folder


def write_det(folder, images, lists, classes=None):
    """The DET layout: {name such as val/ILSVRC2012_val_00000001: (height, width, [(wnid, difficult,
    xmin, ymin, xmax, ymax), ...])}."""
    for number, (name, (height, width, objects)) in enumerate(images.items()):
        save_image(folder / "Data" / "DET" / f"{name}.JPEG", height, width, number)
        file = folder / "Annotations" / "DET" / f"{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        size = f"<size><width>{width}</width><height>{height}</height></size>"
        file.write_text(
            f"<annotation><filename>{name.rpartition('/')[2]}</filename>{size}"
            f"{''.join(_OBJECT.format(*item) for item in objects)}</annotation>"
        )
    for name, lines in lists.items():
        file = folder / "ImageSets" / "DET" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
    if classes:
        (folder / "devkit" / "data").mkdir(parents=True)
        rows = "".join(f"{wnid} {k} {name}\n" for k, (wnid, name) in enumerate(classes, start=1))
        (folder / "devkit" / "data" / "map_det.txt").write_text(rows)
    return folder
