"""ResNeXt's 3x3 grouped convolutions against dense ones of the same size, forward and with both
gradients, by turns.

    python benchmarks/grouped_convolution.py [--groups 64] [--rounds 5]

The shapes are those of ResNeXt-101 at 800 x 1344 px; stride 2 stands for the first unit of a
stage.
"""

import measure

SHAPES = (
    (200, 336, 256, 1),
    (200, 336, 512, 2),
    (100, 168, 512, 1),
    (100, 168, 1024, 2),
    (50, 84, 1024, 1),
    (25, 42, 2048, 1),
)


def cases(layer, x):
    """(forward, forward and backward) of a layer as functions () -> ms."""
    import tensorflow as tf

    @tf.function
    def forward():
        return layer(x)[0, 0, 0, 0]

    @tf.function
    def both():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        gradients = tape.gradient(y, [x, layer.kernel], output_gradients=tf.ones_like(y) / 2)
        return {"input": gradients[0][0, 0, 0, 0], "kernel": gradients[1][0, 0, 0, 0]}

    return measure.timed(forward), measure.timed(both)


def main():
    """Prints a table with a row for each shape, and checks that no grouped convolution costs more
    than the dense one."""
    arguments = measure.parse(__doc__, rounds=5, groups=64)
    import tensorflow as tf

    from lhrcnn.config import BackboneConfig
    from lhrcnn.models.backbones.layers import ConvNorm

    report = measure.Report(f"3 x 3 convolution in {arguments.groups} groups", arguments)
    rows = []
    for height, width, channels, strides in SHAPES:
        x, turns = tf.random.normal([1, height, width, channels]), {}
        for name, groups in (("grouped", arguments.groups), ("dense", 1)):
            layer = ConvNorm(
                BackboneConfig(batch_norm="frozen"),
                channels,
                3,
                name,
                strides=strides,
                groups=groups,
            )
            turns[name], turns[f"{name} both"] = cases(layer, x)
        times = measure.by_turns(turns, arguments.rounds, warm_up=1)
        medians = {name: measure.median(values) for name, values in times.items()}
        shares = [
            measure.ratio(times, f"grouped{which}", f"dense{which}") for which in ("", " both")
        ]
        rows.append(
            (
                f"{height} x {width} x {channels}" + (" / 2" if strides > 1 else ""),
                medians["grouped"],
                medians["dense"],
                shares[0],
                medians["grouped both"],
                medians["dense both"],
                shares[1],
            )
        )
    report.table(
        (
            "map",
            "forward, ms",
            "dense, ms",
            "ratio",
            "forward + backward, ms",
            "dense, ms",
            "ratio",
        ),
        rows,
    )
    report.check(
        "forward, of the dense convolution's time, slowest", max(row[3] for row in rows), 1.0
    )
    report.check(
        "forward + backward, of the dense convolution's time, slowest",
        max(row[6] for row in rows),
        1.0,
    )
    report.finish()


if __name__ == "__main__":
    main()
