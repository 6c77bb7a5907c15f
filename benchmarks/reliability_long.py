"""Long runs of tiny models: memory, retracing and files of training, predict and a served model.

  python benchmarks/reliability_long.py                     # a few of each, minutes
  python benchmarks/reliability_long.py --steps 5000 --predictions 10000 --requests 20000

Prints a table. Memory is the process's resident set; its slope is fitted to the second half, when
allocators have settled.
"""

import argparse
import concurrent.futures
import contextlib
import io
import os
import pathlib
import re
import sys
import tempfile
import time

import numpy as np
from reliability_runs import OPTIONS, STEP, wrap

from lhrcnn import config
from lhrcnn.data.tools.shapes import make_shapes

THREADS = 8
TRAINING = {
    "data.keep_empty": True,
    "train.epochs": 10**6,
    "train.eval_every": 20,  # epochs of 10 steps
    "train.checkpoint_every": 100,
    "train.log_every": 50,
    "train.ema_decay": 0.9,
}


def resident():
    """MB of memory that this process holds."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def row(what, memory, note, seconds):
    """Prints a line of the table; `memory`: [(calls so far, MB)]."""
    later = np.array(memory[len(memory) // 2 :])
    slope = 100 * np.polyfit(later[:, 0], later[:, 1], 1)[0]
    grown = f"{memory[0][1]:.0f} to {memory[-1][1]:.0f} | {slope:+.3f}"
    print(f"| {what} | {memory[-1][0]} | {grown} | {note} | {seconds:.0f} |", flush=True)


def training(folder, steps):
    """Trains with a validation every 200 steps; notes the files when half is done, too."""
    from lhrcnn.training.trainer import train

    memory, sizes, said = [], [], io.StringIO()

    def watch(_, step, call):
        if step % 20 == 0:
            memory.append((step, resident()))
        if step in (steps // 2 + 50, steps):
            found = [path for path in (folder / "run").rglob("*") if path.is_file()]
            kept = [path.stat().st_size for path in found if path.suffix == ".npz"]
            sizes.append(f"{len(found)} files, {sum(kept) / 2**20:.2f} MB of checkpoints")
        return call()

    make_shapes(folder / "shapes", num_train=20, num_val=4)
    options = {**OPTIONS, **TRAINING, "data.dir": str(folder / "shapes"), "train.max_steps": steps}
    wrap(STEP, watch)
    start = time.monotonic()
    with contextlib.redirect_stdout(said):
        train(config.load(None, options), folder / "run")
    traced = re.findall(r"traced (\d+) time", said.getvalue())
    looks = said.getvalue().count("validation after step")
    note = f"{looks} validations; graph traced {' '.join(traced)} time(s); {'; then '.join(sizes)}"
    row("training steps", memory, note, time.monotonic() - start)


def predictions(folder, number):
    """Images of random sizes."""
    from lhrcnn import Detector

    rng, memory = np.random.default_rng(0), []
    detector = Detector.from_run(folder / "run")
    start = time.monotonic()
    for call in range(1, number + 1):
        height, width = rng.integers(1, 400, 2)
        detector.predict(rng.integers(0, 256, (height, width, 3), np.uint8))
        if call % max(1, number // 200) == 0:
            memory.append((call, resident()))
    row("predict, sizes 1 to 399 px", memory, "", time.monotonic() - start)


def serving(folder, number):
    """Requests of encoded images to the exported model by THREADS; answers must repeat."""
    import tensorflow as tf

    import lhrcnn

    lhrcnn.export(str(folder / "run"), output=str(folder / "exported"))
    serve = tf.saved_model.load(str(folder / "exported")).signatures["serving_default"]
    name = next(iter(serve.structured_input_signature[1]))
    images = [path.read_bytes() for path in sorted((folder / "shapes" / "val").iterdir())]

    def answer(image):
        return {key: value.numpy() for key, value in serve(**{name: tf.constant([image])}).items()}

    wanted, memory, wrong = [answer(image) for image in images], [], 0
    start, done = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        while done < number:
            places = [place % len(images) for place in range(min(200, number - done))]
            for place, found in zip(places, pool.map(lambda p: answer(images[p]), places)):
                wrong += any((found[key] != wanted[place][key]).any() for key in found)
            done += len(places)
            memory.append((done, resident()))
    note = f"{wrong} answers differ, {THREADS} threads"
    row("requests to the exported model", memory, note, time.monotonic() - start)


def main():
    """Runs all three and prints the table; without predictions and requests, the first alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, count in (("steps", 600), ("predictions", 500), ("requests", 1000)):
        parser.add_argument(f"--{name}", type=int, default=count)
    options = parser.parse_args()
    print("| what | number | MB | MB a hundred | | s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        training(folder, options.steps)
        if options.predictions:
            predictions(folder, options.predictions)
        if options.requests:
            serving(folder, options.requests)


if __name__ == "__main__":
    sys.exit(main())
