"""What runs and commands survive: kills, stops, full disks, damaged files. One table, a row a kind.

  python benchmarks/reliability.py                        # a few of each, minutes
  python benchmarks/reliability.py --kills 50 --terms 20 --disks 30 --inputs 200
  python benchmarks/reliability.py --only inputs odd

A tiny detector is trained: plainly, in stages with proposals between them, and its backbone by
itself. Every process is a fork of this one, which has imported TensorFlow but not used it. "Held"
counts finishes with the same bits as an undisturbed run's, or errors that are named, without a
traceback and without a changed file. Needs Linux, and root, to mount disks that are soon full.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import reliability_inputs
from absl import logging
from reliability_runs import STEP, Trainings, as_a_user, begin, digest, finish, telling, tree

from lhrcnn.data.tools.shapes import make_shapes
from lhrcnn.errors import CheckpointError
from lhrcnn.runs import checkpoints

ROOT = pathlib.Path(__file__).resolve().parents[1]
# moment: (run, functions that it lies in)
ANY = "lhrcnn.cli:_main"
MOMENTS = {
    "any of a training": ("plain", [ANY]),
    "steps": ("plain", [STEP]),
    "checkpoint write": ("plain", ["lhrcnn.runs.checkpoints:_write"]),
    "validation": ("plain", ["lhrcnn.training.validation:validate"]),
    "any of a training in stages": ("stages", [ANY]),
    "proposals": ("stages", ["lhrcnn.evaluation.proposals:cache_proposals"]),
    "stage change": (
        "stages",
        ["lhrcnn.runs.directory:RunDirectory.finish", "lhrcnn.training.stages:_finish"],
    ),
    "any of a pretraining": ("pretrain", [ANY]),
    "steps of a pretraining": ("pretrain", [STEP]),
}


@dataclasses.dataclass
class Row:
    """A line of the table."""

    kind: str
    tried: int = 0
    held: int = 0
    note: str = ""

    def count(self, held, said=""):
        """Counts a trial; what the first one said that did not hold is kept."""
        self.tried += 1
        self.held += bool(held)
        if not held and not self.note:
            self.note = " ".join(said[-300:].split())
        print(f"\r{self.kind}: {self.held} of {self.tried}    ", end="", flush=True)
        if not held:
            print(f"\n{said[-2000:]}", flush=True)


class Bench:
    """The trials, each with an argument that says how many."""

    def __init__(self, folder, seed):
        self.folder, self.random, self.rows = pathlib.Path(folder), random.Random(seed), {}
        functions = {where for _, functions in MOMENTS.values() for where in functions}
        self.trainings = Trainings(folder, sorted(functions))

    def row(self, kind):
        """The Row of a kind."""
        return self.rows.setdefault(kind, Row(kind))

    def kills(self, count):
        """SIGKILL at random moments."""
        self.signals(signal.SIGKILL, count)

    def terms(self, count):
        """SIGTERM at random moments."""
        self.signals(signal.SIGTERM, count)

    def signals(self, number, count):
        """Runs stopped by a signal, once or twice, and then finished by the same command."""
        name = signal.Signals(number).name
        for trial in range(count):
            moment = list(MOMENTS)[trial % len(MOMENTS)]
            run = self.folder / "stopped"
            output = self.stopped(moment, run, number)
            if self.random.random() < 0.3:
                output += self.stopped(moment, run, number)
            held, said = self.trainings.resumed(MOMENTS[moment][0], run)
            calm = "Traceback" not in output
            self.row(f"{name}, {moment}").count(held and calm, said if calm else output)
            shutil.rmtree(run)

    def stopped(self, moment, run, number):
        """What a run says that gets a signal within a moment; tried again where it came too
        late."""
        kind, functions = MOMENTS[moment]
        calls = [call for call in self.trainings.undisturbed(kind)[2] if call[0] in functions]
        begun = run.exists()
        for _ in range(10):
            where, call, seconds = self.random.choice(calls)
            read, write = os.pipe()
            words = self.trainings.words(kind, run)
            process = begin(words, lambda at=(where, call, write): telling(*at))
            os.close(write)
            os.read(read, 1)  # the moment, or the process's end
            os.close(read)
            time.sleep(self.random.uniform(0, seconds))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process[0], number)
            status, output = finish(process)
            if status == -number or "stopped after step" in output or begun:
                return output
            shutil.rmtree(run)
        raise AssertionError(f"{moment}: no signal came in time: {status}: {output}")

    def disks(self, count):
        """Full disks and folders that become read-only, in turn."""
        for trial in range(count):
            (self.read_only if trial % 2 else self.full)()

    def full(self):
        """A run on a disk that is full at some time; then on one with room."""
        whole = self.trainings.undisturbed("plain")[0]
        size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file()) // 1024
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        room = f"size={self.random.randint(8, size)}k"
        subprocess.run(["mount", "-t", "tmpfs", "-o", room, "tmpfs", str(disk)], check=True)
        try:
            status, output = finish(begin(self.trainings.words("plain", disk / "run")))
            subprocess.run(["mount", "-o", "remount,size=99m", str(disk)], check=True)
            self.went_on("full disk", disk / "run", status, output)
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def read_only(self):
        """A run whose folder becomes read-only at a random moment."""
        run = self.folder / "locked"
        run.mkdir()
        process = begin(self.trainings.words("plain", run), as_a_user)
        seconds = next(s for where, _, s in self.trainings.undisturbed("plain")[2] if where == ANY)
        time.sleep(self.random.uniform(0, 0.9) * seconds)
        subprocess.run(["chmod", "-R", "a-w", str(run)], check=True)
        status, output = finish(process)
        subprocess.run(["chmod", "-R", "u+w", str(run)], check=True)
        self.went_on("read-only folder", run, status, output)
        shutil.rmtree(run)

    def went_on(self, kind, run, status, output):
        """Counts a run that a disk stopped, and that the same command then finishes."""
        named = status == 1 and str(run) in output and "Traceback" not in output
        held, said = self.trainings.resumed("plain", run)
        self.row(kind).count(held and (named or status == 0), said if named else output)

    def inputs(self, count):
        """Damaged files of every kind, given to the commands that read them."""
        whole = self.trainings.undisturbed("plain")[0]
        cases = list(reliability_inputs.cases(self.folder, whole, self.random))
        chosen = self.random.sample(cases, min(count, len(cases)))
        before = tree(self.folder)
        for kind, words, readable in chosen:
            status, output = finish(begin(words))
            named = status in (1, 2) and output and "Traceback" not in output
            row = self.row(f"damaged {kind}{', or still readable' if readable else ''}")
            row.count(named or readable and status == 0, f"{words}: {status}: {output}")
            shutil.rmtree(self.folder / "output", ignore_errors=True)
            if tree(self.folder) != before:
                changed = sorted(set(tree(self.folder).items()) ^ set(before.items()))
                self.row("files unchanged by that").count(False, f"{words}: {changed}")
                before = tree(self.folder)
        self.row("files unchanged by that").count(True)

    def odd(self, _):
        """A clock that jumps, other data, two processes, cut checkpoints, an older version's
        run."""
        self.jumping_clock()
        self.other_data()
        self.two_processes()
        self.cut_checkpoints()
        self.older_version()

    def jumping_clock(self):
        """Every look at the clock is up to 12 days off."""
        real, run = time.time, self.folder / "clock"

        def jump():
            time.time = lambda: real() + random.uniform(-1e6, 1e6)

        status, output = finish(begin(self.trainings.words("plain", run), jump))
        same = status == 0 and digest(run) == self.trainings.undisturbed("plain")[1]
        self.row("clock that jumps by days").count(same, output)

    def other_data(self):
        """A run is resumed with as many other images."""
        run, data = self.folder / "moved", self.folder / "other"
        shutil.copytree(self.trainings.undisturbed("plain")[0], run)
        max((run / "checkpoints").glob("*.npz")).unlink()  # so that there are steps left
        (run / "checkpoints" / "index.json").unlink()
        make_shapes(data, seed=5, num_train=6, num_val=2)
        words = [*self.trainings.words("plain", run), "--data_dir", str(data)]
        status, output = finish(begin(words))
        refused = status == 1 and "the run trains on" in output and "Traceback" not in output
        self.row("resumed with other data").count(refused, output)

    def two_processes(self):
        """A second process comes into the run directory of one that trains."""
        run = self.folder / "twice"
        read, write = os.pipe()
        words = self.trainings.words("plain", run)
        first = begin(words, lambda: telling(STEP, 1, write))
        os.read(read, 1)
        status, output = finish(begin(words))
        refused = status == 1 and "another process" in output
        same = finish(first)[0] == 0 and digest(run) == self.trainings.undisturbed("plain")[1]
        self.row("two processes in one run directory").count(refused and same, output)

    def cut_checkpoints(self):
        """The last checkpoint cut at every kB: refused by name, and the one before is taken."""
        run, row = self.folder / "cut", self.row("checkpoint cut at every kB")
        shutil.copytree(self.trainings.undisturbed("plain")[0], run)
        before, last = sorted((run / "checkpoints").glob("*.npz"))[-2:]
        earlier, content = checkpoints.read(before)[1]["step"], last.read_bytes()
        for length in range(0, len(content), 1024):
            last.write_bytes(content[:length])
            try:
                checkpoints.read(last)
                row.count(False, f"read at {length} bytes")
            except CheckpointError:
                step = checkpoints.CheckpointStore(run).load()[1]["step"]
                row.count(step == earlier, f"step {step}")

    def older_version(self):
        """A run that the version before wrote: seen by `predict`, and trained on."""
        run = self.folder / "older"
        shutil.copytree(ROOT / "tests" / "runs" / "older_run", run)
        image = next((self.folder / "shapes" / "val").glob("*.jpg"))
        output = str(self.folder / "seen")
        data = ["--data_dir", str(self.folder / "shapes"), "--set", "train.max_steps=2"]
        data += [
            "--set",
            "data.format=coco",
            "--set",
            "data.classes=[]",
            "--set",
            "data.val_split=",
        ]
        for words in (
            ["predict", str(image), "--run_dir", str(run), "--output", output],
            ["train", "--config", str(run / "config.yaml"), "--init_from", str(run)]
            + ["--run_dir", str(self.folder / "newer"), *data],
        ):
            status, output = finish(begin(words))
            self.row("run of an older version").count(status == 0, output)


def main():
    """Runs the trials and prints the table; status 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = {"kills": 9, "terms": 3, "disks": 2, "inputs": 20, "odd": 1}
    for name, count in kinds.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--only", nargs="*", choices=kinds, default=list(kinds))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import lhrcnn.training.trainer  # noqa: F401  TensorFlow, once for all forks

    logging.set_verbosity(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, options.seed)
        for name in options.only:
            getattr(bench, name)(getattr(options, name))
        print("\n| what | tried | held | |\n|---|---|---|---|")
        for row in bench.rows.values():
            print(f"| {row.kind} | {row.tried} | {row.held} | {row.note} |")
    return any(row.held < row.tried for row in bench.rows.values())


if __name__ == "__main__":
    sys.exit(main())
