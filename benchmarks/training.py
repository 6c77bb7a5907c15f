"""What a training spends beside the network: waiting for data, targets and losses, retracing,
memory.

    python benchmarks/training.py --data_dir VOCdevkit \\
        [--steps 60] [--long_steps 2000] [--rounds 10]

1. `lhrcnn train` at 144 x 144, batch 8: the share of time it stood still for data. 2. Its step
against the same step with fixed RoIs and the mean of all predictions as loss: what target
assignment, sampling and losses cost, backward pass included. 3. A tiny detector on generated
shapes for 2,000 steps of many epochs: traces of the step, and memory.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import tempfile
import threading

import measure
import numpy as np
import tensorflow as tf
from detector import CONFIG, SMALL, compiled, random_batch

from lhrcnn import config as configs
from lhrcnn.data.tools import shapes
from lhrcnn.models.step import Scalars
from lhrcnn.training.trainer import train

TINY = [
    "data.format=shapes",
    "data.train_split=train",
    "data.val_split=",
    "data.stretch_size=[64, 64]",
    "model.backbone.weights=",
    "model.backbone.width=0.25",
    "model.head.fc_channels=64",
    "model.head.thin_channels=2",
    "model.head.mid_channels=8",
    "train.batch_size=2",
    "train.log_every=100",
    "train.checkpoint_every=100000",
    "train.epochs=1000",
]


def lines_of(run_dir):
    """What a run wrote to metrics.jsonl about its training."""
    lines = map(
        json.loads, pathlib.Path(run_dir, "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    )
    return [line for line in lines if line["phase"] == "train"]


def waiting(report, arguments):
    config = configs.load(
        CONFIG,
        [
            f"data.dir={os.path.abspath(arguments.data_dir)}",
            *SMALL,
            "train.log_every=10",
            f"train.max_steps={arguments.steps}",
        ],
    )
    with tempfile.TemporaryDirectory() as run_dir, contextlib.redirect_stdout(io.StringIO()):
        train(config, run_dir)
        lines = lines_of(run_dir)[1:]
    speed, waited = (
        measure.median([line[key] for line in lines]) for key in ("images_per_second", "data_wait")
    )
    report.table(
        ("training at 144 x 144, batch 8", ""), [("images/s", speed), ("waiting for data", waited)]
    )
    report.check(
        "waiting for data, of the time", float(np.mean([line["data_wait"] for line in lines])), 0.03
    )


def targets(report, arguments):
    config, batch = configs.load(CONFIG, SMALL), random_batch(8, 144, 144)
    detector, bare = compiled(config), compiled(config)

    def mean_of_predictions(batch, training, step):
        maps = bare.backbone(
            bare.preprocess(batch["image"], batch["image_size"]), training=training
        )
        predictions = bare.rpn(maps)
        proposals = bare.rpn.propose(predictions, batch["image_size"], training=True)[
            :, : config.model.head.batch_per_image
        ]
        logits, deltas = bare.head(
            bare.head.prepare(maps, batch["image_size"], training=training),
            proposals,
            training=training,
        )
        outputs = (predictions.logits, predictions.deltas, logits, deltas)
        return Scalars({f"mean_{k}": tf.reduce_mean(x) for k, x in enumerate(outputs)}, {})

    bare.losses_of = mean_of_predictions
    times = measure.by_turns(
        {
            name: measure.timed(tf.function(model.train_step), batch)
            for name, model in (("step", detector), ("bare", bare))
        },
        arguments.rounds,
    )
    share = 1 - measure.ratio(times, "bare", "step")
    report.table(
        ("training step, batch 8", "ms"),
        [
            ("whole", measure.median(times["step"])),
            ("without targets and losses", measure.median(times["bare"])),
        ],
    )
    report.check("target assignment, sampling and losses, of the step", share, 0.15)


def long_run(report, arguments):
    memory, ended, printed = [], threading.Event(), io.StringIO()

    def watch():
        while not ended.wait(0.2):
            memory.append(measure.resident_megabytes())

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        shapes.make_shapes(f"{folder}/shapes", num_train=200, num_val=2)
        config = configs.load(
            CONFIG, [*TINY, f"data.dir={folder}/shapes", f"train.max_steps={arguments.long_steps}"]
        )
        watcher = threading.Thread(target=watch)
        watcher.start()
        train(config, f"{folder}/run")
        ended.set()
        watcher.join()
    traces = [
        int(number) for number in re.findall(r"training graph traced (\d+)", printed.getvalue())
    ]
    quarters = [measure.median(part) for part in np.array_split(memory, 8)[1::2]]
    epochs = arguments.long_steps * config.train.batch_size / 200
    report.table(
        (f"{arguments.long_steps} steps, {epochs:.0f} epochs", "", "", "", ""),
        [("memory in each quarter, MB", *quarters)],
    )
    report.check("traces of the step after the first epoch", traces[-1] - traces[0], 0)
    report.check(
        "memory of the last quarter, of the most before", quarters[3] / max(quarters[:3]), 1.02
    )


def main():
    arguments = measure.parse(
        __doc__, rounds=10, data_dir=measure.REQUIRED, steps=60, long_steps=2000
    )
    report = measure.Report("Training on CPU", arguments)
    waiting(report, arguments)
    targets(report, arguments)
    long_run(report, arguments)
    report.finish()


if __name__ == "__main__":
    main()
