"""The sample shop that `parley demo` shows: its pages, its goods, and its declaration."""
