"""Charts as SVG, from numbers to text; colours and fonts are those of the page."""

import html

COLORS = "#2563eb #f59e0b #059669 #dc2626 #7c3aed #64748b #0891b2 #db2777".split()
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 10, 34  # px around a plot


def line_chart(series, x_label, y_label, size=(270, 200), x_range=(0, 1), y_range=(0, 1), marks=()):
    """Lines {name: [(x, y)]} in a frame with a legend, and `marks` [(x, y, text)] as dots."""
    width, height = size
    x_at, y_at = _scale(x_range, LEFT, width - RIGHT), _scale(y_range, height - BOTTOM, TOP)
    parts = [_frame(size, x_range, y_range, x_at, y_at, x_label, y_label)]
    for color, (name, points) in zip(COLORS * 9, series.items()):
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.8">'
            f"<title>{html.escape(name)}</title></polyline>"
        )
    for x, y, text in marks:
        parts.append(
            f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="4" fill="#dc2626">'
            f"<title>{html.escape(text)}</title></circle>"
        )
    legend = "".join(
        f'<span><i style="background:{color}"></i>{html.escape(name)}</span>'
        for color, name in zip(COLORS * 9, series)
    )
    legend = f'<div class="legend">{legend}</div>' if len(series) > 1 else ""
    return _svg(size, "".join(parts)) + legend


def bar_chart(values, unit):
    """Horizontal bars of {name: (value, text)}; `unit` stands below."""
    row, left, width = 26, 190, 560
    most = max([value for value, _ in values.values() if value == value] or [1]) or 1
    parts = []
    for place, (name, (value, text)) in enumerate(values.items()):
        y, length = place * row + 4, max(0.0, (value if value == value else 0) / most)
        length *= width - left - 90
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" class="name">{html.escape(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="18" rx="3" class="bar"/>'
            f'<text x="{left + length + 6:.1f}" y="{y + 14}">{html.escape(text)}</text>'
        )
    height = len(values) * row + 22
    parts.append(f'<text x="{left}" y="{height - 4}" class="label">{html.escape(unit)}</text>')
    return _svg((width, height), "".join(parts))


def heat_map(names, matrix):
    """Rows of counts [n][n], each shaded by its share of the row's sum; tooltips tell the count."""
    side = 30 if len(names) <= 25 else 14 if len(names) <= 90 else 8
    font = min(11, side - 2)
    left = top = 100
    parts = []
    for i, name in enumerate(names):
        at = left + i * side + side / 2
        shown = html.escape(name if len(name) < 16 else name[:14] + "…")
        parts.append(
            f'<text x="{left - 6}" y="{at + font / 3:.0f}" class="name" font-size="{font}">{shown}'
            f'</text><text transform="translate({at + font / 3:.0f},{top - 6}) rotate(-60)" '
            f'font-size="{font}">{shown}</text>'
        )
    for i, row in enumerate(matrix):
        total = sum(row) or 1
        for j, count in enumerate(row):
            if not count:
                continue
            share = count / total
            color = "37,99,235" if i == j else "220,38,38"
            title = f"{names[i]} found as {names[j]}: {count} ({share:.0%})"
            x, y = left + j * side, top + i * side
            parts.append(
                f'<rect x="{x}" y="{y}" width="{side - 1}" height="{side - 1}" '
                f'fill="rgba({color},{0.06 + 0.94 * share:.2f})"><title>{html.escape(title)}'
                "</title></rect>"
            )
            if side >= 30:
                shade = "light" if share > 0.5 else "dark"
                shown = count if count < 10000 else f"{count // 1000}k"
                parts.append(
                    f'<text x="{x + side / 2 - 0.5}" y="{y + side / 2 + 3}" class="cell {shade}">'
                    f"{shown}</text>"
                )
    return _svg([left + len(names) * side + 40, top + len(names) * side + 4], "".join(parts))


def _frame(size, x_range, y_range, x_at, y_at, x_label, y_label):
    width, height = size
    parts = []
    for k in range(5):
        x = x_range[0] + (x_range[1] - x_range[0]) * k / 4
        y = y_range[0] + (y_range[1] - y_range[0]) * k / 4
        parts.append(
            f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{y_at(y):.1f}" y2="{y_at(y):.1f}" '
            f'class="grid"/><text x="{LEFT - 5}" y="{y_at(y) + 4:.1f}" class="name">{y:.3g}</text>'
            f'<text x="{x_at(x):.1f}" y="{height - BOTTOM + 14}" class="tick">{x:.3g}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + width - RIGHT) / 2}" y="{height - 4}" class="label middle">'
        f'{html.escape(x_label)}</text><text class="label middle" '
        f'transform="translate(10,{height / 2 - 8}) rotate(-90)">{html.escape(y_label)}</text>'
    )
    return "".join(parts)


def _scale(values, start, end):
    low, high = values
    span = (high - low) or 1
    return lambda value: start + (end - start) * (value - low) / span


def _svg(size, content):
    width, height = size
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'xmlns="http://www.w3.org/2000/svg">{content}</svg>'
    )
