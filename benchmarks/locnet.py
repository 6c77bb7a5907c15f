"""LocNet's decoding of 300 boxes of 20 classes: the likeliest of all pairs of cells, for each of
its models, by the compiled op and by stock TensorFlow ops.

The limit is for a part of a graph: what calling a graph that does nothing costs is taken off.

    python benchmarks/locnet.py [--rounds 200] [--boxes 300] [--classes 20] [--cells 28]
"""

import functools

import measure

LIMIT_MS = 3.0


def main():
    arguments = measure.parse(__doc__, rounds=200, boxes=300, classes=20, cells=28)
    import tensorflow as tf

    from lhrcnn.models.heads.locnet import MODELS, boxes_of, likeliest_cells

    report = measure.Report("LocNet's decoding", arguments)
    regions = tf.random.stateless_uniform([1, arguments.boxes, 1, 4], [0, 0])
    nothing = "a graph that does nothing"
    cases = {nothing: measure.timed(tf.function(lambda regions: regions + 1.0), regions)}
    for model, rows in MODELS.items():
        logits = tf.random.stateless_normal(
            [1, arguments.boxes, arguments.classes, 2, len(rows), arguments.cells], [0, 1]
        )
        for implementation in ("custom", "tf"):
            cells = functools.partial(likeliest_cells, model=model, implementation=implementation)
            decode = tf.function(
                lambda logits, regions, cells=cells: boxes_of(
                    cells(logits), regions, arguments.cells
                )
            )
            cases[f"{model}, {implementation}"] = measure.timed(decode, logits, regions)
    times = {
        model: measure.median(values)
        for model, values in measure.by_turns(cases, arguments.rounds).items()
    }
    report.table(
        (f"{arguments.boxes} boxes x {arguments.classes} classes, {arguments.cells} cells", "ms"),
        list(times.items()),
    )
    for model in MODELS:
        report.check(f"{model}, ms", times[f"{model}, custom"] - times[nothing], LIMIT_MS)
    report.finish()


if __name__ == "__main__":
    main()
