"""Files that `fuzz_readers.py` and `reliability_inputs.py` begin with, one of each kind that lhrcnn
reads, and odd ones."""

import contextlib
import io
import json
import os
import pathlib
import pickle
import re
import tempfile

import numpy as np
from PIL import Image

TORCH = pathlib.Path(__file__).resolve().parents[1] / "tests" / "weights" / "files"
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
NAMES = (
    "a" * 5000,
    "a\\u0000",
    "a\0",
    "http://[x",
    "a?d=",
    "..",
    "/",
    "C:\\\\a",
    "\\ud800",
    "a.png/",
)
# What lies beside annotations: (their data.format, the file that is changed, what it holds)
BESIDE = {
    "data_yaml": ("yolo", "data.yaml", "names: [a]\ntrain: images/train\nkpt_shape: [17, 3]\n"),
    "voc_list": ("voc", "ImageSets/Main/train.txt", "a.png\n"),
}
CONFIG = "model: {rpn: {nms_iou: 0.5}}\ntrain:\n  stages: [train.part: rpn]\n"
YAML = ("5", "[5]", "{a: b}", "9" * 5000, "0x" + "f" * 5000, "1.0e+999", "2001-99-99", "&a [*a]")
YAML += ("!!int x", "!!float x", "!!bool x", "!!timestamp x", "{.inf: a}", '"\\0"', "a" * 5000)
WEIGHTS = {"npz": ".npz", "torch_zip": ".pth", "torch_older": ".pth", "pkl": ".pkl"}
WEIGHTS |= {"safetensors": ".safetensors", "tf_index": ".ckpt.index", "tf_data": ".ckpt"}
# What else lhrcnn wrote: (the file, what it holds at first)
INDEX = {
    "files": [{"file": "step_00000001.npz", "step": 1, "sha256": None, "metric": None}],
    "best": None,
}
LINES = (
    '{"step": 1, "epoch": 0.5, "phase": "train", "loss": 1.5}\n'
    '{"step": 2, "epoch": 1.0, "phase": "validation", "coco/AP": 0.5}\n'
)
PROPOSALS = {"split": "a", "fingerprint": "f", "number": 2, "bytes": 160, "images": [[1, 9, 9]]}
FOUND = [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 5, 6], "score": 0.5}]
PREPARATION = {"batch_size": 1, "size": [64, 96], "resize": "fit", "antialias": False}
PREPARATION |= {"fill": [104, 117, 123]}
WRITTEN = {
    "classes": ("classes.json", {"names": ["a"], "category_ids": [1]}),
    "index": ("checkpoints/index.json", INDEX),
    "data": ("data.json", {"images": 1, "digest": "d", "held_out": ["a.png"]}),
    "log": ("metrics.jsonl", LINES),
    "finished": ("finished.json", {"steps": 4, "signalled": False}),
    "list": (".lhrcnn_files", f"{'0' * 64}  config.yaml\n"),
    "proposals": ("a.json", PROPOSALS),
    "results": ("found.json", FOUND),
    "preprocess": ("preprocess.json", PREPARATION),
    "export": ("export.json", {"class_names": ["a"], "category_ids": [1], "step": 3}),
}
OTHERS = ("checkpoint", "config", *WRITTEN, "header", "image", "served")


def seeds(target):
    """Files to begin with, bytes."""
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    if target in ANNOTATIONS or target in WRITTEN:
        content = {**ANNOTATIONS, **WRITTEN}[target][1]
        text = content if isinstance(content, str) else json.dumps(content)
        named = [text.replace("a.png", name).encode() for name in NAMES]
        return list(dict.fromkeys(texts(text) + named))
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
    if target == "voc_list":
        return [BESIDE[target][2].replace("a.png", name).encode() for name in ("a", *NAMES)]
    return yamls(CONFIG if target == "config" else BESIDE[target][2])


def texts(text):
    """A text; with odd numbers, nested deeper than parsers go, of other types, and no text."""
    odd = [
        re.sub(r"\d+", number, text) for number in ("9" * 400, "1e999", "NaN", "-1", "0", "1e38")
    ]
    odd += [text.replace("\n", "\r"), text.replace(".png", "")]
    odd += ["[" * 4000, '{"a":' * 800, "", "1", "null", "[]", "{}", "[1]", '{"a": 1}']
    return [*(content.encode() for content in (text, *odd)), b"\xff\xfe\x00", bytes(40)]


def yamls(text):
    """As `texts`; with a value of each line that YAML, or Python, does not take."""
    lines, made = text.splitlines(), texts(text)
    for place, line in enumerate(lines):
        key = line.partition(":")[0]
        changed = ([*lines[:place], f"{key}: {odd}", *lines[place + 1 :]] for odd in YAML)
        made.extend("\n".join(content).encode() for content in changed)
    return made


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
