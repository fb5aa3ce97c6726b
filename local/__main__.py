"""`python -m local <command>`: starts on a bare Python, builds the environment it needs, runs the command inside it."""

import sys

MINIMUM = (3, 13)


def main() -> int:
    """Refuse an old Python before anything is imported that such a Python could not even read."""
    found = tuple(sys.version_info[:2])
    if found < MINIMUM:
        sys.stderr.write(
            f"This project needs Python 3.13 or newer; this is Python {found[0]}.{found[1]} ({sys.executable}).\n"
            "Install Python 3.13 (https://www.python.org/downloads/) and run the command again with it, "
            "for example: python3.13 -m local run\n"
        )
        return 2
    from local.cli import main as command_line

    return command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
