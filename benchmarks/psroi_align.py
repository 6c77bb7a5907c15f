"""PSRoIAlign on CPU against torchvision.ops.ps_roi_align, on the same numbers, and against this
machine's copy bandwidth.

    python benchmarks/psroi_align.py [--rounds 15] [--peer_python .venv-peers/bin/python]

Map 50 x 75 of 490 channels, G = 7, 2 x 2 samples, mean of the samples, boxes shifted by half a
cell: what torchvision's op does. Its map is channel-major [C, H, W], ours bin-major [H, W, C].
The results are compared before anything is timed.
"""

import pathlib
import tempfile

import measure
import numpy as np
import tensorflow as tf

from lhrcnn.ops.psroi_align import custom_op_status, ps_roi_align

HEIGHT, WIDTH, GROUP, CHANNELS, STRIDE = 50, 75, 7, 10, 16
COUNTS, BATCHES = (100, 300, 1000, 3000, 8000), (1, 2, 4, 8)
DEPTH = GROUP**2 * CHANNELS


def mixed_boxes(rng, *shape):
    """Boxes [*shape, 4] of 16 to 600 px and ratios 1:2 to 2:1, one cell away from the border, where
    the ops' rules differ."""
    size, ratio = 16 * (600 / 16) ** rng.random(shape), 2 ** rng.uniform(-0.5, 0.5, shape)
    limit = np.array([HEIGHT, WIDTH]) * STRIDE - 2 * STRIDE
    sides = np.minimum(np.stack([size * ratio, size / ratio], -1), limit)
    corner = STRIDE + rng.random([*shape, 2]) * (limit - sides)
    return np.concatenate([corner, corner + sides], -1).astype(np.float32)


def cases(features, boxes, upstream, **arguments):
    """(forward, forward and backward) as functions () -> ms."""
    features, boxes, upstream = tf.constant(features), tf.constant(boxes), tf.constant(upstream)

    @tf.function
    def forward():
        return ps_roi_align(
            features, boxes, group_size=GROUP, spatial_scale=1 / STRIDE, aligned=True, **arguments
        )

    @tf.function
    def both():
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = forward()
        return tape.gradient(pooled, features, output_gradients=upstream)

    return measure.timed(forward), measure.timed(both)


def numbers(rng, count, batch=1, dtype="float32"):
    features, upstream = (
        rng.normal(size=shape).astype(np.float32)
        for shape in ((batch, HEIGHT, WIDTH, DEPTH), (batch, count, GROUP, GROUP, CHANNELS))
    )
    return tf.cast(features, dtype), mixed_boxes(rng, batch, count), tf.cast(upstream, dtype)


def against_torchvision(report, arguments, rng):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "numbers.npz")
        features, boxes, upstream = numbers(rng, 1000)
        np.savez(
            file, features=features, boxes=boxes, upstream=upstream, group=GROUP, scale=1 / STRIDE
        )
        peer = measure.Peer(arguments.peer_python, "psroi_align", arguments.threads, file)
        pooled = ps_roi_align(
            features, boxes, group_size=GROUP, spatial_scale=1 / STRIDE, aligned=True
        ).numpy()
        difference = np.abs(pooled - np.load(pathlib.Path(folder, "pooled.npy"))).max()
    copy, copied = measure.copy_case(arguments.threads)
    turns = {"copy": copy}
    for count in (300, 1000):
        ours = cases(features, boxes[:, :count], upstream[:, :count])
        for name, case in zip(("forward", "both"), ours):
            turns[f"{name} {count}"], turns[f"{name} {count} torchvision"] = (
                case,
                peer.case(f"{name} {count}"),
            )
    times = measure.by_turns(turns, arguments.rounds)
    peer.close()
    bandwidth = copied / measure.median(times["copy"]) / 1e6
    rows = []
    for name, title in (("forward", "forward"), ("both", "forward + backward")):
        for count in (300, 1000):
            ours, theirs = (
                measure.median(times[f"{name} {count}{whose}"]) for whose in ("", " torchvision")
            )
            moved = 4 * (1 if name == "forward" else 2) * (HEIGHT * WIDTH + count) * DEPTH
            rows.append(
                (
                    title,
                    count,
                    ours,
                    theirs,
                    theirs / ours,
                    moved / ours / 1e6,
                    moved / ours / 1e6 / bandwidth,
                )
            )
    report.table(
        ("", "boxes", "ms", "torchvision, ms", "times faster", "GB/s", "of copy bandwidth"), rows
    )
    print(
        f"Copy bandwidth {bandwidth:.1f} GB/s. GB/s counts map and pooled values (and their "
        "gradients) once each.  "
    )
    report.check("largest difference from torchvision's values", float(difference), 1e-4)
    for name, title, limit in (
        ("forward", "forward", 1 / 8),
        ("both", "forward + backward", 1 / 5),
    ):
        for count in (300, 1000):
            share = measure.ratio(times, f"{name} {count}", f"{name} {count} torchvision")
            report.check(f"{title}, {count} boxes, of torchvision's time", share, limit)


def growth(report, arguments, rng):
    """Boxes, batch, dtype and channel order, forward and both, by turns."""
    turns = {}

    def add(name, *inputs, **options):
        turns[name], turns[name + " both"] = cases(*inputs, **options)

    features, boxes, upstream = numbers(rng, max(COUNTS))
    for count in COUNTS:
        add(f"{count} boxes", features, boxes[:, :count], upstream[:, :count])
    for batch in BATCHES:
        add(f"300 boxes x {batch}", *numbers(rng, 300, batch))
    for dtype in (
        "float32",
        "bfloat16",
        "float16",
    ):  # each finds its map out of the caches, as no other case reads it
        add(
            dtype,
            tf.cast(features.numpy(), dtype),
            boxes[:, :1000],
            tf.cast(upstream[:, :1000], dtype),
        )
    add(
        "channel-major",
        features,
        boxes[:, :1000],
        upstream[:, :1000],
        channel_order="channel_major",
    )
    add("maximum", features, boxes[:, :1000], upstream[:, :1000], pool="max")
    times = measure.by_turns(turns, arguments.rounds)
    rows = [
        (name, measure.median(times[name]), measure.median(times[name + " both"]))
        for name in turns
        if name + " both" in turns
    ]
    report.table(
        ("1000 float32 boxes where not said", "forward, ms", "forward + backward, ms"), rows
    )
    for name in ("", " both"):
        title = "forward + backward" if name else "forward"
        report.check(
            f"{title}: 8000 boxes, of 8 times 1000",
            measure.ratio(times, f"8000 boxes{name}", f"1000 boxes{name}") / 8,
            1.1,
        )
        for batch in BATCHES[1:]:
            share = (
                measure.ratio(times, f"300 boxes x {batch}{name}", f"300 boxes x 1{name}") / batch
            )
            report.check(f"{title}: batch {batch}, of {batch} times 1", share, 1.1)
        for other in ("bfloat16", "float16"):
            report.check(
                f"{title}: {other}, of float32's time",
                measure.ratio(times, other + name, "float32" + name),
                1.0,
            )
        share = measure.ratio(times, "channel-major" + name, "float32" + name)
        print(f"      {title}: channel-major takes {share:.2f} of bin-major's time  ")


def main():
    arguments = measure.parse(__doc__, rounds=15)
    report = measure.Report("PSRoIAlign on CPU", arguments)
    print(custom_op_status().split(".so ")[-1] + "\n")  # what it is built for, not where it lies
    rng = np.random.default_rng(0)
    against_torchvision(report, arguments, rng)
    growth(report, arguments, rng)
    report.finish()


if __name__ == "__main__":
    main()
