"""``python -m arthexis`` is the command ``arthexis``."""

from arthexis.cli.main import main

if __name__ == "__main__":
    main(prog_name="arthexis")
