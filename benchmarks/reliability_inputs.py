"""Damaged files of every kind and the commands that read them, for `reliability.py`."""

import shutil

import fuzz_readers
import fuzz_seeds


def cases(root, whole, rng):
    """Yields (kind, words of a command, whether parts may well be readable) and makes the files
    below the folder `root`, which holds the data set `shapes`; `whole` is a run, rng a
    random.Random."""
    image = next((root / "shapes" / "val").glob("*.jpg"))
    output = ["--output", str(root / "output")]
    yield from annotations(root / "annotations")
    yield from damaged_runs(root / "damaged", whole, image, output, rng)
    yield from damaged_files(root / "files", whole, output)


def annotations(root):
    """Every data format with odd numbers and deep nesting, there or in a file beside."""
    for name in (*fuzz_seeds.ANNOTATIONS, *fuzz_seeds.BESIDE):
        of = fuzz_seeds.BESIDE.get(name, (name,))[0]
        for number, content in enumerate(fuzz_seeds.seeds(name)[1:]):
            folder = root / f"{name}_{number}"
            path, _ = fuzz_readers.prepared(name, folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            split = fuzz_seeds.SPLITS.get(of, "*")
            options = ["--split", split, "--set", f"data.format={of}", "--data_dir", str(folder)]
            yield "annotations", ["data", "check", *options], True


def damaged_runs(root, whole, image, output, rng):
    """A run directory with a file that is empty, cut or overwritten, for each command."""
    for name in ("config.yaml", "classes.json", "checkpoints"):
        for number in range(4):
            run = root / f"{name}_{number}"
            shutil.copytree(whole, run)
            for path in sorted(run.glob(f"{name}/*.npz")) or [run / name]:
                data = path.read_bytes()
                noise = rng.randbytes(len(data) // 4 + 1)
                path.write_bytes((b"", data[: len(data) // 2], noise, noise + data[1:])[number])
            (run / "checkpoints" / "index.json").unlink()
            for words in (["eval"], ["predict", str(image), *output], ["export", *output]):
                yield "run directory", [words[0], "--run_dir", str(run), *words[1:]], False
    for number, content in enumerate(fuzz_seeds.seeds("index")[1:]):
        run = root / f"index_{number}"
        shutil.copytree(whole, run)
        (run / "checkpoints" / "index.json").write_bytes(content)
        yield "index of checkpoints", ["predict", str(image), "--run_dir", str(run), *output], True


def damaged_files(root, whole, output):
    """Images, configs and weights of others."""
    root.mkdir()
    for number, content in enumerate(fuzz_seeds.images()):
        for part, cut in enumerate((content[:9], content[: len(content) // 3], content[::-1])):
            path = root / f"image_{number}_{part}.jpg"
            path.write_bytes(cut)
            yield "image", ["predict", str(path), "--run_dir", str(whole), *output], False
    for number, content in enumerate(fuzz_seeds.seeds("config")[1:]):
        path = root / f"{number}.yaml"
        path.write_bytes(b"- " + content)
        yield "config", ["config", str(path)], False
    for name, ending in fuzz_seeds.WEIGHTS.items():
        if name.startswith("tf_"):
            continue  # not one file; `convert` of them is no case here
        content = fuzz_seeds.seeds(name)[0]
        for number, cut in enumerate((b"", content[: len(content) // 2], content[50:], content)):
            path = root / f"{name}_{number}{ending}"
            path.write_bytes(cut)
            words = ["convert", "--source", "torchvision", "--checkpoint", str(path)]
            words += ["--config", "faster_rcnn_resnet50_fpn_coco_torchvision", *output]
            yield "weights", words, False
