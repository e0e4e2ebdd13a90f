"""python -m labs.internet DIRECTORY: writes what follows from its internet.yaml."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from labs.internet.files import files
from labs.internet.world import load_internet


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m labs.internet", description="Writes a lab out of internet.yaml.")
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args(arguments).directory
    try:
        texts = files(load_internet(directory / "internet.yaml"))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for path, text in texts.items():
        (directory / path).write_text(text, encoding="utf-8")
    print(f"wrote {len(texts)} files below {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
