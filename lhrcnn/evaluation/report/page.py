"""The page: sections of a report as HTML."""

import html
import math
import pathlib

import numpy as np

from lhrcnn.evaluation.report import svg
from lhrcnn.evaluation.report.cards import image_cards, suspect_crops

HERE = pathlib.Path(__file__).parent
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><style>{style}</style></head><body>
<header><h1>{title}</h1><p>{about}</p></header>
<nav>{links}</nav><main>{tiles}{sections}</main><script>{script}</script></body></html>
"""


def page(data):
    """The whole HTML file of what `gather` and `report_of` found."""
    sections = {name: make(data) for name, make in SECTIONS.items()}
    sections = {name: content for name, content in sections.items() if content}
    about = data["about"]
    return _PAGE.format(
        title=html.escape(f"{about['run_dir']} on {about['split']}"),
        about=html.escape(
            f"step {about['step']} · {about['images']} images · {about['objects']} objects in "
            f"{len(data['classes'])} classes · {about['detections']} detections"
        ),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        links="".join(f'<a href="#{_anchor(name)}">{name}</a>' for name in sections),
        tiles=_tiles(data),
        sections="".join(
            f'<section id="{_anchor(name)}"><h2>{name}</h2>{content}</section>'
            for name, content in sections.items()
        ),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
    )


def _tiles(data):
    tiles = [
        (name, f"{_number(value)}", f"95 % interval {_number(low)} – {_number(high)}")
        for name, (value, low, high) in data["intervals"].items()
    ]
    lrp = data["lrp"]
    tiles.append(("oLRP, lower is better", _number(lrp["olrp"]), "optimal LRP, mean over classes"))
    for name, numbers in data["metrics"].items():
        for key in ("mAP", "mAP70", "hmean"):
            if key in numbers:
                tiles.append((f"{name} {key}", _number(numbers[key]), "as `lhrcnn eval` counts"))
    return f'<div class="tiles">{"".join(map(_tile, tiles))}</div>'


def _tile(tile):
    name, value, below = (html.escape(text) for text in tile)
    return f'<div class="tile"><span>{name}</span><b>{value}</b><span>{below}</span></div>'


def _classes(data):
    head = (
        "class|objects|AP|95 %|AP50|95 %|best<br>score|F1|precision|recall|oLRP|1 − IoU|"
        "false|missed|at score|calibration<br>error"
    )
    rows = []
    for row in sorted(data["classes"], key=lambda row: -np.nan_to_num(row["AP50"][0], nan=-1)):
        best, lrp = row["best"] or {}, row["lrp"]
        cells = [_number(best.get(name)) for name in ("score", "f1", "precision", "recall")]
        cells += [_number(lrp[name]) for name in ("olrp", "localisation", "fp", "fn", "score")]
        intervals = []
        for value, low, high in (row["AP"], row["AP50"]):
            intervals += [f"<b>{_number(value)}</b>"]
            intervals += [f"<small>{_number(low)} – {_number(high)}</small>"]
        rows.append([row["name"], str(row["objects"]), *intervals, *cells, _number(row["ece"])])
    return _about(
        "AP at IoU .5 to .95 and at .5, with 95 % intervals from "
        f"{data['rounds']} draws of the images with repetition. Best score: the threshold with the "
        "best F1 at IoU .5. oLRP (Oksuz et al.) is the least mean error over all thresholds: 1 − "
        "IoU of what is found, the share that is false and the share that is missed, at its own "
        "threshold; 0 is perfect."
    ) + table(head, rows)


def _errors(data):
    bars, rows = {}, []
    for kind, row in data["errors"].items():
        count, cost = str(row["count"]), f"{100 * row['cost']:.2f}"
        bars[f"{kind}: {count}"] = row["cost"], cost
        rows.append([f"{kind}: {row['meaning']}", count, cost])
    return _about(
        "The six kinds of TIDE (Bolya et al.) at IoU .5. The cost of a kind is what the mean "
        "AP50 gains if it alone were put right; few confident errors cost more than thousands "
        "at low scores. Costs do not add up to 1 − AP50. Crowds and difficult objects count as "
        "in AP."
    ) + _flow(svg.bar_chart(bars, "points of mean AP50"), table("kind|number|cost", rows))


def _curves(data):
    cards = [
        _class_card(row, drawn)
        for row, drawn in zip(data["classes"], data["curves"])
        if row["objects"]
    ]
    return (
        _about(
            "Per class: precision over recall, and F1 at IoU .5 over the least score that is kept; "
            "the red dot is the best."
        )
        + f'<div class="flow curves">{"".join(cards)}</div>'
    )


def _class_card(row, drawn):
    best = row["best"]
    at = [place / (len(drawn["f1"]) - 1) for place in range(len(drawn["f1"]))]
    precision = {f"IoU .{iou}": zip(at, drawn[f"precision{iou}"]) for iou in (50, 75)}
    told, marks = "not found at all", []
    if best:
        told = f"best F1 {best['f1']:.2f} from score {best['score']:.2f} up"
        marks = [(best["score"], best["f1"], told)]
    f1 = svg.line_chart({"F1": zip(at, drawn["f1"])}, "least score", "F1", marks=marks)
    return (
        f'<div class="class"><h3>{html.escape(row["name"])}</h3><p>{told}</p>'
        f"{_flow(svg.line_chart(precision, 'recall', 'precision'), f1)}</div>"
    )


def _confusion(data):
    names, matrix = data["confusion"]["names"], data["confusion"]["matrix"]
    return _about(
        "Rows: the objects; columns: what they were found as, at IoU .5 and each class's best "
        "score. The last column counts missed objects, the last row detections of background. "
        "Detections in crowds are left out. Shades are shares of the row."
    ) + svg.heat_map(names, matrix)


def _calibration(data):
    found = data["calibration"]
    points = [(row["score"], row["precision"]) for row in found["bins"]]
    lines = {"found": points, "perfect": [(0, 0), (1, 1)]}
    rows = [[*map(_number, point), str(row["count"])] for point, row in zip(points, found["bins"])]
    return _about(
        "Does a score of .8 mean that 80 % are true, at IoU .5? Mean gap, weighted by "
        f"detections (ECE): {_number(found['ece'])}."
    ) + _flow(
        svg.line_chart(lines, "score", "share that is true"),
        table("mean score|true|detections", rows),
    )


def _groups(data):
    parts = []
    for name, rows in data["groups"].items():
        body = [
            [group, str(row["objects"]), _number(row["AP50"]), _number(row["AP"])]
            for group, row in rows.items()
        ]
        parts.append(table(f"{name}|objects|AP50|AP", body))
    return _about(
        "AP of objects of one kind; those of others count neither way. Precision is normalised "
        "(Hoiem et al.), so that groups of different numbers can be compared with each other, "
        "but not with the tables above. Neighbours are objects of any class in the ground "
        "truth; an object touches the border within 1 % of the image's side."
    ) + _flow(*parts)


def _speed(data):
    stages = data.get("stages")
    if not stages:
        return ""
    rows = [
        [name, f"{row['ms']:.2f}", f"{row['p90_ms']:.2f}", f"{row['share']:.1%}"]
        for name, row in [*stages["stages"].items(), ("total", stages["total"])]
    ]
    height, width = stages["size"]
    return _about(
        f"One image of {height}×{width} px at a time, median and 90th percentile of "
        f"{stages['runs']} runs, on {stages['device']}, {stages['processors']} processors."
    ) + table("stage|ms|p90|share", rows)


def _training(data):
    charts = []
    for title, series in data.get("training", {}).items():
        values = [point for line in series.values() for point in line]
        if not values:
            continue
        most = max(max(y for _, y in values), 1e-9)
        last = max(x for x, _ in values)
        height = 1 if most <= 1 else most
        charts.append(svg.line_chart(series, "epoch", title, (430, 240), (0, last), (0, height)))
    return _flow(*charts) if charts else ""


def table(head, rows):
    """A table of a head "a|b|c" and rows of cells, the first of each being text."""
    header = "".join(f"<th>{name}</th>" for name in head.split("|"))
    rows = ([html.escape(first), *others] for first, *others in rows)
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def _flow(*parts):
    """Parts beside each other, as far as the page is wide."""
    return f'<div class="flow">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def _about(text):
    return f'<p class="about">{text}</p>'


def _number(value):
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _anchor(name):
    return name.lower().replace(" ", "-")


SECTIONS = {
    "Classes": _classes,
    "Errors": _errors,
    "Curves": _curves,
    "Confusion": _confusion,
    "Calibration": _calibration,
    "Hard objects": _groups,
    "Costliest images": image_cards,
    "Suspected labels": suspect_crops,
    "Speed": _speed,
    "Training": _training,
}
