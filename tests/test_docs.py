"""What README, docs and the heads of configs say: commands, options, files and links exist."""

import pathlib
import re
import shlex

import command_lines
import pytest
import yaml

from lhrcnn import commands
from lhrcnn import config as configs
from lhrcnn.choices import resolve
from lhrcnn.errors import ConfigError
from lhrcnn.models.backbones import BACKBONES

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
CONFIG_NAME = re.compile(r"(?:light_head|faster_rcnn|locnet|rfcn|xception)_[a-z]\w*[a-z0-9]")
NOT_CONFIGS = ("light_head_rcnn",)  # the authors' code


def text_of(path):
    return path.read_text(encoding="utf-8")


def shown(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_commands_of_pages_can_be_typed(path):
    for words in command_lines.of_page(text_of(path)):
        command_lines.check(words)


def test_commands_are_found():
    found = [words for path in PAGES for words in command_lines.of_page(text_of(path))]
    named = {words[1] for words in found if words[0] == "lhrcnn" and words[1:]}
    assert {"train", "eval", "predict", "export", "data", "zoo", "convert", "pretrain"} <= named
    assert len(found) > 50
    readme = command_lines.of_page(text_of(ROOT / "README.md"))
    assert ["make", "demo"] in readme and ["make", "test"] in readme


@pytest.mark.parametrize(
    "line",
    [
        "lhrcnn trian",
        "lhrcnn train --confg x",
        "lhrcnn train --config no_such_config",
        "lhrcnn train --set train.epoch=3",
        "lhrcnn train --set train.epochs=3 train.batch_size=2",
        "lhrcnn eval --run_dir RUN --set test.flip=maybe",
        "lhrcnn train --init_from no_such_model",
        "lhrcnn predict docs/no_such_image.jpg",
        "python benchmarks/no_such.py",
        "python train_main.py --set data.format=nonsense",
        "make no",
    ],
)
def test_wrong_commands_are_noticed(line):
    with pytest.raises((AssertionError, ValueError)):
        command_lines.check(shlex.split(line))


def test_commands_are_read_from_code_and_prose():
    page = """Say `lhrcnn zoo` or

    X="--set train.epochs=1"
    lhrcnn train $X \\
        --seed 3   # a comment

```python
make = "no"
```
"""
    train = ["lhrcnn", "train", "--set", "train.epochs=1", "--seed", "3"]
    assert command_lines.of_page(page) == [train, ["lhrcnn", "zoo"]]


@pytest.mark.parametrize("path", CONFIGS, ids=shown)
def test_heads_of_configs_say_what_can_be_typed(path):
    comments = [line.lstrip("# ") for line in text_of(path).splitlines() if line[:1] == "#"]
    assert all(len(line) <= 100 for line in text_of(path).splitlines())
    head = " ".join(comments)
    assert head, "a config says at its head what it reproduces"
    for line in command_lines.between_backticks(head):
        command_lines.check(shlex.split(line))
    settings = re.findall(r"--set ('[^']*'|[^\s`]+)( [a-z]\w*\.[a-z_.]+=)?", head)
    assert len(settings) == head.count("--set ")
    for setting, another in settings:
        assert not another, f"{another}: needs a --set of its own"
        key, equals, value = setting.strip("'").rstrip(".,;:)").partition("=")
        assert equals and "." in key, setting
        if not re.fullmatch("[A-Z_]+", value):
            _load_alone(path, f"{key}={value}")
    for name in set(CONFIG_NAME.findall(head)) - set(NOT_CONFIGS):
        assert commands.find_config(name), name


def _load_alone(path, override):
    """Loads a config with one option changed; a rule may ask for the options named beside it."""
    try:
        configs.load(path, [override])
    except ConfigError as error:
        assert "--set" not in str(error), error  # of the option itself: its name, type or value


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_links_resolve(path):
    text = re.sub(r"^```.*?^```$", "", text_of(path), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{shown(path)} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{shown(path)} links to {target}"


def anchors(path):
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text_of(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_files_and_configs_named_in_pages_exist(path):
    for span in re.findall(r"`([^`\n]+)`", text_of(path)):
        if re.fullmatch(r"(lhrcnn|configs|custom_ops|tests|benchmarks|examples)/[\w./]+", span):
            assert (ROOT / span).exists(), f"{shown(path)}: {span}"
        if CONFIG_NAME.fullmatch(span) and span not in NOT_CONFIGS:
            row = list((ROOT / "results").glob(f"*/{span}"))  # of a laboratory book
            assert row or commands.find_config(span), span


def test_the_index_lists_every_page():
    linked = set(re.findall(r"\]\((\w+\.md)\)", text_of(ROOT / "docs" / "index.md")))
    assert linked == {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}


def test_tables_of_choices_are_those_of_the_dicts(monkeypatch):
    monkeypatch.delitem(BACKBONES, "small")  # of the tests
    page = text_of(ROOT / "docs" / "extending.md")
    where = dict(re.findall(r"^\| `([A-Z]+)` \| `([\w/]+)/__init__\.py` \|", page, re.MULTILINE))
    names = page.split("## What there is")[1]
    listed = dict(re.findall(r"^\| `([A-Z]+)` \| (`[^|]*`) \|$", names, re.MULTILINE))
    assert listed
    for name, row in listed.items():
        entries = resolve(f"{where[name].replace('/', '.')}:{name}")
        assert re.findall(r"`(\w+)`", row) == list(entries), name


def blocks(path, language):
    """The fenced blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(path), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_blocks_of_code_are_well_formed(path, tmp_path):
    for number, block in enumerate(blocks(path, "python")):
        compile(block, f"{shown(path)}, block {number + 1}", "exec")
    for block in blocks(path, "yaml"):
        values = yaml.safe_load(block)
        if "apiVersion" in values:  # Kubernetes'
            continue
        values.pop("base", None)  # found beside the shipped configs only
        if "plugins" not in values:
            file = tmp_path / "block.yaml"
            file.write_text(yaml.safe_dump(values))
            configs.load(file)


def test_readme_finds_the_cat(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = {}
    exec(blocks(ROOT / "README.md", "python")[0], names)  # our own page
    assert list(names["found"].names)[:1] == ["cat"]
    assert names["found"].scores[0] > 0.9 and names["found"].boxes.shape[1:] == (4,)


def test_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= 120
