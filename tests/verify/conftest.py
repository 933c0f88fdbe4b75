"""Searches need spin: tests/conftest.py skips them, and says so, where it is not installed."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "spin: needs the model checker spin and a C compiler")
