"""What the benchmarks share: timing by turns, the machine's own limits, a peer in a process of its
own, tables and verdicts."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy as np

os.environ.setdefault(
    "TF_CPP_MIN_LOG_LEVEL", "3"
)  # read when TensorFlow is imported: import this module before it
REQUIRED = "required"  # of `parse`: a flag without a default
PEER_SCRIPT = pathlib.Path(__file__).with_name("peer.py")


def parse(description, rounds, **defaults):
    """The command line: --rounds, --threads, --peer_python, --json, and a flag for each of
    `defaults`.

    Ties this process, and the peers it starts, to `threads` processors."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="timed runs of each case, by turns"
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="threads, and processors they run on"
    )
    parser.add_argument(
        "--peer_python",
        default=".venv-peers/bin/python",
        help="Python with PyTorch and torchvision: `make peers`",
    )
    parser.add_argument("--json", default="", help="file for the figures")
    for name, value in defaults.items():
        needed = {"required": True} if value is REQUIRED else {"default": value}
        parser.add_argument(f"--{name}", type=type(value), **needed)
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    return arguments


def use_threads(number):
    """Runs this process, TensorFlow included, on `number` processors with as many threads; call it
    before TensorFlow is used."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])
    import tensorflow as tf

    import lhrcnn  # noqa: F401  chooses the Keras

    tf.config.threading.set_intra_op_parallelism_threads(number)
    tf.config.threading.set_inter_op_parallelism_threads(number)


def timed(function, *arguments):
    """A function () -> ms that calls `function(*arguments)`; on a CPU TensorFlow returns when the
    result is there."""

    def run():
        start = time.perf_counter()
        function(*arguments)
        return 1000 * (time.perf_counter() - start)

    return run


def by_turns(cases, rounds, warm_up=2):
    """{name: [ms] * rounds} of cases {name: function () -> ms}, run one after the other in every
    round."""
    times = {name: [] for name in cases}
    for number in range(-warm_up, rounds):
        for name, case in cases.items():
            milliseconds = case()
            if number >= 0:
                times[name].append(milliseconds)
    return times


def median(values):
    return statistics.median(values)


def ratio(times, name, other):
    """Median of time over the other's, round by round: what disturbs a round disturbs both."""
    return median([mine / theirs for mine, theirs in zip(times[name], times[other])])


def copy_case(threads, megabytes=256):
    """(function () -> ms, bytes moved) of the fastest plain copy: every byte is read once and
    written once."""
    source = np.ones(megabytes << 20, np.uint8)
    target = np.zeros_like(source)
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    halves = list(zip(np.array_split(target, threads), np.array_split(source, threads)))
    return timed(lambda: list(pool.map(lambda pair: np.copyto(*pair), halves))), 2 * source.nbytes


def matmul_case(size=1536):
    """(function () -> ms, multiply-adds) of a float32 matrix product of TensorFlow's."""
    import tensorflow as tf

    matrix = tf.random.normal([size, size])
    return timed(tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))), size**3


class Peer:
    """A process of the peers' Python (see peer.py) that times the cases it offers."""

    def __init__(self, python, *arguments):
        """Raises FileNotFoundError where there is no such Python."""
        if not pathlib.Path(python).is_file():
            raise FileNotFoundError(
                f"{python}: no such file; `make peers` makes the peers' Python, --peer_python "
                "names another"
            )
        self._process = subprocess.Popen(
            [python, str(PEER_SCRIPT), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self._read()

    def case(self, name):
        """A function () -> ms that runs one of the peer's cases there."""

        def run():
            self._process.stdin.write(name + "\n")
            self._process.stdin.flush()
            return self._read()

        return run

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the peer's process ended with status {self._process.wait()}; its message stands "
                "above"
            )
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


class Report:
    """Tables in Markdown on stdout, a line PASS or FAIL for each limit, and all of it as JSON."""

    def __init__(self, title, arguments):
        import tensorflow as tf

        self.path, self.content = arguments.json, {"title": title, "tables": [], "checks": []}
        self.content["machine"] = (
            f"{_processor()}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}, "
            f"TensorFlow {tf.__version__}, Python {platform.python_version()}"
        )
        print(
            f"### {title}\n\n{self.content['machine']}; `{' '.join(['python', *sys.argv])}`\n",
            flush=True,
        )

    def table(self, columns, rows):
        """Prints rows of text and numbers under the columns' titles."""
        texts = [[_text(cell) for cell in row] for row in [columns, *rows]]
        widths = [max(map(len, column)) for column in zip(*texts)]
        lines = [
            "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)) + " |"
            for row in texts
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        print("\n" + "\n".join(lines) + "\n", flush=True)
        self.content["tables"].append(
            {"columns": list(columns), "rows": [list(row) for row in rows]}
        )

    def check(self, what, value, limit, least=False):
        """Prints whether a value keeps its limit: at most, or with `least` at least, that much."""
        passed = bool(value >= limit if least else value <= limit)
        print(
            f"{'PASS' if passed else 'FAIL'}  {what}: {_text(value)} "
            f"(at {'least' if least else 'most'} {_text(limit)})  ",
            flush=True,
        )
        self.content["checks"].append(
            {"what": what, "value": value, "limit": limit, "least": least, "passed": passed}
        )

    def finish(self):
        """Writes the JSON file, if one was asked for."""
        print(flush=True)
        if self.path:
            pathlib.Path(self.path).write_text(json.dumps(self.content, indent=1), encoding="utf-8")


def peak_megabytes():
    """Largest resident memory of this process so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_megabytes():
    """Memory of this process now."""
    return (
        int(pathlib.Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / 2**20
    )


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()


def _text(cell):
    if not isinstance(cell, (float, np.floating)):
        return str(cell)
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
