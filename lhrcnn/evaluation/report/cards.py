"""The costliest images and the suspected labels as HTML."""

import html

from lhrcnn.evaluation.analysis.errors import KINDS
from lhrcnn.evaluation.report.images import CROP_SIDE, MAX_BYTES, embedded

COLORS = dict(zip(KINDS, "#f59e0b #38bdf8 #c084fc #f472b6 #ef4444 #facc15".split()))
NUM_CROPS = 24


def image_cards(data):
    """The images of data["images"], with the controls that choose among them."""
    cards, size = [], 0
    for number, row in enumerate(data["images"]):
        address = embedded(row["path"])
        if address is None or size + len(address) > MAX_BYTES:
            continue
        size += len(address)
        cards.append(_card(number, row, address))
    names = sorted(
        {error[key] for row in data["images"] for error in row["errors"] for key in ("class", "as")}
    )
    options = "".join(f"<option>{html.escape(name)}</option>" for name in names)
    boxes = "".join(
        f'<label><input type="checkbox" name="kind" value="{kind}" checked>'
        f'<span class="dot" style="background:{COLORS[kind]}"></span>{kind}</label>'
        for kind in KINDS
    )
    return (
        '<p class="about">The images whose errors cost the mean AP50 most, to first order; left '
        "the errors, right the ground truth (dashed: to be ignored).</p>"
        f'<div class="controls"><select id="class"><option value="">all classes</option>{options}'
        f'</select>{boxes}<b id="count"></b></div><div class="cards">{"".join(cards)}</div>'
    )


def _card(number, row, address):
    width, height = row["size"]
    wrong = "".join(_box(error, COLORS[error["kind"]]) for error in row["errors"])
    truth = ""
    for entry in row["truth"]:
        dashes = ' stroke-dasharray="5 4"' if entry["crowd"] else ""
        truth += _rectangle(entry["box"], 'stroke="#22c55e"' + dashes, entry["class"])
    lines = "".join(f"<li {_marks(error)}>{_line(error)}</li>" for error in row["errors"])
    view = f'<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">'
    return (
        f'<div class="card"><h3>{html.escape(str(row["image"]))} '
        f"<small>costs {100 * row['cost']:.2f} points</small></h3>"
        f'<div class="pair"><figure>{view}<image id="i{number}" href="{address}" width="{width}" '
        f'height="{height}" preserveAspectRatio="none"/>{wrong}</svg><figcaption>errors'
        f'</figcaption></figure><figure>{view}<use href="#i{number}"/>{truth}</svg>'
        f"<figcaption>ground truth</figcaption></figure></div><ul>{lines}</ul></div>"
    )


def _marks(error):
    return " ".join(
        f'data-{key}="{html.escape(error[key], quote=True)}"' for key in ("kind", "class", "as")
    )


def _box(error, color):
    dashed = ' stroke-dasharray="4 3"' if error["kind"] == "Miss" else ""
    style = f'stroke="{color}"{dashed} {_marks(error)}'
    return _rectangle(error["box"], style, _line(error, plain=True))


def _rectangle(box, style, title):
    x, y, width, height = box
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" {style}>'
        f"<title>{html.escape(title)}</title></rect>"
    )


def _line(error, plain=False):
    """What is wrong, in words."""
    name, taken = error["class"], error["as"]
    score = "" if error["score"] is None else f" {error['score']:.2f}"
    words = {
        "Cls": f"{name} taken for {taken}{score}",
        "Loc": f"{name}{score}: box too far off",
        "Both": f"{taken}{score} near a {name}",
        "Dupe": f"{taken}{score}: found twice",
        "Bkg": f"{taken}{score} where nothing is labelled",
        "Miss": f"{name} not found",
    }[error["kind"]]
    if plain:
        return f"{error['kind']}: {words}"
    return (
        f'<span class="dot" style="background:{COLORS[error["kind"]]}"></span>'
        f"{html.escape(words)} ({100 * error['cost']:.3f})"
    )


def suspect_crops(data):
    """Detections that may be right where the labels are wrong, and labels that nothing finds."""
    parts = []
    for name, text in (
        ("unlabelled", "Confident detections where nothing is labelled: a missing label?"),
        ("never found", "Labels that no detection comes near, at any score: a wrong one?"),
    ):
        crops = "".join(map(_crop, data["suspects"][name][:NUM_CROPS]))
        if crops:
            parts.append(f'<h3>{text}</h3><div class="crops">{crops}</div><br>')
    return "".join(parts)


def _crop(row):
    address = embedded(row["path"], CROP_SIDE, row["box"])
    if address is None:
        return ""
    score = f" {row['score']:.2f}" if "score" in row else ""
    text = html.escape(f"{row['class']}{score}, image {row['image']}")
    return f'<figure><img src="{address}" alt="{text}">{text}</figure>'
