"""A checkpoint of torchvision's Faster R-CNN with ResNet-50, 160 MB: reading it against torch.load,
by turns, and the whole of `lhrcnn convert`.

    python benchmarks/checkpoint.py [--rounds 5] [--peer_python .venv-peers/bin/python]

Its weights are random. The file is in memory, as one is that has just been downloaded.
"""

import resource
import subprocess
import sys
import tempfile
import time

import measure

from lhrcnn.weights.files import read_arrays

CONFIG = "faster_rcnn_resnet50_fpn_coco_torchvision"


def main():
    arguments = measure.parse(__doc__, rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/checkpoint.pth"
        peer = measure.Peer(arguments.peer_python, "checkpoint", arguments.threads, path)
        cases = {"lhrcnn": measure.timed(read_arrays, path), "torch.load": peer.case("read")}
        times = measure.by_turns(cases, arguments.rounds, 1)
        peer.close()
        words = ["--source", "torchvision", "--checkpoint", path, "--config", CONFIG]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "lhrcnn", "convert", *words, "--output", f"{folder}/run"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    report = measure.Report("A checkpoint of 160 MB", arguments)
    report.table(("reading", "ms"), [(who, measure.median(times[who])) for who in times])
    report.check("time, of torch.load's", measure.ratio(times, "lhrcnn", "torch.load"), 1.2)
    report.check("lhrcnn convert, s", seconds, 10.0)
    report.check("lhrcnn convert, MB of memory at most", megabytes, 1000.0)
    report.finish()


if __name__ == "__main__":
    main()
