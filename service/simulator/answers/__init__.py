"""The demo's brain: what the simulated model says.

Deterministic and small, yet useful: it reads the shop's facts in the system message (`facts`),
understands which of some forty shop topics, places and colours a question is about in any of 26
languages (`lexicon`, `detection`), resolves follow-ups with what was asked before (`question`),
finds the best passage and its sentences (`search`) and answers in the customer's language
(`wording`). It invents nothing: what it says of the shop is quoted from the facts.
"""

from service.simulator.answers.brain import compose
from service.simulator.answers.continuation import begun
from service.simulator.answers.reply import Reply

__all__ = ["Reply", "begun", "compose"]
