"""Letters that matplotlib's own font lacks."""

import io
import pathlib
import warnings

import matplotlib
import numpy as np
import pytest

from lhrcnn.data.schema import Dataset
from lhrcnn.data.tools import fonts, stats_page
from lhrcnn.inference.visualize import contact_sheet, draw_detections

ROMAN = str(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "STIXGeneral.ttf"))
LACKING = sorted(fonts.letters_of(ROMAN) - fonts.letters_of(fonts.OWN))
LETTER = next(letter for letter in map(chr, LACKING) if letter.isalpha())


@pytest.fixture
def system(monkeypatch):
    """Sets which fonts the system has."""

    def has(*paths):
        fonts._font_with.cache_clear()
        monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: list(paths))

    yield has
    fonts._font_with.cache_clear()


def test_a_font_of_the_system_has_what_the_own_one_lacks(system, caplog):
    system(__file__, ROMAN)
    assert fonts.font_for("cat é 0.97") == fonts.OWN and fonts.font_for(f"cat {LETTER}") == ROMAN
    assert fonts.families(["cat", LETTER]) == ["DejaVu Sans", "STIXGeneral"]
    system()
    assert fonts.font_for(f"cat {LETTER}") == fonts.font_for(LETTER) == fonts.OWN
    assert caplog.text.count("no font of this system has all of the letters") == 1


def test_labels_captions_and_pages_use_it_without_a_warning(system):
    image, box, pages = np.zeros([90, 120, 3], np.uint8), [[20, 20, 60, 60]], []
    dataset = Dataset("x", [], [f"{LETTER} 1"], [1])
    for there in ((), (ROMAN,)):
        system(*there)
        drawn = draw_detections(image, box, [f"two\nlines {LETTER}"])
        sheet = contact_sheet([image], 1, [f"{LETTER}\n.jpg"])
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Glyph")
            stats_page.draw({"train": dataset}, f"/data/{LETTER}", page := io.BytesIO())
        pages.append([np.asarray(drawn), np.asarray(sheet), page.getvalue()])
    assert all(np.any(first != second) for first, second in zip(*pages))
