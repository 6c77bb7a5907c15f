"""Matching anchors to ground truth: memory and time by the number of boxes in an image.

    python benchmarks/matching.py [--anchors 268000] [--rounds 3]

268,000 are the anchors of a feature pyramid on 800 x 1333 px. Each number of boxes has a process of
its own, by turns.
"""

import json
import subprocess
import sys
import time

import measure
import numpy as np

BOXES = (1, 20, 200, 2000)
SIZE = (800, 1333)


def matching(anchors, number):
    """(s, peak MB) of matching random anchors and so many boxes, once the graph is traced."""
    import tensorflow as tf

    from lhrcnn.models.matching import match

    random = np.random.default_rng(0)

    def boxes(count):
        corners = random.uniform(0, 0.9, (count, 2)) * SIZE
        sizes = np.exp(random.uniform(np.log(8), np.log(300), (count, 2)))
        return tf.constant(np.concatenate([corners, corners + sizes], 1), tf.float32)

    candidates = boxes(anchors)
    batch = {
        "boxes": boxes(number)[None],
        "classes": tf.zeros([1, number], tf.int32),
        "ignore": tf.zeros([1, number], tf.bool),
    }
    step = tf.function(lambda: match(candidates, batch, 0.7, 0.3, best_iou=0.3))
    step()
    begun = time.perf_counter()
    step()[0].numpy()
    return time.perf_counter() - begun, measure.peak_megabytes()


def main():
    if sys.argv[1:2] == ["--one"]:
        anchors, number, threads = map(int, sys.argv[2:])
        measure.use_threads(threads)
        print(json.dumps(matching(anchors, number)))
        return
    arguments = measure.parse(__doc__, rounds=3, anchors=268_000)
    report = measure.Report("Matching ground truth", arguments)
    seconds, memory = ({number: [] for number in BOXES} for _ in range(2))
    for _ in range(arguments.rounds):
        for number in BOXES:
            words = ["--one", str(arguments.anchors), str(number), str(arguments.threads)]
            run = subprocess.run(
                [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
            )
            for values, value in zip((seconds, memory), json.loads(run.stdout.splitlines()[-1])):
                values[number].append(value)
    rows = [(n, measure.median(seconds[n]), measure.median(memory[n])) for n in BOXES]
    report.table(("boxes", "s", "peak MB of the process"), rows)
    report.check("memory, 2000 boxes over 20", measure.ratio(memory, 2000, 20), 1.15)
    report.check("time a box, 2000 over 200", measure.ratio(seconds, 2000, 200) / 10, 1.2)
    report.finish()


if __name__ == "__main__":
    main()
