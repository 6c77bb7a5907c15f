"""Fonts that have the letters of names in any script: matplotlib's own, or one of the system's."""

import functools
import pathlib

import matplotlib
from absl import logging
from matplotlib import font_manager, ft2font

OWN = str(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


def font_for(text):
    """Path of a font with every letter of a text: DejaVu Sans, else one of the system's; DejaVu
    Sans, which draws boxes for them, where none has them all, and a line that says so."""
    missing = frozenset(map(ord, text)) - letters_of(OWN)
    return _font_with(missing) if missing else OWN


@functools.cache
def letters_of(path):
    """The code points of a font file; none of one that cannot be read."""
    try:
        return frozenset(ft2font.FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@functools.cache
def _font_with(letters):
    for path in sorted(font_manager.findSystemFonts()):
        if letters <= letters_of(path):
            return path
    shown = "".join(map(chr, sorted(letters)))
    logging.warning(
        "no font of this system has all of the letters '%s': boxes stand for them", shown
    )
    return OWN


def families(texts):
    """Names of fonts, for matplotlib, that have the letters of texts together, the likeliest
    first."""
    paths = dict.fromkeys([OWN, *map(font_for, texts)])
    for path in paths:
        font_manager.fontManager.addfont(path)
    return [font_manager.FontProperties(fname=path).get_name() for path in paths]
