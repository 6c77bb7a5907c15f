"""Readers of files under atheris: damaged input raises lhrcnn's own errors, in bounded memory.

  pip install atheris
  python benchmarks/fuzz_readers.py --seconds 600          # each reader, one after the other
  python benchmarks/fuzz_readers.py npz voc --seconds 60

A reader gets files that a coverage-guided fuzzer changes. It may return, raise an LhrcnnError, or
take up to 10 times the file and MEMORY more; all else is a fault, and the input is kept.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import tracemalloc

from fuzz_seeds import (
    ANNOTATIONS,
    BESIDE,
    COCO,
    OTHERS,
    SPLITS,
    WEIGHTS,
    WRITTEN,
    seeds,
    tf_checkpoint,
)
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
MEMORY = 8 << 20  # bytes: what Python and the readers take for a small file
TIMEOUT = 60  # s of one file; tracemalloc makes 20 of one that deep nesting takes to Python's limit


def prepared(target, folder):
    """(the path that is to be changed, what reads it) in a folder."""
    from lhrcnn import config
    from lhrcnn.data import headers
    from lhrcnn.runs import checkpoints
    from lhrcnn.weights.files import read_checkpoint

    if target in BESIDE:
        of, name, _ = BESIDE[target]
        annotations, read = prepared(of, folder)
        annotations.parent.mkdir(parents=True, exist_ok=True)
        annotations.write_bytes(seeds(of)[0])
        return folder / name, read
    if target in ANNOTATIONS:
        from lhrcnn.choices import resolve
        from lhrcnn.data.readers import READERS

        path = folder / ANNOTATIONS[target][0]
        place = {"voc": "JPEGImages", "kitti": "image_2", "yolo": "images/train", "coco": "train"}
        for name in {"", place.get(target, ""), "images"}:
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16)).save(folder / name / "a.png")
        (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (folder / "ImageSets" / "Main" / "train.txt").write_text("a\n")
        (folder / "data.yaml").write_text("names: [a]\ntrain: images/train\n")
        options = config.load(None, {"data.dir": str(folder), "data.format": target}).data
        split = SPLITS.get(target, "*")
        return path, lambda: resolve(READERS[target])(options, split)
    if target in ("tf_index", "tf_data"):
        for ending, content in tf_checkpoint().items():
            (folder / f"m.ckpt{ending}").write_bytes(content)
        changed = ".index" if target == "tf_index" else ".data-00000-of-00001"
        return folder / f"m.ckpt{changed}", lambda: read_checkpoint(folder / "m.ckpt")
    if target in WEIGHTS:
        path = folder / f"m{WEIGHTS[target]}"
        return path, lambda: read_checkpoint(path)
    if target in WRITTEN:
        return folder / WRITTEN[target][0], reader_of(target, folder)
    path = folder / f"{target}.bin"
    if target == "image":
        return path, lambda: decoded(path)
    if target == "served":  # by an exported model, which has no errors
        import tensorflow as tf

        from lhrcnn.inference.export.savedmodel import decoded_or_nothing

        graph = tf.function(decoded_or_nothing)
        return path, lambda: graph(tf.constant(path.read_bytes()))
    return {
        "checkpoint": (path, lambda: checkpoints.read(path)),
        "config": (folder / "c.yaml", lambda: config.load(folder / "c.yaml")),
        "header": (path, lambda: (headers.read_header(path), headers.looks_whole(path))),
    }[target]


def reader_of(target, folder):
    """What reads a file in a folder that lhrcnn wrote."""
    from lhrcnn.data import proposals
    from lhrcnn.evaluation import coco_files
    from lhrcnn.files import Output
    from lhrcnn.inference.export import exported
    from lhrcnn.runs.directory import RunDirectory

    run, path = RunDirectory(folder), folder / WRITTEN[target][0]
    if target == "results":
        truth = folder / "truth.json"
        truth.write_text(json.dumps(COCO))
        dataset = coco_files.read_annotations(truth)
        return lambda: coco_files.read_results(path, dataset)
    return {
        "classes": run.classes,
        "index": run.checkpoints.steps,
        "data": run.data,
        "log": lambda: list(run.logged()),
        "finished": run.summary,
        "list": lambda: Output(folder).others(),
        "proposals": lambda: proposals._read_header(path, "make it"),
        "export": lambda: exported._read(path, exported._facts),
        "preprocess": lambda: exported._read(path, exported._preparation),
    }[target]


def decoded(path):
    """The pixels of an image file; None where TensorFlow's decoder says that it is none."""
    import tensorflow as tf

    from lhrcnn.data.decoding import decode_image

    with contextlib.suppress(tf.errors.InvalidArgumentError):
        return decode_image(tf.constant(path.read_bytes()))


def fuzz(target, seconds):
    """Fuzzes one reader in this process; atheris ends the process."""
    import atheris

    folder = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    with atheris.instrument_imports(include=["lhrcnn"]):
        path, read = prepared(target, folder)
    from absl import logging

    from lhrcnn.errors import LhrcnnError

    logging.set_verbosity(logging.FATAL)
    path.parent.mkdir(parents=True, exist_ok=True)
    corpus = folder.with_suffix(".corpus")
    corpus.mkdir()
    for number, content in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(content)
    path.write_bytes((corpus / "0").read_bytes())
    read()  # imports TensorFlow, which takes longer than an input may
    tracemalloc.start()

    def one(content):
        path.write_bytes(content)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with contextlib.suppress(LhrcnnError):
            read()
        used = tracemalloc.get_traced_memory()[1] - before
        assert used <= 10 * len(content) + MEMORY, f"{used} bytes for a file of {len(content)}"

    flags = [f"-max_total_time={seconds}", "-max_len=4096", f"-timeout={TIMEOUT}"]
    flags += ["-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={target}-", str(corpus)], one)
    atheris.Fuzz()


def main():
    """Fuzzes each reader in a process of its own; status 1 after a fault."""
    names = [*WEIGHTS, *OTHERS, *ANNOTATIONS, *BESIDE]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(names)}")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        return fuzz(options.readers[0], options.seconds)
    faults = []
    for name in options.readers or names:
        command = [sys.executable, __file__, name, "--seconds", str(options.seconds), "--here"]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if not line.startswith(("#", "INFO"))]
        runs = next((line for line in reversed(lines) if line.startswith("Done ")), "")
        print(f"{name}: {runs or 'FAULT'}", flush=True)
        if done.returncode:
            faults.append(name)
            print("\n".join(lines)[-3000:], flush=True)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
