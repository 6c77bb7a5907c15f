"""LocNet's decoding of 300 boxes of 20 classes: the likeliest of all pairs of cells, for each of its models.

    python benchmarks/locnet.py [--rounds 200] [--boxes 300] [--classes 20] [--cells 28]
"""
import measure

LIMIT_MS = 3.0


def main():
    arguments = measure.parse(__doc__, rounds=200, boxes=300, classes=20, cells=28)
    import tensorflow as tf

    from lhrcnn.heads.locnet import MODELS, likeliest_boxes
    report = measure.Report("LocNet's decoding", arguments)
    regions = tf.random.stateless_uniform([1, arguments.boxes, 1, 4], [0, 0])
    cases = {}
    for model, rows in MODELS.items():
        logits = tf.random.stateless_normal([1, arguments.boxes, arguments.classes, 2, len(rows), arguments.cells], [0, 1])
        decode = tf.function(likeliest_boxes).get_concrete_function(logits, regions, model)
        cases[model] = measure.timed(decode, logits, regions)
    times = {model: measure.median(values) for model, values in measure.by_turns(cases, arguments.rounds).items()}
    report.table((f"{arguments.boxes} boxes x {arguments.classes} classes, {arguments.cells} cells", "ms"), list(times.items()))
    for model, milliseconds in times.items():
        report.check(f"{model}, ms", milliseconds, LIMIT_MS)
    report.finish()


if __name__ == "__main__":
    main()
