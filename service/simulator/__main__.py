"""`python -m service.simulator`: the same as `parley simulate`."""

from service.simulator.command import simulate

if __name__ == "__main__":
    simulate()
