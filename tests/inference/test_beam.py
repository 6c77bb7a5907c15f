"""Pipelines of Apache Beam, by its local runner; skipped where it is not installed (it needs other
versions than requirements.lock: requirements-beam.lock)."""

import json
import tarfile

import pytest
from inference.conftest import draw_image
from PIL import Image
from training.tiny_run import make_coco

from lhrcnn import cli
from lhrcnn.errors import UsageError

pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
beam = pytest.importorskip("lhrcnn.inference.beam")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(5):
        image = Image.fromarray(draw_image(50, 60 + 10 * number, number))
        image.save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def predict(*words):
    return cli.main(["predict", *map(str, words)])


def read(folder):
    return json.loads((folder / "detections.json").read_text(encoding="utf-8"))


def test_a_pipeline_finds_what_predict_finds(photos, run_dir, capsys):
    flags = ["--run_dir", run_dir, "--score_threshold", 0]
    assert predict(photos, *flags, "--no_draw", "--output", "plain") == 0
    assert predict(photos, *flags, "--runner", "beam", "--output", "shards") == 0
    assert read(photos.parent / "plain") == read(photos.parent / "shards")
    assert "5 images, " in capsys.readouterr().out
    assert predict(photos, *flags, "--runner", "beam", "--output", "shards") == 0
    assert "shards to do: 0 of 1, in shards/shards" in capsys.readouterr().out


def test_archives_and_images_that_cannot_be_used(photos, run_dir, capsys):
    (photos / "5.png").write_text("no image")
    with tarfile.open("all.tar", "w") as archive:
        archive.add(photos, "in")
    assert predict("all.tar", "--run_dir", run_dir, "--runner=beam", "--output=found") == 1
    captured = capsys.readouterr()
    assert "5 images, " in captured.out and "1 of 6 images could not be used" in captured.err
    failed = (photos.parent / "found" / "failed.jsonl").read_text().splitlines()
    assert json.loads(failed[0])["file_name"] == "all.tar/in/5.png" and len(failed) == 1


def test_eval_scores_the_same(tmp_path, run_dir, capsys):
    data = make_coco(tmp_path / "data")
    path = data / "annotations" / "instances_val.json"
    path.write_text(path.read_text().replace('"red"', '"circle"').replace('"blue"', '"hot dog"'))
    words = ["eval", f"--run_dir={run_dir}", "--set=data.format=coco", f"--data_dir={data}"]
    words += ["--split=val", "--output"]
    assert cli.main([*words, str(tmp_path / "plain.json")]) == 0
    assert cli.main([*words, str(tmp_path / "beam.json"), "--runner=beam"]) == 0, (
        capsys.readouterr()
    )
    plain, shards = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("plain", "beam"))
    assert plain == shards and plain["images"] == 3
    assert len(list((tmp_path / "beam_beam" / "shards").iterdir())) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["empty"], "no image"),
        (["photos", "--beam_options=--direct_num_worker=2"], "no option direct_num_worker"),
        (["photos", "--beam_options=--direct_num_workers=x"], "invalid int value: 'x'"),
        (["photos", "--save=txt"], "--save has no meaning beside --runner beam"),
        (["photos", "--beam_options=--runner=Fink"], "Unexpected pipeline runner: Fink"),
    ],
)
def test_wrong_usage_is_one_line_before_anything_starts(photos, run_dir, capsys, words, message):
    (photos.parent / "empty").mkdir()
    assert predict(*words, "--run_dir", run_dir, "--runner=beam") in (1, 2)
    captured = capsys.readouterr()
    assert message in captured.err and "Traceback" not in captured.err


def test_options_of_other_runners_are_passed_on():
    text = "--runner=FlinkRunner --flink_master=host:8081 --parallelism=4 --job_name='a b'"
    options = beam.parse(text).get_all_options(drop_default=True)
    assert options == {
        "runner": "FlinkRunner",
        "flink_master": "host:8081",
        "parallelism": 4,
        "job_name": "a b",
    }
    assert beam.parse("").get_all_options()["runner"] == beam.LOCAL
    with pytest.raises(UsageError, match="No closing quotation"):
        beam.parse("'")
