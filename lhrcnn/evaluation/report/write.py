"""A report's files: PAGE.html, its data as JSON, and the table of classes as CSV."""

import csv
import io

from lhrcnn.evaluation.analysis import bootstrap
from lhrcnn.evaluation.report.gather import gather
from lhrcnn.evaluation.report.images import costliest
from lhrcnn.evaluation.report.page import page
from lhrcnn.evaluation.tables import to_json

# What a line of a training's log tells beside losses and counts.
_NO_LOSSES = ("step", "epoch", "phase", "time", "learning_rate", "images_per_second", "data_wait")


def write_report(output, name, dataset, detections, scored, about, more=None):
    """Writes name.html, name.json and name_classes.csv; returns the path of the page.

    output: the files.Output of the folder; scored and about as of `gather`; more: further parts,
    "stages" and "training". The page needs no network and stays below 20 MB."""
    data, matches, mistakes = gather(dataset, detections, scored, about, bootstrap.ROUNDS)
    data.update(more or {}, images=costliest(matches, mistakes))
    output.check(*file_names(name))
    output.write(f"{name}.json", to_json(data))
    output.write(f"{name}_classes.csv", _csv(data["classes"]))
    return output.write(f"{name}.html", page(data))


def file_names(name):
    """What `write_report` writes."""
    return f"{name}.html", f"{name}.json", f"{name}_classes.csv"


def _csv(classes):
    stream = io.StringIO()
    writer = csv.writer(stream)
    best = ("score", "f1", "precision", "recall")
    lrp = ("olrp", "localisation", "fp", "fn", "score")
    interval = [f"{name}{part}" for name in ("AP", "AP50") for part in ("", "_low", "_high")]
    of_lrp = [name if name == "olrp" else f"olrp_{name}" for name in lrp]
    of_best = [f"best_{name}" for name in best]
    writer.writerow(["class", "objects", *interval, *of_best, *of_lrp, "ece"])
    for row in classes:
        of_best = [(row["best"] or {}).get(name) for name in best]
        of_lrp = [row["lrp"][name] for name in lrp]
        cells = *row["AP"], *row["AP50"], *of_best, *of_lrp, row["ece"]
        writer.writerow([row["name"], row["objects"], *cells])
    return stream.getvalue()


def training_of(run, counts=()):
    """{title: {name: [(epoch, value)]}} of a RunDirectory's log: losses and validations; `counts`
    are the names of what its model counts."""
    if not run.metrics.is_file():
        return {}
    losses, scores = {}, {}
    for entry in run.logged():
        for name, value in entry.items():
            if not isinstance(value, (int, float)):  # None: it was not finite
                continue
            if entry["phase"] == "validation" and "/" in name:
                scores.setdefault(name, []).append((entry["epoch"], value))
            elif entry["phase"] == "train" and name not in (*_NO_LOSSES, *counts):
                losses.setdefault(name, []).append((entry["epoch"], value))
    return {"training losses": losses, "validation": scores}
