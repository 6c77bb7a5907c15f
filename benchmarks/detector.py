"""Whole detectors on CPU against torchvision's, by turns: inference at 800 x 1200, training and
inference at 144 x 144.

    python benchmarks/detector.py [--rounds 7] [--peer_python .venv-peers/bin/python]

1. Light-Head R-CNN with Xception* (S: 1000 proposals, 80 classes and background), batch 1,
against fasterrcnn_mobilenet_v3_large_fpn. 2. MobileNetV2 with its last stage at stride 16 and
frozen batch norm, 15 anchors, 300 proposals, 128 RoIs, batch 8, against torchvision's FasterRCNN
over its own MobileNetV2, changed likewise. All layers are trained. Weights are random, images
and boxes too.
"""

import measure
import numpy as np
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.commands.benchmark import format_table
from lhrcnn.commands.benchmark import measure as measure_stages
from lhrcnn.models.build import build_detector
from lhrcnn.training.optimizers import build_optimizer
from lhrcnn.training.schedules import WarmupSchedule

CONFIG = "configs/light_head_mobilenet_v2_voc07_192.yaml"
SMALL = [
    "data.stretch_size=[144, 144]",
    "model.backbone.weights=",
    "model.backbone.frozen_stages=0",
    "model.rpn.post_nms_test=300",
    "model.head.batch_per_image=128",
    "train.ema_decay=0",
]
NUM_CLASSES, NUM_BOXES = 20, 4


def random_batch(batch_size, height, width, num_boxes=NUM_BOXES):
    """A batch dict of random images with num_boxes boxes each."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.5, [batch_size, num_boxes, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(0.1, 0.5, corner.shape)], -1) * [
        height,
        width,
        height,
        width,
    ]
    return {
        "image": tf.constant(rng.integers(0, 256, [batch_size, height, width, 3]), tf.uint8),
        "image_size": tf.constant([[height, width]] * batch_size, tf.float32),
        "scale": tf.ones([batch_size, 2]),
        "boxes": tf.constant(boxes, tf.float32),
        "classes": tf.constant(rng.integers(0, NUM_CLASSES, [batch_size, num_boxes]), tf.int32),
        "ignore": tf.zeros([batch_size, num_boxes], tf.bool),
        "image_id": tf.range(batch_size, dtype=tf.int64),
    }


def compiled(config, num_classes=NUM_CLASSES):
    """A detector ready for `train_step`."""
    detector = build_detector(config, num_classes)
    detector.compile(
        build_optimizer(
            config.train,
            WarmupSchedule(config.train, 1000, 10000),
            detector.trainable_variables,
            detector.kernels,
        ),
        weight_decay=config.train.weight_decay,
        gradient_multipliers=config.train.gradient_multipliers,
    )
    return detector


def large(report, arguments):
    """Inference at the size of COCO."""
    height, width = map(int, arguments.size.split("x"))
    config = configs.load(None, ["model.backbone.name=xception"])
    detector = build_detector(config, 80)
    image, image_size = (
        tf.cast(tf.random.uniform([1, height, width, 3], 0, 255), tf.uint8),
        tf.constant([[height, width]], tf.float32),
    )
    detect = tf.function(detector.detect)
    peer = measure.Peer(arguments.peer_python, "mobilenet_v3_fpn", arguments.threads, height, width)
    times = measure.by_turns(
        {"lhrcnn": measure.timed(detect, image, image_size), "torchvision": peer.case("detect")},
        arguments.rounds,
        1,
    )
    peer.close()
    report.table(
        ("batch 1, 80 classes, " + arguments.size, "ms", "proposals"),
        [
            (
                "lhrcnn, Xception* S",
                measure.median(times["lhrcnn"]),
                config.model.rpn.post_nms_test,
            ),
            (
                "torchvision, MobileNetV3 FPN",
                measure.median(times["torchvision"]),
                peer.about["proposals"],
            ),
        ],
    )
    report.check(
        "inference, of torchvision's time", measure.ratio(times, "lhrcnn", "torchvision"), 0.5
    )
    figures = measure_stages(detector, config, (height, width), 1, 80, arguments.rounds)
    print(f"\n```\n{format_table(figures)}\n```\n")
    total, stages = figures["total"], figures["stages"]
    # Stage by stage: products replayed alone may take longer than inside, which must not make up
    # for another stage.
    rest = sum(max(row["ms"] - row["products_ms"], 0.0) for row in stages.values())
    report.check(
        "everything but convolutions and matrix products, of the total", rest / total["ms"], 0.12
    )
    convolutions = [stages[name] for name in ("backbone", "RPN", "RoI preparation")]
    rate = sum(row["gmacs"] for row in convolutions) / sum(row["ms"] for row in convolutions) * 1000
    report.check(
        "backbone, RPN and thin map, of the GEMM rate",
        rate / figures["gemm_gmacs_per_s"],
        0.45,
        least=True,
    )


def small(report, arguments):
    """Training and inference at 144 x 144."""
    config = configs.load(CONFIG, SMALL)
    detector, batch = compiled(config), random_batch(8, 144, 144)
    peer = measure.Peer(arguments.peer_python, "mobilenet_v2_144", arguments.threads)
    turns = {
        "training": measure.timed(tf.function(detector.train_step), batch),
        "inference": measure.timed(tf.function(detector), batch),
    }
    for name in list(turns):
        turns[f"{name} torchvision"] = peer.case(name)
    times = measure.by_turns(turns, arguments.rounds, 1)
    peer.close()
    report.table(
        ("batch 8, 144 x 144", "images/s", "torchvision, images/s"),
        [
            (name, *(8000 / measure.median(times[name + whose]) for whose in ("", " torchvision")))
            for name in ("training", "inference")
        ],
    )
    for name, least in (("training", 6), ("inference", 3)):
        report.check(
            f"{name}, times torchvision's images/s",
            measure.ratio(times, f"{name} torchvision", name),
            least,
            least=True,
        )


def main():
    arguments = measure.parse(__doc__, rounds=7, size="800x1200")
    report = measure.Report("Detectors on CPU", arguments)
    large(report, arguments)
    small(report, arguments)
    report.finish()


if __name__ == "__main__":
    main()
