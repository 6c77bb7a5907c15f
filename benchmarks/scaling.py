"""How cost grows: inference over pixels, proposals, classes and batch; the training step over boxes
per image and replicas.

    python benchmarks/scaling.py [--rounds 5] [--plot docs/scaling.png]

Light-Head R-CNN with Xception* where nothing else is said, 320 x 480 px, 300 proposals, 80
classes, batch 1; training: MobileNetV2, 144 x 144, batch 8. Random weights and images. Each row
is compared with growth in proportion to the row before.
"""

import measure
import numpy as np
import tensorflow as tf
from detector import CONFIG, SMALL, compiled, random_batch

from lhrcnn import config as configs
from lhrcnn.distribution import strategy_for
from lhrcnn.models.build import build_detector

SIZES = ((200, 300), (400, 600), (800, 1200), (1600, 2400))
PROPOSALS, CLASSES, BATCHES, BOXES = (
    (100, 300, 1000, 3000),
    (20, 80, 200, 1000),
    (1, 2, 4, 8),
    (1, 5, 20, 100, 500),
)
WORST = 1.1  # times growth in proportion: what noise leaves


def detection(height=320, width=480, proposals=300, num_classes=80, batch=1):
    """A case that detects in random images."""
    config = configs.load(None, [f"model.rpn.post_nms_test={proposals}"])
    detector = build_detector(config, num_classes)
    image = tf.cast(
        tf.random.stateless_uniform([batch, height, width, 3], [0, 0], 0, 255), tf.uint8
    )
    return measure.timed(
        tf.function(detector.detect), image, tf.constant([[height, width]] * batch, tf.float32)
    )


def training_step(num_boxes=4, replicas=1):
    """A case that trains one step of a global batch of 8."""
    strategy = strategy_for(*[f"CPU:{k}" for k in range(replicas)])
    with strategy.scope():
        detector = compiled(configs.load(CONFIG, SMALL))
    data = tf.data.Dataset.from_tensors(random_batch(8, 144, 144, num_boxes)).unbatch().batch(8)
    batch = next(iter(strategy.experimental_distribute_dataset(data)))

    @tf.function
    def step(batch):
        losses = strategy.run(detector.train_step, (batch,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses["loss"], None)

    return measure.timed(step, batch)


def main():
    arguments = measure.parse(__doc__, rounds=5, plot="docs/scaling.png")
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    report = measure.Report("How cost grows", arguments)
    studies = {
        "inference over pixels": {h * w: detection(h, w) for h, w in SIZES},
        "inference over proposals": {number: detection(proposals=number) for number in PROPOSALS},
        "inference over classes": {number: detection(num_classes=number) for number in CLASSES},
        "inference over batch": {number: detection(batch=number) for number in BATCHES},
        "training step over boxes per image": {number: training_step(number) for number in BOXES},
        "training step over replicas, batch 8 in all": {
            number: training_step(replicas=number) for number in (1, 2)
        },
    }
    medians = {}
    for name, cases in studies.items():
        times = measure.by_turns(cases, arguments.rounds)
        medians[name] = {x: measure.median(values) for x, values in times.items()}
        points = list(medians[name])
        growth = {
            after: measure.ratio(times, after, before) / (after / before)
            for before, after in zip(points, points[1:])
        }
        report.table(
            (name, "ms", "of growth in proportion"),
            [(x, medians[name][x], growth.get(x, "")) for x in points],
        )
        report.check(f"{name}: worst growth, of proportion", max(growth.values()), WORST)
        print()
    draw(medians, arguments.plot)
    report.finish()


def draw(medians, path):
    """One log-log panel for each study; the dashed line grows in proportion from the last point
    back."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 3, figsize=(12, 6.5), constrained_layout=True)
    for panel, (name, values) in zip(panels.flat, medians.items()):
        x, y = np.array(list(values)), np.array(list(values.values()))
        panel.loglog(x, y, "o-", label="measured")
        panel.loglog(x, y[-1] * x / x[-1], "--", color="grey", label="in proportion")
        panel.set_title(name, fontsize=10)
        panel.set_ylabel("ms")
        panel.set_ylim(y.min() / 2, y.max() * 2)
        panel.set_xticks(x, [f"{number:,}" for number in x])
        panel.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        panel.grid(alpha=0.3, which="both")
    panels.flat[0].legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
