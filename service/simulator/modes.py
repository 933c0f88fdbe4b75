"""The ways of going on with an answer that was begun; `answers.continuation` goes them."""

EXACT = "exact"  # on from the very character
REPEAT = "repeat"  # some words of the end once more, then on
RESTART = "restart"  # the same answer from its start
REWORDED = "reworded"  # from its start, in other words
PREAMBLE = "preamble"  # "Sure, continuing:", then on
MODES = (EXACT, REPEAT, RESTART, REWORDED, PREAMBLE)
SEEDED = "seeded"  # one of them, by the seed and the prompt
