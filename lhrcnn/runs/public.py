"""Public checkpoints by name: downloaded once, checked, converted, and kept as run directories.

They are listed in zoo/public.tsv. $LHRCNN_ZOO_URL is a mirror: a folder of the web that has files
of the same names.
"""

import csv
import os
import pathlib
import re
import shutil
import tempfile
import typing

from lhrcnn import config as configs
from lhrcnn.config.shipped import find_config
from lhrcnn.errors import DownloadError
from lhrcnn.files import cache_dir

TABLE = pathlib.Path(__file__).parents[1] / "zoo" / "public.tsv"


class PublicModel(typing.NamedTuple):
    """A row of the table."""

    name: str
    source: str  # of weights.sources.SOURCES
    config: str  # the shipped config that describes it
    changes: str  # and what differs from it, "section.key=value" separated by spaces
    ap: str  # box AP on COCO val2017, as published
    megabytes: str  # of its weights
    time: str  # of detection, as a multiple of the first model's: benchmarks/zoo.py
    licence: str
    url: str  # the file's name ends with the first 8 digits of its sha256

    @property
    def sha256(self):
        """The first digits of the file's."""
        return re.search(r"-([0-9a-f]{8,})\.pth$", self.url)[1]

    @property
    def address(self):
        """Where the file is downloaded from."""
        mirror = os.environ.get("LHRCNN_ZOO_URL")
        return f"{mirror.rstrip('/')}/{self.url.rpartition('/')[2]}" if mirror else self.url

    @property
    def folder(self):
        """Its run directory, once it has been converted."""
        return cache_dir() / "zoo" / self.name


def models():
    """{name: PublicModel} of all that are known."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        rows = csv.reader((line for line in file if not line.startswith("#")), delimiter="\t")
        next(rows)  # names of the columns
        return {row[0]: PublicModel(*row) for row in rows}


def get(name, file=None):
    """The folder of a public model's run directory; it is made, once, from what is downloaded.

    file: its checkpoint, where that is here already. Raises DownloadError where it cannot be had or
    has another sha256, CheckpointError where it does not fit."""
    from lhrcnn.runs.download import check, download  # urllib takes a while to import

    model = models()[name]
    if model.folder.is_dir() and not file:
        return model.folder
    if file:
        if not pathlib.Path(file).is_file():
            raise DownloadError(f"{file}: no such file; {name} is to be had at {model.address}")
        check(file, model.sha256, file)
        return _converted(model, file)
    print(f"{name}: {model.address} ({model.licence})", flush=True)
    downloads = model.folder.parent / "downloads"
    path = download(model.address, downloads / model.url.rpartition("/")[2], model.sha256)
    folder = _converted(model, path)
    path.unlink()
    return folder


def _converted(model, file):
    """The run directory made of a checkpoint; whole or not at all."""
    from lhrcnn.runs.convert import convert  # needs TensorFlow

    config = configs.load(find_config(model.config), model.changes.split())
    model.folder.parent.mkdir(parents=True, exist_ok=True)
    staging = pathlib.Path(tempfile.mkdtemp(dir=model.folder.parent, prefix=f".{model.name}-"))
    try:
        convert(model.source, file, config, staging / "run")
        shutil.rmtree(model.folder, ignore_errors=True)
        os.replace(staging / "run", model.folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return model.folder
