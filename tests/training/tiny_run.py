"""A data set of twelve small images and the config of a detector that trains on it in seconds.

As a program: `python -m training.tiny_run RUN_DIR DATA_DIR [key=value ...]` from tests/, which
trains like the command line does."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image, ImageDraw

TESTS = pathlib.Path(__file__).resolve().parents[1]
SIZES = [(64, 64), (64, 64), (48, 80)]  # width, height


def lines(run_dir, phase):
    """Parsed lines of a run's metrics.jsonl that tell of a phase."""
    every = [
        json.loads(line) for line in pathlib.Path(run_dir, "metrics.jsonl").read_text().splitlines()
    ]
    return [line for line in every if line["phase"] == phase]


def arrays_of(run_dir, which="last"):
    """{name: array} of a run's checkpoint."""
    from lhrcnn.runs.checkpoints import CheckpointStore

    return CheckpointStore(run_dir).load(which)[0]


def assert_same_arrays(first, second):
    """To the bit."""
    assert first.keys() == second.keys()
    assert [name for name in first if first[name].tobytes() != second[name].tobytes()] == []


def make_coco(folder, num_train=9, num_val=3):
    """Writes a COCO folder with one or two filled rectangles ("red", id 3, or "blue", id 7) on each
    grey image."""
    folder = pathlib.Path(folder)
    (folder / "annotations").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, number in (("train", num_train), ("val", num_val)):
        (folder / split).mkdir()
        images, annotations = [], []
        for i in range(number):
            width, height = SIZES[i % len(SIZES)]
            image = Image.fromarray(rng.integers(90, 160, [height, width, 3], dtype=np.uint8))
            draw = ImageDraw.Draw(image)
            for j in range(1 + i % 2):
                w, h = rng.integers(16, 30, 2)
                x, y = rng.integers(0, width - w), rng.integers(0, height - h)
                category = 3 if (i + j) % 2 else 7
                draw.rectangle(
                    [int(x), int(y), int(x + w - 1), int(y + h - 1)],
                    fill="red" if category == 3 else "blue",
                )
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": i + 1,
                        "category_id": category,
                        "bbox": [int(x), int(y), int(w), int(h)],
                        "area": int(w * h),
                        "iscrowd": 0,
                    }
                )
            image.save(folder / split / f"{split}_{i}.png")
            images.append(
                {"id": i + 1, "file_name": f"{split}_{i}.png", "width": width, "height": height}
            )
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 3, "name": "red"}, {"id": 7, "name": "blue"}],
        }
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


OPTIONS = [
    "data.format=coco",
    "data.short_side=[64]",
    "data.long_side=96",
    "data.workers=1",
    "model.backbone.name=vgg16",
    "model.backbone.width=0.125",
    "model.rpn.channels=16",
    "model.rpn.anchor_scales=[16, 32]",
    "model.rpn.pre_nms_train=64",
    "model.rpn.post_nms_train=16",
    "model.rpn.pre_nms_test=64",
    "model.rpn.post_nms_test=16",
    "model.head.kernel_size=3",
    "model.head.mid_channels=8",
    "model.head.pool_size=3",
    "model.head.thin_channels=4",
    "model.head.fc_channels=16",
    "model.head.roi_impl=tf",
    "model.head.batch_per_image=16",
    "train.batch_size=2",
    "train.epochs=2",
    "train.warmup_steps=4",
    "train.learning_rate=0.01",
    "train.log_every=1",
    "train.checkpoint_every=3",
    "train.num_images=2",
    "train.ema_decay=0.9",
    "eval.batch_size=2",
]


def tiny_config(data_dir, *overrides):
    """The Config of a tiny detector: 2 epochs of 5 steps."""
    from lhrcnn import config

    return config.load(overrides=[*OPTIONS, f"data.dir={data_dir}", *overrides])


class Child:
    """A training in a process of its own, with environment variables of its own."""

    def __init__(self, run_dir, data, *overrides, **variables):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **variables,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "training.tiny_run", str(run_dir), str(data), *overrides],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self.output = ""

    def read_until(self, words):
        """Reads what the child prints until it has said `words`."""
        while words not in self.output:
            line = self.process.stdout.readline()
            assert line, self.output
            self.output += line

    def signal_at(self, step, number):
        """Sends the signal when the child has reported the step, and waits for its end."""
        self.read_until(f"step {step}/")
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        self.output += self.process.communicate()[0]
        return self.process.returncode


if __name__ == "__main__":
    from lhrcnn.models.backbones import BACKBONES
    from lhrcnn.training.trainer import train

    BACKBONES["small"] = "small_backbone:small"  # as in conftest.py
    summary = train(tiny_config(sys.argv[2], *sys.argv[3:]), sys.argv[1])
    print("summary", json.dumps(summary))
