"""A page of histograms of a data set."""

import warnings

import numpy as np

from lhrcnn.data.tools.stats import LARGE, SMALL, columns

_CLASSES = 25  # bars: the most frequent
_BINS = 40


def draw(datasets, title, file):
    """Writes {split: Dataset} as a PNG page to a binary file: six plots, a colour for each
    split."""
    import matplotlib

    from lhrcnn.data.tools.fonts import families

    names = {name for dataset in datasets.values() for name in dataset.class_names}
    how = {"text.parse_math": False, "font.family": families([title, *sorted(names)])}
    with matplotlib.rc_context(how), warnings.catch_warnings():  # names may have dollars
        warnings.filterwarnings("ignore", "Glyph")  # said by `families`
        _draw(datasets, title, file)


def _draw(datasets, title, file):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    plots = figure.subplots(2, 3).flat
    found = {split: columns(dataset) for split, dataset in datasets.items()}

    def of_splits(name):
        return {split: own[name] for split, own in found.items()}

    counts, sides, ratios = map(of_splits, ("counts", "sides", "ratios"))
    most = max((own.max(initial=0) for own in counts.values()), default=0)
    bins = np.arange(most + 2) - 0.5 if most < _BINS else _BINS
    _histogram(next(plots), "objects per image", counts, bins)
    _image_sizes(next(plots), datasets)
    plot = next(plots)
    title = "sides of boxes (root of the area), px; dotted: COCO's small, large"
    _histogram(plot, title, sides, _log_bins(sides))
    plot.set_xscale("log")
    for area in (SMALL, LARGE):
        plot.axvline(area**0.5, color="black", linestyle=":")
    title = "sides of boxes, share of the image's"
    _histogram(next(plots), title, of_splits("shares"), np.linspace(0, 1, _BINS))
    plot = next(plots)
    _histogram(plot, "height / width of boxes", ratios, _log_bins(ratios))
    plot.set_xscale("log", base=2)
    _classes(next(plots), datasets, found)
    figure.savefig(file, format="png", dpi=100)


def _image_sizes(plot, datasets):
    plot.set_title("sizes of images, px")
    for split, dataset in datasets.items():
        widths = [record.width for record in dataset.records]
        heights = [record.height for record in dataset.records]
        plot.scatter(widths, heights, s=12, alpha=0.5, label=split)
    plot.set(xlabel="width", ylabel="height", xlim=(0, None), ylim=(0, None))
    plot.legend()


def _histogram(plot, title, values, bins):
    """Shares of images or objects, so that splits of any size can be compared."""
    values = {split: own for split, own in values.items() if len(own)}
    plot.set_title(title)
    plot.set_ylabel("share of the split")
    if not values:
        return
    weights = [np.full(len(own), 1 / len(own)) for own in values.values()]
    names = [f"{split} ({len(own):,})" for split, own in values.items()]
    plot.hist(list(values.values()), bins, weights=weights, label=names)
    plot.legend()


def _log_bins(values):
    together = np.concatenate([np.zeros(0), *values.values()])
    together = together[together > 0]
    low, high = (together.min(), together.max()) if len(together) else (1, 2)
    return np.geomspace(low * 0.99, high * 1.01, _BINS)


def _classes(plot, datasets, found):
    names = next(iter(datasets.values())).class_names if datasets else []
    counts = {s: np.bincount(own["classes"], minlength=len(names)) for s, own in found.items()}
    order = np.argsort(-sum(counts.values()), kind="stable")[:_CLASSES] if names else []
    plot.set_title(
        "objects of each class" + (f", {_CLASSES} of {len(names)}" if len(names) > _CLASSES else "")
    )
    left = np.zeros(len(order))
    for split, own in counts.items():
        plot.barh(range(len(order)), own[order], left=left, label=split)
        left += own[order]
    plot.set_yticks(range(len(order)), [names[k] for k in order])
    plot.invert_yaxis()
    plot.legend()
