"""Readers of files under atheris: damaged input raises lhrcnn's own errors, in bounded memory.

  pip install atheris
  python benchmarks/fuzz_readers.py --seconds 600          # each reader, one after the other
  python benchmarks/fuzz_readers.py npz voc --seconds 60

A reader gets files that a coverage-guided fuzzer changes. It may return, raise an LhrcnnError, or
take up to 10 times the file and MEMORY more; all else is a fault, and the input is kept.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import tracemalloc

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
MEMORY = 8 << 20  # bytes: what Python and the readers take for a small file
TORCH = ROOT / "tests" / "weights" / "files"
BOX = "<name>a</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
VOC = f"<annotation><filename>a.png</filename><object>{BOX}</object></annotation>"
CVAT = (
    '<annotations><image id="0" name="a.png" width="16" height="16"><box label="a" occluded="0" '
    'xtl="1" ytl="2" xbr="9" ybr="9" rotation="30"/><polygon label="b" points="1,1;5,5;2,7"/>'
    "</image></annotations>"
)
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 16, "height": 16}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 5, 6], "iscrowd": 0}],
    "categories": [{"id": 1, "name": "a"}],
}
RECT = {"name": "rect", "x": 1, "y": 2, "width": 5, "height": 6}
VIA = {
    "a.png1": {
        "filename": "a.png",
        "regions": [{"shape_attributes": RECT, "region_attributes": {"label": "a"}}],
    }
}
LABELME = {
    "imagePath": "a.png",
    "imageHeight": 16,
    "imageWidth": 16,
    "shapes": [{"label": "a", "shape_type": "rectangle", "points": [[1, 2], [9, 9]]}],
}
VALUE = {"x": 10, "y": 10, "width": 50, "height": 50, "rotation": 20, "rectanglelabels": ["a"]}
RESULT = {"type": "rectanglelabels", "original_width": 16, "original_height": 16, "value": VALUE}
STUDIO = [{"data": {"image": "a.png"}, "annotations": [{"result": [RESULT]}]}]
CREATE = {"label": "a", "coordinates": {"x": 5, "y": 5, "width": 4, "height": 4}}
CREATEML = [{"image": "a.png", "annotations": [CREATE]}]
CROWD = {"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, 5, 6], "extra": {"ignore": 0}}]}
# data.format: (the file that is changed, what it holds at first)
ANNOTATIONS = {
    "coco": ("annotations/instances_train.json", COCO),
    "voc": ("Annotations/a.xml", VOC),
    "voc_folder": ("a.xml", VOC),
    "cvat": ("annotations.xml", CVAT),
    "labelme": ("a.json", LABELME),
    "via": ("via.json", VIA),
    "label_studio": ("export.json", STUDIO),
    "createml": ("_annotations.createml.json", CREATEML),
    "crowdhuman": ("annotation_train.odgt", CROWD),
    "csv": (
        "boxes.csv",
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,16,16,a,1,2,9,9\n",
    ),
    "kitti": ("label_2/a.txt", "Car 0.0 0 -1.5 1 2 9 9 1 1 1 0 0 0 0\n"),
    "yolo": ("labels/train/a.txt", "0 0.5 0.5 0.2 0.2\n"),
    "icdar": ("truth/gt_a.txt", "1,2,9,2,9,9,1,9,word\n"),
    "wider_face": ("wider_face_train_bbx_gt.txt", "a.png\n1\n1 2 5 6 0 0 0 0 0 0\n"),
}
SPLITS = {"icdar": "images:truth", **dict.fromkeys(("coco", "voc", "yolo"), "train")}  # else "*"
WEIGHTS = {"npz": ".npz", "torch_zip": ".pth", "torch_older": ".pth", "pkl": ".pkl"}
WEIGHTS |= {"safetensors": ".safetensors", "tf_index": ".ckpt.index", "tf_data": ".ckpt"}
OTHERS = ("checkpoint", "config", "classes", "index", "header", "image", "served")


def seeds(target):
    """Files to begin with, bytes."""
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    if target in ANNOTATIONS:
        content = ANNOTATIONS[target][1]
        return texts(content if isinstance(content, str) else json.dumps(content))
    if target in ("npz", "checkpoint"):
        meta, packed = np.array(json.dumps({"step": 1, "dtypes": {}, "format": 2})), []
        for save in (np.savez, np.savez_compressed):
            save(file := io.BytesIO(), **{"model/a": array, "meta": meta})
            packed.append(file.getvalue())
        return packed
    if target == "torch_zip":
        return [(TORCH / "torch_2.14_zip.pth").read_bytes()]
    if target == "torch_older":
        return [(TORCH / "torch_2.14_older.pth").read_bytes()]
    if target == "pkl":
        return [pickle.dumps({"model": {"a": array}}, 2), (TORCH / "detectron2.pkl").read_bytes()]
    if target == "safetensors":
        header = json.dumps({"a": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}})
        return [len(header).to_bytes(8, "little") + header.encode() + array.tobytes()]
    if target in ("tf_index", "tf_data"):
        return [tf_checkpoint()[".index" if target == "tf_index" else ".data-00000-of-00001"]]
    if target in ("header", "image", "served"):
        return images()
    text = {
        "config": "model: {rpn: {nms_iou: 0.5}}\ntrain:\n  stages: [train.part: rpn]\n",
        "classes": '{"names": ["a"], "category_ids": [1]}',
        "index": '{"files": [{"file": "step_00000001.npz", "step": 1, "sha256": null, "metric": '
        'null}], "best": null}',
    }
    return texts(text[target])


def texts(text):
    """A text, with odd numbers, and nested deeper than parsers go."""
    odd = [
        re.sub(r"\d+", number, text) for number in ("9" * 400, "1e999", "NaN", "-1", "0", "1e38")
    ]
    return [content.encode() for content in (text, *odd, "[" * 4000, '{"a":' * 800)]


def images():
    """A file of every format, with EXIF and palettes."""
    made, small = [], Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, picture in (("JPEG", small), ("PNG", small), ("GIF", small), ("BMP", small)):
        for mode, options in (("RGB", {"exif": exif}), ("P", {})):
            with contextlib.suppress(OSError):  # JPEG has no palettes
                picture.convert(mode).save(file := io.BytesIO(), kind, **options)
                made.append(file.getvalue())
    return made


def tf_checkpoint():
    """{ending: bytes} of the files of a small TensorFlow checkpoint."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        prefix = os.path.join(folder, "m.ckpt")
        tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.range(12.0)]
        )
        return {
            ending: pathlib.Path(prefix + ending).read_bytes()
            for ending in (".index", ".data-00000-of-00001")
        }


def prepared(target, folder):
    """(the path that is to be changed, what reads it) in a folder."""
    from lhrcnn import config
    from lhrcnn.data import headers
    from lhrcnn.runs import checkpoints
    from lhrcnn.runs.directory import RunDirectory
    from lhrcnn.weights.files import read_checkpoint

    if target in ANNOTATIONS:
        from lhrcnn.choices import resolve
        from lhrcnn.data.readers import READERS

        path = folder / ANNOTATIONS[target][0]
        place = {"voc": "JPEGImages", "kitti": "image_2", "yolo": "images/train", "coco": "train"}
        for name in {"", place.get(target, ""), "images"}:
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16)).save(folder / name / "a.png")
        (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (folder / "ImageSets" / "Main" / "train.txt").write_text("a\n")
        (folder / "data.yaml").write_text("names: [a]\ntrain: images/train\n")
        options = config.load(None, {"data.dir": str(folder), "data.format": target}).data
        split = SPLITS.get(target, "*")
        return path, lambda: resolve(READERS[target])(options, split)
    if target in ("tf_index", "tf_data"):
        for ending, content in tf_checkpoint().items():
            (folder / f"m.ckpt{ending}").write_bytes(content)
        changed = ".index" if target == "tf_index" else ".data-00000-of-00001"
        return folder / f"m.ckpt{changed}", lambda: read_checkpoint(folder / "m.ckpt")
    if target in WEIGHTS:
        path = folder / f"m{WEIGHTS[target]}"
        return path, lambda: read_checkpoint(path)
    run, path = RunDirectory(folder), folder / f"{target}.bin"
    if target == "image":
        return path, lambda: decoded(path)
    if target == "served":  # by an exported model, which has no errors
        import tensorflow as tf

        from lhrcnn.inference.export.savedmodel import decoded_or_nothing

        graph = tf.function(decoded_or_nothing)
        return path, lambda: graph(tf.constant(path.read_bytes()))
    return {
        "checkpoint": (path, lambda: checkpoints.read(path)),
        "config": (folder / "c.yaml", lambda: config.load(folder / "c.yaml")),
        "classes": (folder / "classes.json", run.classes),
        "index": (folder / "checkpoints" / "index.json", run.checkpoints.steps),
        "header": (path, lambda: (headers.read_header(path), headers.looks_whole(path))),
    }[target]


def decoded(path):
    """The pixels of an image file; None where TensorFlow's decoder says that it is none."""
    import tensorflow as tf

    from lhrcnn.data.decoding import decode_image

    with contextlib.suppress(tf.errors.InvalidArgumentError):
        return decode_image(tf.constant(path.read_bytes()))


def fuzz(target, seconds):
    """Fuzzes one reader in this process; atheris ends the process."""
    import atheris

    folder = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    with atheris.instrument_imports(include=["lhrcnn"]):
        path, read = prepared(target, folder)
    from absl import logging

    from lhrcnn.errors import LhrcnnError

    logging.set_verbosity(logging.FATAL)
    path.parent.mkdir(parents=True, exist_ok=True)
    corpus = folder.with_suffix(".corpus")
    corpus.mkdir()
    for number, content in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(content)
    path.write_bytes((corpus / "0").read_bytes())
    read()  # imports TensorFlow, which takes longer than an input may
    tracemalloc.start()

    def one(content):
        path.write_bytes(content)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with contextlib.suppress(LhrcnnError):
            read()
        used = tracemalloc.get_traced_memory()[1] - before
        assert used <= 10 * len(content) + MEMORY, f"{used} bytes for a file of {len(content)}"

    flags = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={target}-", str(corpus)], one)
    atheris.Fuzz()


def main():
    """Fuzzes each reader in a process of its own; status 1 after a fault."""
    names = [*WEIGHTS, *OTHERS, *ANNOTATIONS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(names)}")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        return fuzz(options.readers[0], options.seconds)
    faults = []
    for name in options.readers or names:
        command = [sys.executable, __file__, name, "--seconds", str(options.seconds), "--here"]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if not line.startswith(("#", "INFO"))]
        runs = next((line for line in reversed(lines) if line.startswith("Done ")), "")
        print(f"{name}: {runs or 'FAULT'}", flush=True)
        if done.returncode:
            faults.append(name)
            print("\n".join(lines)[-3000:], flush=True)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
