"""ILSVRC evaluation of as many images as ImageNet DET's val2, 100 detections each in 200 classes.

    python benchmarks/ilsvrc_eval.py [--images 9917] [--rounds 3]

From a `Dataset` and `Detections` to metrics, each round in a process of its own whose peak
memory counts, Python and TensorFlow included.
"""

import json
import resource
import subprocess
import sys
import time

import coco_eval
import measure

NUM_CLASSES, MOST_SECONDS, MOST_MB = 200, 60, 3072


def evaluate(num_images):
    """Prints seconds, peak memory in MB and mAP of one evaluation as a line of JSON."""
    from lhrcnn.config import EvalConfig
    from lhrcnn.evaluation.scoring import score

    dataset, detections = coco_eval.synthetic(num_images, NUM_CLASSES)
    start = time.perf_counter()
    metrics = score(dataset, detections, EvalConfig(metrics=["ilsvrc"]))["ilsvrc"]
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            [seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, metrics["mAP"]]
        )
    )


def main():
    if sys.argv[1:2] == ["--evaluate"]:
        evaluate(int(sys.argv[2]))
        return
    arguments = measure.parse(__doc__, rounds=3, images=9917)
    report = measure.Report("ILSVRC evaluation", arguments)
    runs = [
        json.loads(
            subprocess.run(
                [sys.executable, __file__, "--evaluate", str(arguments.images)],
                stdout=subprocess.PIPE,
                check=True,
            ).stdout.splitlines()[-1]
        )
        for _ in range(arguments.rounds)
    ]
    seconds, megabytes = measure.median([run[0] for run in runs]), max(run[1] for run in runs)
    report.table(
        (
            f"{arguments.images} images x {coco_eval.DETECTIONS} detections x {NUM_CLASSES} "
            "classes",
            "s",
            "peak MB",
            "mAP",
        ),
        [("lhrcnn", seconds, megabytes, runs[0][2])],
    )
    report.check("time, s", seconds, MOST_SECONDS)
    report.check("peak memory, MB", megabytes, MOST_MB)
    report.finish()


if __name__ == "__main__":
    main()
