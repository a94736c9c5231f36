"""``python -m flowsynth``: the command line."""

from flowsynth.cli import entry

if __name__ == "__main__":
    entry()
