"""Files that appear whole or not at all."""

import os
import subprocess
import sys

import pytest

from lhrcnn.errors import OutputError
from lhrcnn.files import Output, check_writable, held, replacing


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, before):
    path = tmp_path / "file.txt"
    if before:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt), replacing(path, "w") as file:
        file.write("half of")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == (["file.txt"] if before else []) and (
        not before or path.read_text() == before
    )
    with replacing(path, "w") as file:
        file.write("Größe")
        file.flush()
        assert path.exists() == bool(before)
    assert os.listdir(tmp_path) == ["file.txt"] and path.read_text(encoding="utf-8") == "Größe"


def test_a_new_file_has_the_rights_that_the_process_gives(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with replacing(tmp_path / "replaced"):
        pass
    assert (tmp_path / "replaced").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_is_made_and_one_that_cannot_be_written_to_is_named(tmp_path):
    check_writable(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").is_dir() and not os.listdir(tmp_path / "new" / "folder")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match="file.run: not a folder that can be written to: .*; give another --run_dir"
    ):
        check_writable(tmp_path / "file" / "run", "--run_dir")


def test_a_folder_is_held_by_one_process_until_it_dies(tmp_path):
    script = (
        f"from lhrcnn.files import held\nwith held({str(tmp_path)!r}):\n"
        "    print('held', flush=True)\n    input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(
                OSError,
                match=f"{tmp_path.name}: another process is writing there; .* another --run_dir",
            ),
            held(tmp_path, "--run_dir"),
        ):
            raise AssertionError("both hold it")
        other.kill()
    with held(tmp_path):
        pass


def test_names_of_no_encoding_are_listed_and_names_of_two_lines_are_not(tmp_path):
    odd, two = os.fsdecode(b"caf\xe9.txt"), "a\nb.txt"
    output = Output(tmp_path)
    for name in (odd, two):
        output.write(name, odd)
    again = Output(tmp_path)
    assert again.owns(odd) and not again.owns(two) and again.others() == [two]
    assert (tmp_path / odd).read_text() == "caf\\udce9.txt"


def test_a_name_may_be_as_long_as_the_system_takes(tmp_path):
    name = "é" * 126 + ".t"
    Output(tmp_path).write(name, "x")
    assert (tmp_path / name).read_text() == "x"


def test_two_processes_may_write_into_one_folder(tmp_path):
    """As two commands without --output do; the later one is not refused at its end."""
    first, second = Output(tmp_path), Output(tmp_path)
    first.write("detections.json", "1")
    second.write("detections.json", "2")
    assert (tmp_path / "detections.json").read_text() == "2"
    (tmp_path / "detections.json").write_text("mine")
    with pytest.raises(OutputError, match="did not write it or it has changed"):
        first.write("detections.json", "3")
