"""Kills one of two workers at random moments of a training, and starts both again until it ends.

    python benchmarks/lost_workers.py [--kills 20] [--most 4]

A tiny detector is trained by two processes on this machine. Each run loses a worker up to --most
times: the chief or the other one, after a random step and a random part of a second, so that
checkpoints and validations are hit too. What counts: the survivor ends with status 1 and a line
that names the lost one; the run ends with the bits of one that nothing happened to.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import random
import re
import socket
import sys
import tempfile
import time

from reliability_runs import OPTIONS

from lhrcnn import cli, config
from lhrcnn.data.tools.shapes import make_shapes
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.training import trainer  # noqa: F401  the workers are forks that have it imported

STEPS = 36  # 3 each epoch: two of the 8 images show no object
CHANGES = {
    "train.epochs": 12,
    "train.eval_every": 1,
    "train.warmup_steps": 4,
    "train.log_every": 1,
    "train.checkpoint_every": 5,
    "train.ema_decay": 0.9,
}


def _work(words, log, ports, index):
    """`lhrcnn WORDS` as a worker, in a fork of a process that has imported TensorFlow."""
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": ports}, "task": task})
    status = cli.main(words)
    sys.stdout.flush()
    os._exit(status)


class Pair:
    """Two workers that train one run, as `lhrcnn train` is typed twice."""

    def __init__(self, folder, run):
        with socket.socket() as first, socket.socket() as second:
            for one in (first, second):
                one.bind(("localhost", 0))
            ports = [f"localhost:{one.getsockname()[1]}" for one in (first, second)]
        words = ["train", "--config", str(folder / "config.yaml"), "--run_dir", str(run)]
        self.logs = [folder / f"{run.name}_worker_{index}.log" for index in range(2)]
        self.workers = [
            multiprocessing.get_context("fork").Process(
                target=_work, args=(words, log, ports, index)
            )
            for index, log in enumerate(self.logs)
        ]
        for worker in self.workers:
            worker.start()

    def said(self, index):
        """All that a worker has printed."""
        return self.logs[index].read_text(encoding="utf-8", errors="replace")

    def wait_for(self, step):
        """Waits until the chief has reported the step; False where the training ends before."""
        while all(worker.is_alive() for worker in self.workers):
            steps = re.findall(r"step +(\d+)/", self.said(0))
            if steps and int(steps[-1]) >= step:
                return True
            time.sleep(0.05)
        return False

    def finish(self):
        """Exit statuses of both."""
        for worker in self.workers:
            worker.join()
        return [worker.exitcode for worker in self.workers]


def kill_one(pair, chance):
    """Kills a worker at a random moment; (what was wrong, seconds until the other had ended), None
    where the training had ended before."""
    victim, delay = chance.randrange(2), chance.uniform(0, 0.7)
    if not pair.wait_for(chance.randrange(1, STEPS)):
        pair.finish()
        return None
    time.sleep(delay)
    if not pair.workers[victim].is_alive():
        pair.finish()
        return None
    pair.workers[victim].kill()
    start = time.monotonic()
    status, said = pair.finish()[1 - victim], pair.said(1 - victim)
    seconds = time.monotonic() - start
    if status == 0:  # it had nothing left to ask the other for
        return None
    named = f"worker {1 - victim} of 2: worker {victim} has stopped" in said
    return ("" if status == 1 and named else f"status {status}: {said[-300:]}"), seconds


def differing(run, whole):
    """Names of the arrays in the last checkpoint that differ from the undisturbed run's."""
    found, wanted = (CheckpointStore(folder).load("last")[0] for folder in (run, whole))
    return [
        name
        for name in sorted(found.keys() | wanted.keys())
        if name not in found or found[name].tobytes() != wanted[name].tobytes()
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--most", type=int, default=4, help="kills of one run")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, killed, named, runs, same, waits = random.Random(arguments.seed), 0, 0, 0, 0, []
    with tempfile.TemporaryDirectory(prefix="lost_workers_") as name:
        folder = pathlib.Path(name)
        make_shapes(folder / "shapes", num_train=8, num_val=3)
        options = {**OPTIONS, **CHANGES, "data.dir": str(folder / "shapes")}
        config.save(config.load(None, options), folder / "config.yaml")
        whole = Pair(folder, folder / "whole")
        assert whole.finish() == [0, 0], whole.said(0) + whole.said(1)
        while killed < arguments.kills:
            run = folder / f"run_{runs}"
            for _ in range(min(arguments.most, arguments.kills - killed)):
                outcome = kill_one(Pair(folder, run), chance)
                if outcome is None:
                    break
                wrong, seconds = outcome
                killed, named = killed + 1, named + (not wrong)
                waits.append(seconds)
                print(f"kill {killed}: the other ended after {seconds:.0f} s {wrong}", flush=True)
            last = Pair(folder, run)
            status = last.finish()
            wrong = last.said(0)[-300:] if status != [0, 0] else differing(run, folder / "whole")
            runs, same = runs + 1, same + (not wrong)
            print(f"run {runs}: {wrong or 'the bits of the undisturbed one'}", flush=True)
    print(
        f"\n{killed} kills: {named} named, the other ended within {max(waits):.0f} s; {same} of "
        f"{runs} runs ended with the bits of an undisturbed one"
    )
    return 0 if (named, same) == (killed, runs) else 1


if __name__ == "__main__":
    sys.exit(main())
