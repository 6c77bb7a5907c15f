"""Opening large data sets, and checking one: seconds, and memory that is added, by turns.

    python benchmarks/data_sets.py [--folder FOLDER] [--other CHECKOUT] [--rounds 3] [--share 1.0]

In FOLDER a COCO set of train2017's size is made (118,287 images, 1,010,920 boxes with polygons, 0.5
GB), a YOLO set of 100,000 images and a VOC set of 10,000, all with links to a few images; they are
removed in the end. Each case runs in a process of its own; --other names a second checkout of
lhrcnn, to compare with.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import measure
import numpy as np

COCO, YOLO, CHECKED = (118_287, 1_010_920), 100_000, 10_000  # images, boxes
SIZE = (480, 640)
START = """
import json, os, time
from lhrcnn import config
def data(folder, *more):
    return config.load(overrides=[f"data.dir={folder}", *more]).data
from lhrcnn.data import datasets
from lhrcnn.data.tools import check
def peak():  # of this process alone: ru_maxrss begins with that of the one it was forked from
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
before, begun = peak(), time.perf_counter()
"""
END = "\nprint(json.dumps([time.perf_counter() - begun, peak() - before]))"
CASES = {
    "COCO, lhrcnn": 'd = datasets.open_dataset(data("coco", "data.format=coco"), "train")',
    "COCO, to the first batch": """
from lhrcnn.data.batches import pipeline, plan
begun = time.perf_counter()
options = data("coco", "data.format=coco")
d = datasets.open_dataset(options, "train", True)
next(iter(pipeline.training_batches(plan.BatchPlan(d, options, 8, 0), options, 0, 1)))""",
    "COCO, pycocotools": """
from pycocotools.coco import COCO
d = COCO("coco/annotations/instances_train.json")""",
    "COCO, hotcoco": """
import hotcoco
d = hotcoco.COCO("coco/annotations/instances_train.json")""",
    "YOLO, first time": 'd = datasets.open_dataset(data("yolo", "data.format=yolo"), "train")',
    "YOLO, again": 'd = datasets.open_dataset(data("yolo", "data.format=yolo"), "train")',
    "data check": 'print(len(check.find_problems(data("voc", "data.format=voc"), ["train"])))',
}
COMPARED = ("COCO, lhrcnn", "data check")


def case(code, checkout, folder):
    """(seconds, MB) of code in a new process."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "LHRCNN_CACHE": str(folder / "kept")}
    run = [sys.executable, "-c", START + code + END]
    output = subprocess.run(
        run, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(output.splitlines()[-1])


def make_images(folder, count):
    """`count` links to a few images; a file system allows 65,000 links to a file."""
    from PIL import Image

    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:012d}.jpg"
        if number % 20_000 == 0:
            coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize(SIZE[::-1]).save(path)
            first = path
        else:
            os.link(first, path)
    return sorted(folder.iterdir())


def random_boxes(random, count):
    """[count, 4] x, y, width, height in px."""
    sizes = np.exp(random.uniform(np.log(8), np.log(300), (count, 2)))
    corners = random.uniform(0, 1, (count, 2)) * (np.array(SIZE[::-1]) - sizes)
    return np.concatenate([corners, sizes], axis=1).round(2)


def make_coco(folder, images, boxes):
    """A COCO set of so many images and boxes."""
    random = np.random.default_rng(1)
    paths = make_images(folder / "train", images)
    sizes = {"height": SIZE[0], "width": SIZE[1], "license": 3, "date_captured": "2013-11-14"}
    entries = [{"id": i, "file_name": path.name, **sizes} for i, path in enumerate(paths)]
    kinds = [{"id": k, "name": f"class_{k}", "supercategory": "thing"} for k in range(1, 81)]
    (folder / "annotations").mkdir()
    with open(folder / "annotations" / "instances_train.json", "w", encoding="utf-8") as file:
        head = json.dumps({"images": entries, "categories": kinds})[:-1]
        file.write(head + ', "annotations": [')
        owners = random.integers(0, images, boxes)
        for i, (owner, box) in enumerate(
            zip(owners.tolist(), random_boxes(random, boxes).tolist())
        ):
            polygon = [
                round(box[j % 2] + box[2 + j % 2] * (j * 37 % 100) / 100, 2) for j in range(40)
            ]
            annotation = {
                "segmentation": [polygon],
                "area": round(box[2] * box[3] * 0.6, 4),
                "iscrowd": 0,
                "image_id": owner,
                "bbox": box,
                "category_id": i % 80 + 1,
                "id": i + 1,
            }
            file.write((", " if i else "") + json.dumps(annotation))
        file.write("]}")


def make_yolo(folder, images):
    """A YOLO set with 5 boxes an image."""
    random = np.random.default_rng(2)
    paths = make_images(folder / "images" / "train", images)
    (folder / "labels" / "train").mkdir(parents=True)
    (folder / "data.yaml").write_text("train: images/train\nnc: 80\n", encoding="utf-8")
    for path, shares in zip(paths, random.uniform(0.2, 0.3, (images, 5, 4)).round(6).tolist()):
        lines = [f"{k} {' '.join(map(str, row))}\n" for k, row in enumerate(shares)]
        name = f"labels/train/{path.stem}.txt"
        (folder / name).write_text("".join(lines), encoding="utf-8")


def make_voc(folder, images):
    """A VOC set with 2 boxes an image."""
    paths = make_images(folder / "JPEGImages", images)
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    names = "".join(f"{path.stem}\n" for path in paths)
    (folder / "ImageSets" / "Main" / "train.txt").write_text(names, encoding="utf-8")
    box = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
    size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height><depth>3</depth></size>"
    for number, path in enumerate(paths):
        objects = "".join(
            f"<object><name>{name}</name>{box.format(number % 99 + 1, 9 + k, 300, 400)}</object>"
            for k, name in enumerate(("ant", "bee"))
        )
        (folder / "Annotations" / f"{path.stem}.xml").write_text(
            f"<annotation>{size}{objects}</annotation>", encoding="utf-8"
        )


def main():
    arguments = measure.parse(__doc__, rounds=3, folder="", other="", share=1.0)
    report = measure.Report("Opening and checking data sets", arguments)
    with tempfile.TemporaryDirectory(dir=arguments.folder or None) as name:
        folder, share = pathlib.Path(name), arguments.share
        make_coco(folder / "coco", *(int(share * number) for number in COCO))
        make_yolo(folder / "yolo", int(share * YOLO))
        make_voc(folder / "voc", int(share * CHECKED))
        checkouts = {"": pathlib.Path(__file__).resolve().parents[1]}
        if arguments.other:
            checkouts[", other"] = pathlib.Path(arguments.other).resolve()
        found = {}
        for _ in range(arguments.rounds):
            for kind, code in CASES.items():
                for suffix, checkout in checkouts.items():
                    if suffix and kind not in COMPARED:
                        continue
                    if kind == "YOLO, first time":
                        subprocess.run(["rm", "-rf", str(folder / "kept")], check=True)
                    label = kind + suffix
                    found.setdefault(label, []).append(case(code, checkout, folder))
    rows = [
        (label, *(measure.median([run[i] for run in runs]) for i in (0, 1)))
        for label, runs in found.items()
    ]
    report.table(("", "s", "MB added"), rows)
    seconds = {label: [run[0] for run in runs] for label, runs in found.items()}
    value = measure.ratio(seconds, "COCO, lhrcnn", "COCO, pycocotools")
    report.check("COCO, time over pycocotools'", value, 1.1)
    if arguments.other:
        for label, limit in (("COCO, lhrcnn", 0.35), ("data check", 0.5)):
            value = measure.ratio(seconds, label, f"{label}, other")
            report.check(f"{label}, time over the other's", value, limit)
        memory = {label: [run[1] for run in runs] for label, runs in found.items()}
        value = measure.ratio(memory, "COCO, lhrcnn", "COCO, lhrcnn, other")
        report.check("COCO, memory over the other's", value, 0.4)
    report.finish()


if __name__ == "__main__":
    main()
