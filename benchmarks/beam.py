"""`lhrcnn predict --runner beam`, by Beam's local runner, against `lhrcnn predict`: images/s of a
process, by turns; and its memory over many images.

    python benchmarks/beam.py [--run_dir RUN] [--images 1024] [--rounds 3] [--number 100000]

Needs the extra `beam`. Images are JPEG files of 64 sizes, linked under as many names as are asked
for, small ones in the second part; --images 0 or --number 0 leaves a part out.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import measure
from predict import make_images

LEAST = 0.85  # of the images/s of `lhrcnn predict`
FLAT = 1.1  # times the memory at a quarter of the images
FILES = 64


def link(folder, number, sides):
    """Makes `number` names of a few image files in a folder that is returned."""
    made, links = folder / f"made_{sides[0]}", folder / f"images_{number}"
    made.mkdir()
    make_images(made, FILES, sides)
    files = sorted(made.iterdir())
    for index in range(number):
        if index % 1000 == 0:
            (links / f"{index // 1000:03d}").mkdir(parents=True)
        os.link(files[index % FILES], links / f"{index // 1000:03d}" / f"{index:06d}.jpg")
    return links


def speed(report, arguments, folder):
    """Both ways by turns, with one detector."""
    from lhrcnn.files import Output
    from lhrcnn.inference import beam, bulk
    from lhrcnn.inference.collecting import Collector
    from lhrcnn.inference.sources import find_sources, output_names

    flags = bulk.DetectorFlags(run_dir=arguments.run_dir)
    detector, target = flags.open(), folder / "found"
    paths = find_sources([str(link(folder, arguments.images, (160, 1000)))]).images

    def predict():
        collector = Collector(detector, Output(target), 0.5, draw=False)
        for _ in collector.detect_images(paths, output_names(paths, ".jpg")):
            pass

    def pipeline():
        shutil.rmtree(target, ignore_errors=True)
        output = Output(target)
        job = bulk.start(output, paths, flags._asdict(), 0.5)
        beam.run(job, flags, detector)
        bulk.collect(job, output, detector.class_names, detector.category_ids)

    cases = {"lhrcnn predict": measure.timed(predict), "--runner beam": measure.timed(pipeline)}
    times = measure.by_turns(cases, arguments.rounds, warm_up=1)
    report.table(
        (f"{len(paths)} images", "images/s"),
        [(name, 1e3 * len(paths) / measure.median(times[name])) for name in cases],
    )
    ratio = measure.ratio(times, "lhrcnn predict", "--runner beam")
    report.check("images/s, of lhrcnn predict", ratio, LEAST, least=True)


def memory(report, arguments, folder):
    """Resident memory of the command while it goes through all images."""
    target, start = folder / "many", time.monotonic()
    words = ["predict", str(link(folder, arguments.number, (64, 160))), "--runner=beam"]
    words += ["--output", str(target), "--run_dir", arguments.run_dir]
    process = subprocess.Popen([sys.executable, "-m", "lhrcnn", *words])
    seen = []
    while process.poll() is None:
        time.sleep(1)
        done = len(list(target.glob("shards/*.jsonl")))
        pages = pathlib.Path(f"/proc/{process.pid}/statm").read_text(encoding="utf-8").split()
        if len(pages) > 1 and done:
            seen.append((done, int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20))
    assert process.returncode == 0, process.returncode
    last = max(done for done, _ in seen)
    rows = []
    for tenth in range(1, 11):
        done, megabytes = next(row for row in seen if row[0] >= tenth * last / 10)
        rows.append((f"{min(256 * done, arguments.number)} images", megabytes))
    report.table(("after", "MB resident"), rows)
    seconds = time.monotonic() - start
    print(f"{arguments.number} images in {seconds:.0f} s, the command as a whole\n")
    quarter = next(megabytes for done, megabytes in seen if done >= last / 4)
    highest = max(megabytes for done, megabytes in seen if done >= last / 4)
    report.check("memory, of that after a quarter", highest / quarter, FLAT)


def main():
    arguments = measure.parse(
        __doc__, rounds=3, run_dir="light_head_mobilenet_v2_voc07_144", images=1024, number=100000
    )
    report = measure.Report("Prediction by a Beam pipeline", arguments)
    with tempfile.TemporaryDirectory() as name:
        if arguments.images:
            speed(report, arguments, pathlib.Path(name))
        if arguments.number:
            memory(report, arguments, pathlib.Path(name))
    report.finish()


if __name__ == "__main__":
    main()
