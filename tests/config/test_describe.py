"""Texts about options: the description of a config and docs/options.md."""

import dataclasses
import pathlib
import re

import pytest

from lhrcnn import config
from lhrcnn.config.describe import meaning
from lhrcnn.config.schema import Config, allowed, option
from lhrcnn.models.backbones import BACKBONES

ROOT = pathlib.Path(__file__).resolve().parents[2]


def options(node, prefix=""):
    """(dotted name, field) of every option."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from options(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field


OPTIONS = dict(options(Config()))


def test_the_page_of_options_is_that_of_the_schema(monkeypatch):
    monkeypatch.delitem(BACKBONES, "small")  # of the tests
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert page == config.markdown(), "lhrcnn config --markdown > docs/options.md makes it anew"


def test_every_option_has_a_row_with_what_it_allows():
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", config.markdown(), re.MULTILINE)
    assert [name for name, _ in rows] == [name.rpartition(".")[2] for name in OPTIONS]
    for (_, row), field in zip(rows, OPTIONS.values()):
        assert field.metadata["meaning"] in row
        assert all(f"`{choice}`" in row for choice in allowed(field) or ())
    limits = {name: row.rpartition("| ")[2].strip() for name, row in rows}
    assert limits["min_crop"] == "above 0 to 1" and limits["ema_decay"] == "from 0 to below 1"
    assert limits["target_std"] == "4 numbers: above 0" and limits["warmup_steps"] == "from 0"


def test_the_description_is_yaml_of_the_config(tmp_path):
    changed = config.load(None, ["train.epochs=3", "data.classes=[a b, c]"])
    text = config.describe(changed)
    assert all(field.metadata["meaning"] in text for field in OPTIONS.values())
    (tmp_path / "described.yaml").write_text(text, encoding="utf-8")
    assert config.load(tmp_path / "described.yaml") == changed


@pytest.mark.parametrize("name", OPTIONS)
def test_values_that_a_meaning_explains_are_allowed(name):
    """`step: times ...; cosine: to ...` explains two values of train.schedule."""
    choices = allowed(OPTIONS[name])
    if choices:
        text = OPTIONS[name].metadata["meaning"]
        explained = [word for word in re.findall(r"(?:^|; )([a-z]\w*): ", text) if word != "empty"]
        if len(explained) > 1:
            assert set(explained) <= set(choices)


def test_choices_are_read_when_they_are_needed(monkeypatch):
    from lhrcnn.evaluation.metrics import METRICS

    field = OPTIONS["eval.metrics"]
    monkeypatch.setitem(METRICS, "mine", METRICS["coco"])
    assert "mine" in allowed(field) and ", mine]" in meaning(field)
    assert config.load(None, ["eval.metrics=[mine]"]).eval.metrics == ["mine"]


def test_an_option_has_a_default_of_its_own():
    @dataclasses.dataclass(frozen=True)
    class Two:
        names: list[str] = option([], "names")

    assert Two().names is not Two().names
