"""RoIAlign, RoIPool and pooling from a pyramid on CPU against torchvision's, on the same numbers:
values, gradients and times.

    python benchmarks/roi_ops.py [--rounds 9] [--random_cases 60] \\
        [--peer_python .venv-peers/bin/python]

First many small random cases are compared, then four of real size are compared and timed by
turns. torchvision's ops pool a [C, H, W] map on one thread, ours an [H, W, C] map on all of
them. "Twin" is the implementation in stock TensorFlow ops.
"""

import json
import pathlib
import tempfile

import measure
import numpy as np
import tensorflow as tf

from lhrcnn.ops.psroi_align import custom_op_status
from lhrcnn.ops.roi_align import roi_align
from lhrcnn.ops.roi_levels import pool_levels
from lhrcnn.ops.roi_pool import roi_pool

# name: (op, sizes of the maps [H, W, C], their strides, boxes, their sides in px from and to,
# bins per side, samples per bin's side)
TIMED = {
    "RoIAlign, C4": ("align", [(50, 84, 1024)], [16], 300, (32, 600), 14, 0),
    "RoIAlign, p2": ("align", [(200, 336, 256)], [4], 1000, (20, 112), 7, 0),
    "RoIAlign, p2 to p5": (
        "levels",
        [(200, 336, 256), (100, 168, 256), (50, 84, 256), (25, 42, 256)],
        [4, 8, 16, 32],
        1000,
        (20, 700),
        7,
        2,
    ),
    "RoIPool, VGG16": ("pool", [(38, 63, 512)], [16], 300, (32, 600), 7, 0),
}
IMPLEMENTATIONS = {"": "custom", " twin": "tf"}


def random_boxes(rng, shape, sides, limit):
    """Boxes [*shape, 4] with sides between two lengths, ratios 1:2 to 2:1, centres in an image of
    limit [2] px."""
    side, ratio = (
        sides[0] * (sides[1] / sides[0]) ** rng.random(shape),
        2 ** rng.uniform(-0.5, 0.5, shape),
    )
    half = np.stack([side * ratio, side / ratio], -1) / 2
    centre = rng.random([*shape, 2]) * limit
    return np.concatenate([centre - half, centre + half], -1).astype(np.float32)


def numbers(rng, batch, op, sizes, strides, num_boxes, sides, size, sampling_ratio, aligned):
    """What an .npz file of a case holds."""
    limit = np.array(sizes[0][:2]) * strides[0]
    boxes = random_boxes(rng, (batch, num_boxes), sides, limit)
    if num_boxes >= 300:  # as a detector clips its boxes
        boxes = np.clip(boxes, 0, np.tile(limit, 2)).astype(np.float32)
    settings = dict(
        op=op,
        size=size,
        sampling_ratio=sampling_ratio,
        scales=[1 / stride for stride in strides],
        aligned=aligned,
    )
    return dict(
        {
            f"map{level}": rng.normal(size=(batch, *shape)).astype(np.float32)
            for level, shape in enumerate(sizes)
        },
        boxes=boxes,
        upstream=rng.normal(size=(batch, num_boxes, size, size, sizes[0][2])).astype(np.float32),
        settings=json.dumps(settings),
    )


def random_case(rng):
    """Small maps, boxes of all sizes, of which a third leave the map."""
    op = rng.choice(["align", "align", "pool"])
    size = tuple(int(length) for length in rng.integers(1, 60, 2)) + (int(rng.integers(1, 20)),)
    stride = float(rng.choice([1, 2.5, 4, 16, 32]))
    return numbers(
        rng,
        int(rng.integers(1, 4)),
        str(op),
        [size],
        [stride],
        40,
        (0.1 * stride, 60 * stride),
        int(rng.integers(1, 15)),
        int(rng.integers(0, 5)),
        bool(rng.integers(2)),
    )


def pooled_and_gradients(data, implementation):
    """(pooled, *gradients of the maps), and functions () -> ms of pooling without and with the
    gradients."""
    settings = json.loads(str(data["settings"]))
    maps = [tf.constant(data[f"map{level}"]) for level in range(len(settings["scales"]))]
    boxes, upstream = tf.constant(data["boxes"]), tf.constant(data["upstream"])

    def op(features, boxes, spatial_scale):
        shared = dict(
            size=settings["size"], spatial_scale=spatial_scale, implementation=implementation
        )
        if settings["op"] == "pool":
            return roi_pool(features, boxes, **shared)
        return roi_align(
            features,
            boxes,
            sampling_ratio=settings["sampling_ratio"],
            aligned=settings["aligned"],
            **shared,
        )

    def pool(*maps):
        return pool_levels(op, dict(enumerate(zip(maps, settings["scales"]))), boxes, 56)

    def both(*maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            pooled = pool(*maps)
        return (pooled, *tape.gradient(pooled, maps, upstream))

    return both(*maps), {
        name: measure.timed(tf.function(case), *maps)
        for name, case in (("forward", pool), ("both", both))
    }


def difference(results, file):
    """The largest difference of values, and of gradients, from the peer's; relative to the largest
    value where that is over 1."""
    peer = np.load(file.with_suffix(".peer.npz"))
    pairs = list(
        zip(
            results,
            [peer["pooled"], *(peer[f"gradient{level}"] for level in range(len(results) - 1))],
        )
    )
    differences = [
        np.abs(ours - theirs).max() / max(1, np.abs(theirs).max()) for ours, theirs in pairs
    ]
    return differences[0], max(differences[1:])


def main():
    arguments = measure.parse(__doc__, rounds=9, random_cases=60)
    report = measure.Report("RoIAlign and RoIPool on CPU", arguments)
    print(f"{custom_op_status()}\n")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for index in range(arguments.random_cases):
            files[f"random{index}"] = pathlib.Path(folder, f"random{index}.npz")
            np.savez(files[f"random{index}"], **random_case(rng))
        for index, (name, case) in enumerate(TIMED.items()):
            files[name] = pathlib.Path(folder, f"timed{index}.npz")
            np.savez(files[name], **numbers(rng, 1, *case, aligned=case[0] == "align"))
        peer = measure.Peer(arguments.peer_python, "roi_ops", arguments.threads, folder)
        turns, worst = {}, dict.fromkeys(IMPLEMENTATIONS, (0.0, 0.0))
        for name, file in files.items():
            data = dict(np.load(file))
            for suffix, implementation in IMPLEMENTATIONS.items():
                results, functions = pooled_and_gradients(data, implementation)
                worst[suffix] = tuple(np.maximum(worst[suffix], difference(results, file)))
                if name in TIMED:
                    turns.update(
                        {f"{name} {kind}{suffix}": function for kind, function in functions.items()}
                    )
            if name in TIMED:
                turns.update(
                    {
                        f"{name} {kind} torchvision": peer.case(f"{file.stem} {kind}")
                        for kind in ("forward", "both")
                    }
                )
    for suffix, implementation in IMPLEMENTATIONS.items():
        for what, value in zip(("values", "gradients"), worst[suffix]):
            report.check(
                f"{implementation}: largest difference from torchvision's {what}, "
                f"{len(files)} cases",
                float(value),
                1e-5,
            )
    times = measure.by_turns(turns, arguments.rounds)
    peer.close()
    rows = []
    for name in TIMED:
        for kind, title in (("forward", "forward"), ("both", "forward + backward")):
            ours, twin, theirs = (
                measure.median(times[f"{name} {kind}{whose}"])
                for whose in ("", " twin", " torchvision")
            )
            shares = [
                measure.ratio(times, f"{name} {kind} torchvision", f"{name} {kind}{whose}")
                for whose in ("", " twin")
            ]
            rows.append((name, title, ours, twin, theirs, *shares))
    report.table(
        (
            "",
            "",
            "compiled, ms",
            "twin, ms",
            "torchvision, ms",
            "compiled: times faster",
            "twin: times faster",
        ),
        rows,
    )
    report.finish()


if __name__ == "__main__":
    main()
