"""Modules and files of the user that a config names: found, imported once, recorded, explained."""

import re
import shlex
import sys

import pytest

from lhrcnn import cli, config
from lhrcnn.config.plugins import import_plugins
from lhrcnn.errors import ConfigError, LhrcnnError


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """The working directory is an empty folder, Python's path is afterwards what it was, and no
    plugin has been named before."""
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", list(sys.path))


def counted(path, name="counted"):
    """A plugin that counts how often it is executed, in a file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"import pathlib\nwith open({str(path)!r} + '.{name}', 'a') as f: f.write('x')")
    return path


def test_a_file_is_found_beside_the_config_and_in_the_working_directory(tmp_path):
    counted(tmp_path / "there" / "mine.py")
    file = tmp_path / "there" / "a.yaml"
    file.write_text("plugins: [mine.py]")
    for _ in range(2):
        loaded = config.load(file)
    assert loaded.plugins == [str(tmp_path / "there" / "mine.py")]
    assert (tmp_path / "there" / "mine.py.counted").read_text() == "x"  # once
    counted(tmp_path / "here" / "mine.py")
    assert config.load(None, ["plugins=[mine.py]"]).plugins == [str(tmp_path / "here" / "mine.py")]
    assert (tmp_path / "here" / "mine.py.counted").read_text() == "x"
    child = tmp_path / "b.yaml"
    child.write_text("base: there/a.yaml")
    assert config.load(child).plugins == loaded.plugins


def test_a_module_is_found_in_the_working_directory(tmp_path):
    counted(tmp_path / "here" / "mine_of_tests" / "parts.py")
    loaded = config.load(None, {"plugins": ["mine_of_tests.parts"]})
    assert loaded.plugins == ["mine_of_tests.parts"] and "mine_of_tests.parts" in sys.modules


@pytest.fixture
def run(tmp_path):
    """A function (its config's text) -> the config file of a run directory."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "classes.json").write_text("{}")

    def made(text):
        (folder / "config.yaml").write_text(text)
        return folder / "config.yaml"

    return made


def test_a_run_finds_its_plugins_from_another_folder(tmp_path, monkeypatch, run):
    counted(tmp_path / "here" / "moved.py")
    loaded = config.load(None, ["plugins=[moved.py]"])
    file = run(config.dump(loaded))
    monkeypatch.chdir(tmp_path)
    assert config.load(file) == loaded
    # On another machine, or with its folder gone, the working directory is looked into.
    (tmp_path / "here" / "moved.py").rename(tmp_path / "moved.py")
    with pytest.raises(ConfigError, match=f"never named here: {tmp_path}/moved.py"):
        config.load(file)
    found = config.load(file, [f"plugins=[{tmp_path}/moved.py]"])
    assert found.plugins == [str(tmp_path / "moved.py")] == config.load(file).plugins
    (tmp_path / "moved.py").rename(tmp_path / "other.py")
    with pytest.raises(ConfigError, match="here/moved.py: no such file"):
        config.load(file)
    found = config.load(file, ["plugins=[other.py]"])
    assert found.plugins == [str(tmp_path / "other.py")]


@pytest.mark.parametrize("beside", ["classes.json", "export.json"])  # a run; an exported model
@pytest.mark.parametrize("name", ["evil.py", "run.evil", "run/evil.py", "{}/run/evil.py"])
def test_a_folder_of_a_model_brings_no_code(tmp_path, monkeypatch, name, beside, run):
    counted(tmp_path / "run" / "evil.py")
    (tmp_path / "run" / "classes.json").rename(tmp_path / "run" / beside)
    monkeypatch.chdir(tmp_path)
    text = f"plugins: [{name.format(tmp_path)}]"
    (tmp_path / "run" / "part.yaml").write_text(text)
    for content in (text, "base: part.yaml", "base: part.yaml\nmodel: {head: {kind: mine}}"):
        with pytest.raises(ConfigError, match="never named here: .*evil") as error:
            config.load(run(content), ["train.max_steps=1"])
    told = re.search(
        "once: lhrcnn (config .*/run --set plugins=.*); --set plugins=", str(error.value)
    )
    assert config.load(run(text), ["plugins=[]"]).plugins == []
    assert not (tmp_path / "run" / "evil.py.counted").exists()
    for module in ("run", "run.evil"):  # that another folder had
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert cli.main(shlex.split(told[1])) == 0
    assert (tmp_path / "run" / "evil.py.counted").exists()
    config.load(run(text))


def test_a_module_of_the_same_name_elsewhere_is_another_one(tmp_path, monkeypatch, run):
    counted(tmp_path / "here" / "alike" / "parts.py")
    config.load(None, {"plugins": ["alike.parts"]})
    (tmp_path / "there").mkdir()
    counted(tmp_path / "there" / "alike" / "parts.py")
    monkeypatch.chdir(tmp_path / "there")
    sys.path.remove(str(tmp_path / "here"))
    with pytest.raises(ConfigError, match="never named here: alike.parts"):
        config.load(run("plugins: [alike.parts]"))


@pytest.mark.parametrize(
    "text, words",
    [
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of"),
        ("1 / 0", "ZeroDivisionError"),
        ("def f(:", "SyntaxError"),
    ],
)
@pytest.mark.parametrize("name", ["failing.py", "failing"])
def test_a_plugin_that_fails_is_named_each_time(tmp_path, name, text, words):
    (tmp_path / "here" / "failing.py").write_text(text)
    for _ in range(2):
        with pytest.raises(LhrcnnError) as error:
            config.load(None, {"plugins": [name]})
        assert f"'plugins': {name}" in str(error.value).replace(f"{tmp_path}/here/", "")
        assert words in str(error.value) and error.value.__cause__ is not None
    sys.modules.pop("failing", None)


def test_a_plugin_that_is_missing_is_named():
    with pytest.raises(ConfigError, match="'plugins': no_such_file.py: no such file"):
        import_plugins(["no_such_file.py"])
    with pytest.raises(ConfigError, match="'plugins': there is no module no_such_package.part"):
        import_plugins(["no_such_package.part"])


def test_a_packed_run_names_its_plugins_without_folders(tmp_path):
    from lhrcnn.runs.pack import portable

    counted(tmp_path / "here" / "packed.py")
    loaded = config.load(None, ["plugins=[packed.py]"])
    assert portable(loaded).plugins == ["packed.py"] != loaded.plugins
