"""Trains a detector; the same as `lhrcnn train`. `python train_main.py --help` lists the flags."""

import sys

from lhrcnn import cli

if __name__ == "__main__":
    sys.exit(cli.main(["train", *sys.argv[1:]]))
