"""Runs the benchmarks one after the other and writes what they print into docs/speed.md, a section
each.

    python benchmarks/run_all.py [--data_dir VOCdevkit] [NAME...]

With names, e.g. `psroi_align detector`, only those run, and only their sections are replaced.
Sections of other names are notes by hand: they stay, at the end of the page.
`input`, `training` and `export` need the images of VOC 2007 in --data_dir, and are left out without
it.
Nothing else should run meanwhile.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "speed.md"
DATA = object()  # stands for --data_dir
FPN = "faster_rcnn_resnet50_fpn_coco_torchvision"
INT8 = ["--data_dir", DATA, "--calibrate", "VOC2007/train", "--formats", "onnx,openvino"]
LARGE = ["--size", "800x1200"]
BENCHMARKS = {  # section: script and arguments
    "psroi_align": ["psroi_align"],
    "roi_ops": ["roi_ops"],
    "grouped_convolution": ["grouped_convolution"],
    "detector": ["detector"],
    "faster_rcnn": ["faster_rcnn"],
    "faster_rcnn_bfloat16": ["faster_rcnn", "--precision", "mixed_bfloat16"],
    "faster_rcnn_v2": ["faster_rcnn", "--case", "v2"],
    "mobilenet_v3_320": ["faster_rcnn", "--case", "mobilenet"],
    "checkpoint": ["checkpoint"],
    "export": ["export", *INT8, "--rounds", "30"],
    "export_fpn": ["export", *INT8, "--rounds", "5", *LARGE, "--most", "0.33", "--config", FPN]
    + ["--peer", "resnet50"],
    "export_xception": ["export", *INT8, "--rounds", "5", *LARGE, "--most", "0.42"]
    + ["--config", "light_head_xception_coco"],
    "resnext": ["faster_rcnn", "--case", "resnext"],
    "resnext_bfloat16": ["faster_rcnn", "--case", "resnext", "--precision", "mixed_bfloat16"],
    "faster_rcnn_training": ["faster_rcnn", "--case", "training"],
    "faster_rcnn_training_bfloat16": [
        "faster_rcnn",
        "--case",
        "training",
        "--precision",
        "mixed_bfloat16",
    ],
    "input": ["input", "--data_dir", DATA],
    "training": ["training", "--data_dir", DATA],
    "train_step": ["train_step"],
    "scaling": ["scaling"],
    "coco_eval": ["coco_eval"],
    "ilsvrc_eval": ["ilsvrc_eval"],
    "testing": ["testing"],
    "locnet": ["locnet"],
    "predict": ["predict"],
    "matching": ["matching"],
    "data_sets": ["data_sets"],
}
HEAD = """# Speed

Written by `make benchmarks`. Each figure is a median of runs that take turns with the peer or the
limit it is compared with, on the machine that its section names. PASS or FAIL says whether it kept
the limit in brackets.

"""


def sections(text):
    """{name: section} of the page; a section begins with `<!-- name -->`."""
    parts = re.split(r"^<!-- (\w+) -->\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="which; all without a name")
    parser.add_argument("--data_dir", default="", help="VOCdevkit with VOC 2007")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]}: no such benchmark; there are {', '.join(BENCHMARKS)}")
    known = sections(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {}
    failed = []
    for name in arguments.names or BENCHMARKS:
        script, *options = BENCHMARKS[name]
        if DATA in options and not arguments.data_dir:
            print(f"{name}: left out, as there is no --data_dir\n")
            continue
        options = [arguments.data_dir if option is DATA else option for option in options]
        process = subprocess.Popen(
            [sys.executable, f"benchmarks/{script}.py", *options],
            cwd=FOLDER.parent,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(FOLDER.parent)},
        )
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        if process.wait():
            failed.append(name)
            continue
        known[name] = "".join(lines).strip() + "\n\n"
        written = [name for name in BENCHMARKS if name in known]
        notes = [name for name in known if name not in BENCHMARKS]
        PAGE.write_text(
            HEAD + "".join(f"<!-- {name} -->\n{known[name]}" for name in [*written, *notes]),
            encoding="utf-8",
        )
    if failed:
        sys.exit(f"no result from: {', '.join(failed)}")


if __name__ == "__main__":
    main()
