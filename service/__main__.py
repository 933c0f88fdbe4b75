"""`python -m service`: the same as `parley`."""

from service.cli import main

if __name__ == "__main__":
    main(prog_name="parley")
