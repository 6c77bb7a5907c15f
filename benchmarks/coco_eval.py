"""COCO evaluation of 5,000 synthetic images, 100 detections each in 80 classes, by each backend.

    python benchmarks/coco_eval.py [--images 5000] [--rounds 3]

All go through lhrcnn.evaluation, from a `Dataset` and `Detections` to metrics, by turns, each in
a process of its own whose peak memory counts.
"""

import json
import resource
import subprocess
import sys
import time

import measure
import numpy as np

NUM_CLASSES, DETECTIONS, OBJECTS = 80, 100, 7
NAMES = {"hotcoco": "hotcoco", "fast": "faster-coco-eval", "reference": "pycocotools"}


def synthetic(num_images, num_classes=NUM_CLASSES):
    """A Dataset of about 7 objects per image, COCO's mean, and Detections that are noisy objects or
    noise."""
    from lhrcnn.data.schema import Dataset, Record
    from lhrcnn.evaluation.detections import Detections

    rng = np.random.default_rng(0)
    records, boxes, classes = [], [], []
    for image_id in range(1, num_images + 1):
        count = rng.poisson(OBJECTS)
        corner, sides = rng.uniform(0, 400, [count, 2]), np.exp(rng.uniform(2, 5.5, [count, 2]))
        truth, kinds = (
            np.concatenate([corner, corner + sides], 1).astype(np.float32),
            rng.integers(0, num_classes, count).astype(np.int32),
        )
        records.append(
            Record(
                image_id,
                f"{image_id}.jpg",
                640,
                640,
                truth,
                kinds,
                rng.random(count) < 0.02,
                sides.prod(1).astype(np.float32),
            )
        )
        noise, kind = rng.uniform(0, 400, [DETECTIONS, 2]), rng.integers(0, num_classes, DETECTIONS)
        found = np.concatenate([noise, noise + rng.uniform(10, 200, noise.shape)], 1)
        found[: 4 * count] = (np.repeat(truth, 4, 0) + rng.normal(0, 8, [4 * count, 4]))[
            :DETECTIONS
        ]
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        kind[: 4 * count] = np.repeat(kinds, 4)[:DETECTIONS]
        boxes.append(found)
        classes.append(kind)
    dataset = Dataset(
        "synthetic",
        records,
        [f"class {k}" for k in range(num_classes)],
        list(range(1, num_classes + 1)),
    )
    image_ids = np.repeat(np.arange(1, num_images + 1), DETECTIONS)
    return dataset, Detections(
        image_ids,
        np.concatenate(boxes).astype(np.float32),
        rng.random(len(image_ids)).astype(np.float32),
        np.concatenate(classes).astype(np.int32),
    )


def evaluate(backend, num_images):
    """Prints seconds, peak memory and metrics of one evaluation as a line of JSON."""
    from lhrcnn.config import EvalConfig
    from lhrcnn.evaluation.scoring import score

    dataset, detections = synthetic(num_images)
    start = time.perf_counter()
    metrics = score(dataset, detections, EvalConfig(backend=backend))["coco"]
    seconds = time.perf_counter() - start
    metrics.pop("per_class")
    print(
        json.dumps(
            [
                seconds,
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                list(metrics.values()),
            ]
        )
    )


def main():
    if sys.argv[1:2] == ["--evaluate"]:
        evaluate(sys.argv[2], int(sys.argv[3]))
        return
    arguments = measure.parse(__doc__, rounds=3, images=5000)
    report = measure.Report("COCO evaluation", arguments)
    runs = {name: [] for name in NAMES}
    for _ in range(arguments.rounds):
        for backend in runs:
            result = subprocess.run(
                [sys.executable, __file__, "--evaluate", backend, str(arguments.images)],
                stdout=subprocess.PIPE,
                check=True,
            )
            runs[backend].append(json.loads(result.stdout.splitlines()[-1]))
    seconds = {name: measure.median([run[0] for run in results]) for name, results in runs.items()}
    memory = {name: max(run[1] for run in results) for name, results in runs.items()}
    title = f"{arguments.images} images x {DETECTIONS} detections x {NUM_CLASSES} classes"
    report.table(
        (title, "s", "peak MB"),
        [(library, seconds[name], memory[name]) for name, library in NAMES.items()],
    )
    for name in ("hotcoco", "fast"):
        differences = np.abs(np.subtract(runs[name][0][2], runs["reference"][0][2]))
        report.check(f"largest difference, {NAMES[name]}", float(differences.max()), 1e-12)
    ratio = seconds["hotcoco"] / seconds["fast"]
    report.check("hotcoco's time, of faster-coco-eval's", ratio, 0.1)
    ratio = memory["hotcoco"] / memory["fast"]
    report.check("hotcoco's peak memory, of faster-coco-eval's", ratio, 0.6)
    report.finish()


if __name__ == "__main__":
    main()
