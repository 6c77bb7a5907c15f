"""The training input pipeline by itself, against the bare rate of tf.io.decode_jpeg on the same
files.

    python benchmarks/input.py --data_dir VOCdevkit \\
        [--images 1600] [--rounds 5]

Both run with as many parallel calls as threads. The pipeline decodes, resizes, flips half of the
images, attaches boxes and makes batches of 8; the last variant is nearest to a training with
configs/light_head_mobilenet_v2_voc07_144.yaml.
"""

import os
import time

import measure
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.data.batches.pipeline import training_batches
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.datasets import open_dataset

BATCH = 8
PLAIN = ["data.antialias=false", "data.min_crop=1", "data.max_expand=1", "data.photometric=0"]
VARIANTS = {
    "stretched to 144 x 144": [],
    "... with the low-pass filter": ["data.antialias=true"],
    "short side 144": ["data.resize=keep_ratio", "data.short_side=[144]", "data.long_side=288"],
    "with zoom and colours": ["data.min_crop=0.5", "data.max_expand=2.0", "data.photometric=0.5"],
}


def seconds(dataset):
    """A function () -> ms that goes through a tf.data.Dataset once."""

    def run():
        start = time.perf_counter()
        for _ in dataset:
            pass
        return 1000 * (time.perf_counter() - start)

    return run


def main():
    arguments = measure.parse(__doc__, rounds=5, data_dir=measure.REQUIRED, images=1600)
    report = measure.Report("Input pipeline", arguments)
    common = [
        f"data.dir={os.path.abspath(arguments.data_dir)}",
        f"data.workers={arguments.threads}",
        *PLAIN,
    ]
    steps, turns = arguments.images // BATCH, {}
    for name, overrides in VARIANTS.items():
        config = configs.load(
            "configs/light_head_mobilenet_v2_voc07_144.yaml", [*common, *overrides]
        ).data
        if not turns:
            dataset = open_dataset(config, config.train_split, training=True)
        plan = BatchPlan(dataset, config, BATCH, seed=0)
        if not turns:
            files = [
                dataset.records[index].path
                for step in range(steps)
                for index in plan.batch(step).indices
            ]
            decoded = tf.data.Dataset.from_tensor_slices(files).map(
                lambda path: tf.io.decode_jpeg(tf.io.read_file(path), channels=3),
                num_parallel_calls=arguments.threads,
            )
            turns["tf.io.decode_jpeg alone"] = seconds(decoded)
        turns[name] = seconds(training_batches(plan, config, 0, steps))
    times = measure.by_turns(turns, arguments.rounds, warm_up=1)
    bare = "tf.io.decode_jpeg alone"
    report.table(
        ("VOC 2007, about 256 x 192 px", "images/s", "of the bare rate"),
        [
            (
                name,
                steps * BATCH * 1000 / measure.median(times[name]),
                measure.ratio(times, bare, name),
            )
            for name in turns
        ],
    )
    report.check(
        "pipeline at 144 x 144, of the bare rate",
        measure.ratio(times, bare, "stretched to 144 x 144"),
        0.7,
        least=True,
    )
    report.finish()


if __name__ == "__main__":
    main()
