#!/bin/sh
# One would guess: samples that WebDataset's TarWriter took come out of its reader as they went in.
# It is not so (webdataset 1.0.2): the writer takes keys with dots, and the reader ends a key at the first one.
#   Roboflow names the copies of an image street_jpg.rf.0a1b.jpg, street_jpg.rf.7c2d.jpg ...: they come out
#   as ONE sample, whose fields are called rf.0a1b.jpg, rf.0a1b.json, ... There is no field "jpg" then:
#   with handler=ignore_and_continue all of them are skipped and the epoch is empty, and with
#   missing_is_error=False image and boxes are None.
# It matters: four images with boxes are two samples without any.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile webdataset==1.0.2
venv/bin/python - 2> log <<'EOP' || { cat log; exit 1; }
import importlib.metadata, sys
import webdataset

DOTS = ["street_jpg.rf.0a1b", "street_jpg.rf.7c2d", "street_jpg.rf.9e3f", "yard_jpg.rf.11aa"]


def written_and_read(names):
    """Keys of the samples read, and how many of them give an image with boxes."""
    with webdataset.TarWriter("shard.tar") as writer:
        for number, name in enumerate(names):
            boxes = {"boxes": [[number, 0, 10, 10]]}
            writer.write({"__key__": name, "jpg": b"an image", "json": boxes})
    read = lambda: webdataset.WebDataset("shard.tar", shardshuffle=False)
    pairs = read().to_tuple("jpg", "json", handler=webdataset.ignore_and_continue)
    return [sample["__key__"] for sample in read()], len(list(pairs))


found = {}
print("webdataset", importlib.metadata.version("webdataset"), "- four images with boxes each:")
for kind, names in {"with dots": DOTS, "without": [name.replace(".", "_") for name in DOTS]}.items():
    found[kind] = keys, pairs = written_and_read(names)
    print(f"  {kind:9} {len(keys)} samples ({', '.join(keys)}), {pairs} with image and boxes")
dots, none = found["with dots"], found["without"]
same = len(none[0]) == none[1] == 4
sys.exit(0 if dots == (["street_jpg", "yard_jpg"], 0) and same else "changed")
EOP
