"""`lhrcnn compare`."""

from lhrcnn import commands
from lhrcnn.errors import UsageError

SURE = 0.05  # p-value below which a difference is told as one


FLAGS = (
    commands.text(
        "checkpoint", "best", "best, last, or the path of a checkpoint file, of every run"
    ),
    commands.DATA_DIR,
    commands.split_flag("images to compare on", "test_split"),
    *commands.output_flags("", "JSON file for the figures; none: they are printed"),
    commands.SET,
)


def run(values, arguments):
    """Compares each further run with the first one, on the same images."""
    if len(arguments) < 2:
        raise UsageError("compare: expected two or more run directories, such as runs/a runs/b")
    write = commands.file_output(values)

    from lhrcnn.evaluation.analysis.compare import compare
    from lhrcnn.evaluation.tables import to_json

    dataset, first = _detections(values, arguments[0])
    results = {}
    for name in arguments[1:]:
        other, second = _detections(values, name)
        _check_same(arguments[0], dataset, name, other)
        results[name] = compare(dataset, first, second)
        print(format_comparison(arguments[0], name, results[name]), flush=True)
    content = {"first": arguments[0], "split": dataset.name, "compared": results}
    write(to_json(content), "figures")


def _detections(values, run_dir):
    """(Dataset, Detections) of a run: those that `lhrcnn eval` left, or made now."""
    from lhrcnn.evaluation import of_run
    from lhrcnn.runs.directory import RunDirectory

    overrides = values["set"].value
    trained, strategy = commands.loaded_run(values, run_dir, overrides)
    dataset, experiment, split = commands.dataset_of_run(trained, values)
    about = of_run.about(run_dir, trained, dataset, split)
    path = RunDirectory(run_dir).evaluation(split)
    found, _ = of_run.kept_or_made(path, about, trained, dataset, experiment, strategy, overrides)
    return dataset, found


def _check_same(name, dataset, other_name, other):
    """Raises UsageError unless both runs have the same images, objects and classes."""
    if dataset.class_names != other.class_names:
        raise UsageError(
            f"{name} and {other_name}: their classes differ ({', '.join(dataset.class_names)}; "
            f"{', '.join(other.class_names)}); only runs with the same classes can be compared"
        )
    if dataset.digest() != other.digest():
        raise UsageError(
            f"{name} and {other_name}: their images or objects differ ({dataset.name}, "
            f"{len(dataset.records)} images; {other.name}, {len(other.records)}); give the same "
            "data with --data_dir and --split"
        )


def format_comparison(first, second, result):
    """The result of `compare.compare` as lines of text."""
    lines = [f"{first} -> {second}", "", _HEAD]
    lines += [_row(name, result[name]) for name in ("AP", "AP50", "AP75") if name in result]
    lines += ["", "AP by class"]
    by_change = sorted(result["classes"].items(), key=lambda item: -abs(item[1]["difference"]))
    lines += [_row(name, row) for name, row in by_change]
    lines += ["", "errors, AP50 lost to each kind, number"]
    for kind, row in result["errors"].items():
        sides = "  ".join(
            f"{row[side]['cost']:7.4f} {row[side]['count']:>8}" for side in ("first", "second")
        )
        lines.append(f"{kind:<20}{sides}")
    lines += ["", "objects found at the best scores by one alone"]
    for name, who in (("gained", second), ("lost", first)):
        part = result["images"][name]
        shown = "  ".join(f"{row['image']} ({len(row['objects'])})" for row in part["images"][:8])
        lines.append(f"{who}: {part['objects']}, most in images {shown or 'none'}")
    return "\n".join(lines) + "\n"


_HEAD = f"{'':<20}{'first':>7}{'second':>8}{'change':>8}   95 % interval        p"


def _row(name, row):
    told = "" if row["p"] < SURE else "  within noise"
    return (
        f"{name[:19]:<20}{row['first']:7.3f}{row['second']:8.3f}{row['difference']:+8.3f}"
        f"   {row['low']:+.3f} to {row['high']:+.3f}  {row['p']:7.3f}{told}"
    )


COMMAND = commands.Command(
    "whether one run is better than another, or only luckier", FLAGS, run, "RUN_A RUN_B ..."
)
