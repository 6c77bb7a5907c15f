"""Step time of one and two workers, with a processor each, and of one process with both; bytes that
the workers send each other.

    unshare -rn sh -c 'ip link set lo up && python benchmarks/scaling_out.py'

A batch of 8 is trained (MobileNetV2, 144 x 144, all layers), or half of it by one worker alone.
Processes take turns. Bytes are those of the loopback device, which `unshare` keeps others from
using. After them, on paper: what that means for 8, 64 and 512 GPUs, by assumptions that
stand below; the exchange begins when all gradients are there.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

import measure

BATCH, STEPS = 8, 5  # images; steps that are timed together
# On paper: (trained parameters, images of a device, s a step, bytes of an image file).
EXAMPLES = {
    "Light-Head R-CNN, Xception*": (5.53e6, 2, 0.1, 160e3),
    "Faster R-CNN, ResNet-50 FPN": (41.5e6, 2, 0.1, 160e3),
}
GPUS, LINKS, VALIDATION = (8, 64, 512), (10, 25, 200), 5000  # Gbit/s of each GPU's; images


def work(processors, batch):
    """A worker: times steps whenever a line on stdin asks for them."""
    os.sched_setaffinity(0, processors)
    measure.use_threads(len(processors))
    import tensorflow as tf
    from detector import CONFIG, SMALL, compiled, random_batch

    from lhrcnn import config as configs
    from lhrcnn.workers import Workers, strategy_of_workers

    workers = Workers(strategy_of_workers())
    with workers.strategy.scope():
        detector = compiled(configs.load(CONFIG, SMALL))

    def batches(index, number):
        del index
        rows = random_batch(batch // number, 144, 144)
        return tf.data.Dataset.from_tensors(rows).repeat()

    iterator = iter(workers.shared(batches))

    @tf.function
    def step(batch):
        losses = workers.strategy.run(detector.train_step, (batch,))
        return workers.strategy.reduce(tf.distribute.ReduceOp.SUM, losses["loss"], None)

    run = measure.timed(lambda: [step(next(iterator)) for _ in range(STEPS)])
    graph = step.get_concrete_function(next(iterator)).graph.as_graph_def()
    functions = [graph.node, *(one.node_def for one in graph.library.function)]
    about = {
        "parameters": sum(int(tf.size(one)) for one in detector.trainable_variables),
        "collectives": sum(
            node.op.startswith("CollectiveReduce") for nodes in functions for node in nodes
        ),
    }
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        print(json.dumps(run() / STEPS), flush=True)


class Group:
    """Workers that train together, each a process on its processors."""

    def __init__(self, shares, batch):
        ports, open_sockets = [], [socket.socket() for _ in shares]
        for one in open_sockets:
            one.bind(("localhost", 0))
            ports.append(f"localhost:{one.getsockname()[1]}")
            one.close()
        self.processes = []
        for index, processors in enumerate(shares):
            task = {"cluster": {"worker": ports}, "task": {"type": "worker", "index": index}}
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, __file__, "--worker", json.dumps([processors, batch])],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "TF_CONFIG": json.dumps(task)},
                )
            )
        self.about = [self._read(process) for process in self.processes][0]
        self.bytes = 0

    @staticmethod
    def _read(process):
        for line in process.stdout:
            if line[0] in "{0123456789":
                return json.loads(line)
        raise RuntimeError(f"a worker ended with status {process.wait()}")

    def run(self):
        """ms of a step, of the slowest."""
        before = sent()
        for process in self.processes:
            process.stdin.write("\n")
            process.stdin.flush()
        milliseconds = max(self._read(process) for process in self.processes)
        self.bytes = (sent() - before) / STEPS
        return milliseconds

    def close(self):
        """Ends the processes, all before the first is waited for."""
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            process.wait()


def sent():
    """Bytes that the loopback device has sent."""
    lines = pathlib.Path("/proc/net/dev").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[9]) for line in lines if line.strip().startswith("lo:"))


def on_paper(report):
    """What GPUs would need: a table an example."""
    for name, (parameters, images, seconds, size) in EXAMPLES.items():
        rows = []
        for number in GPUS:
            moved, rate = 2 * (number - 1) / number * 4 * parameters, number * images / seconds
            shares = [seconds / (seconds + 8 * moved / (1e9 * link)) for link in LINKS]
            rows.append(
                (number, moved / 1e6, *shares, rate, rate * size / 1e9, VALIDATION / (2 * rate))
            )
        columns = (
            f"GPUs, each {images} images in {1e3 * seconds:.0f} ms: {name}",
            "MB sent a step",
            *(f"efficiency at {link} Gbit/s" for link in LINKS),
            "images/s",
            "GB/s of files",
            f"s to detect in {VALIDATION}",
        )
        report.table(columns, rows)


def main():
    if sys.argv[1:2] == ["--worker"]:
        work(*json.loads(sys.argv[2]))
        return
    arguments = measure.parse(__doc__, rounds=10)
    report = measure.Report("Several workers", arguments)
    first, second = sorted(os.sched_getaffinity(0))[:2]
    groups = {
        "one process, two processors": Group([[first, second]], BATCH),
        "one worker, one processor, half of the batch": Group([[first]], BATCH // 2),
        "two workers, one processor each": Group([[first], [second]], BATCH),
    }
    times = measure.by_turns({name: one.run for name, one in groups.items()}, arguments.rounds)
    whole, half, both = groups
    report.table(
        ("a step", "ms", "of one process", "MB over loopback"),
        [
            (
                name,
                measure.median(times[name]),
                measure.ratio(times, name, whole),
                groups[name].bytes / 1e6,
            )
            for name in groups
        ],
    )
    gradients = 4 * groups[both].about["parameters"]
    print(
        f"{groups[both].about['collectives']} collectives in the graph of a step; gradients of "
        f"{gradients / 1e6:.1f} MB. A ring of two sends as much from each: "
        f"{2 * gradients / 1e6:.1f} MB, here {groups[both].bytes / 1e6:.1f} MB. What two workers "
        "take beyond one with half the batch: "
        f"{measure.median(times[both]) - measure.median(times[half]):.0f} ms\n"
    )
    on_paper(report)
    for group in groups.values():
        group.close()
    report.finish()


if __name__ == "__main__":
    main()
