"""What each detector of the package scores, costs and misses on VOC07 test, into docs/shipped.md.

    python benchmarks/model_cards.py --data_dir VOCdevkit [--rounds 20]

Evaluates, reports on and times every model, one after the other. Nothing else should run
meanwhile.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "shipped.md"
SPLIT = "VOC2007/test"
BATCH_SIZE = 16
PRECISIONS = ("float32", "mixed_bfloat16")
LANDSCAPE = (375, 500)  # px of most images of VOC
EXTREMES = 4  # best and worst classes that are named
HEAD = f"""# The models of the package

What each was trained for, scores, costs and misses, on the 4,952 images of VOC07 `test`, whose
images have a short side of 192 px here; one seed each. Written by `python
benchmarks/model_cards.py`, from `lhrcnn eval --report` and `lhrcnn benchmark` (batches of
{BATCH_SIZE}, two CPU cores). Intervals are 95 %, over images; AP by size is that of the report
([report.md](report.md#how-it-is-counted)), px those of the images of 192.
"""


def lhrcnn(folder, *arguments):
    """Runs a command in a folder, where results of models of the package go."""
    command = [sys.executable, "-m", "lhrcnn", *map(str, arguments)]
    path = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, cwd=folder, env={**os.environ, **path}, check=True)


def report(name, data_dir, folder):
    """The data of the report on test."""
    options = ["--data_dir", data_dir, "--split", SPLIT, "--metrics", "coco,voc07", "--report"]
    lhrcnn(folder, "eval", "--run_dir", name, *options)
    (data,) = (folder / name / "report").glob("*.json")
    return json.loads(data.read_text(encoding="utf-8"))


def milliseconds(name, size, rounds, folder):
    """{precision: ms an image} of a model."""
    found = {}
    for precision in PRECISIONS:
        file = folder / f"{name}_{precision}.json"
        options = ["--size", "{}x{}".format(*size), "--batch_size", BATCH_SIZE, "--runs", rounds]
        options += ["--set", f"test.precision={precision}", "--output", file]
        lhrcnn(folder, "benchmark", "--run_dir", name, *options)
        found[precision] = json.loads(file.read_text())["total"]["ms"] / BATCH_SIZE
    return found


def sizes(data):
    """What a DataConfig makes of images, in words."""
    if data.resize == "stretch":
        return "stretched to {}×{} px".format(*data.stretch_size)
    side = data.short_side[-1]
    return f"in their own shape, short side {side} px, long side {data.long_side} px at most"


def card(name, data, times, size, megabytes, config):
    """The section of a model, as Markdown."""
    coco, voc = data["metrics"]["coco"], data["metrics"]["voc07"]
    there = (row for row in data["classes"] if row["objects"])
    classes = sorted(there, key=lambda row: -row["AP50"][0])
    named = [f"{row['name']} {row['AP50'][0]:.2f}" for row in classes]
    groups = [
        f"| {group} | {row['objects']:,} | {row['AP']:.3f} | {row['AP50']:.3f} |"
        for part in data["groups"].values()
        for group, row in part.items()
    ]
    errors = [
        f"| {kind}: {row['meaning']} | {row['count']:,} | {100 * row['cost']:.1f} |"
        for kind, row in data["errors"].items()
    ]
    low, high = data["intervals"]["AP"][1:]
    return "\n".join(
        [
            f"\n## `{name}`\n",
            f"`{config.model.backbone.name}`; images {sizes(config.data)}. `configs/{name}.yaml`, "
            f"[results](voc07.md#other-sizes-and-backbones).\n",
            "| what | measured |",
            "|---|---|",
            f"| mAP (VOC07, 11 points) at IoU .5 / .7 | {100 * voc['mAP']:.1f} / "
            f"{100 * voc['mAP70']:.1f} |",
            f"| COCO AP (interval), AP50, AP75 | {coco['AP']:.3f} ({low:.3f} to {high:.3f}), "
            f"{coco['AP50']:.3f}, {coco['AP75']:.3f} |",
            f"| ms per image of {size[0]}×{size[1]} px, float32 / bfloat16 | "
            f"{times['float32']:.0f} / {times['mixed_bfloat16']:.0f} |",
            f"| weights | {megabytes:.1f} MB |",
            f"| best classes (AP50) | {', '.join(named[:EXTREMES])} |",
            f"| worst classes | {', '.join(named[-EXTREMES:])} |",
            "\n| objects | number | AP | AP50 |",
            "|---|---|---|---|",
            *groups,
            "\n| error | number | costs AP50 points |",
            "|---|---|---|",
            *errors,
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", required=True, help="VOCdevkit with VOC2007")
    parser.add_argument("--rounds", type=int, default=20, help="timed runs of a model")
    arguments = parser.parse_args()
    data_dir = pathlib.Path(arguments.data_dir).resolve()

    from lhrcnn import config as configs
    from lhrcnn.data.images import resized_size
    from lhrcnn.runs import zoo

    sections = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for entry in zoo.entries():
            config = configs.load(zoo.FOLDER / entry.name / "config.yaml")
            size = [int(side) for side in resized_size(*LANDSCAPE, config.data)]
            times = milliseconds(entry.name, size, arguments.rounds, folder)
            data = report(entry.name, data_dir, folder)
            sections.append(card(entry.name, data, times, size, entry.megabytes, config))
    PAGE.write_text(HEAD + "".join(sections), encoding="utf-8")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
