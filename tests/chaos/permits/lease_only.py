"""The permits as every semaphore on leases has them: what a lapsed lease held is free at once.

The proof that the rig can see a fault: under a stopped worker this must go over the tier.
"""

from service.store import functions
from service.store.functions import Library
from service.store.permit_steps import library

FILE = "permits_sessions"
BEGINS = "local function quarantine(step, name, timing)\n"
ENDS = "\nend\n"
INSTEAD = """local function quarantine(step, name, timing)
  if not session_of(step, name) then return end
  free_all(step, name, 0)
  remove_session(step, name)
end
"""
NEEDS = ("local function free_all(", "local function remove_session(")


def lease_only() -> Library:
    """The product's functions without the quarantine. Raises ValueError where they have none."""
    return library(**{FILE: without_quarantine(functions.read(FILE))})


def without_quarantine(text: str) -> str:
    """``text`` of `permits_sessions.lua` with the body of ``quarantine`` replaced."""
    begins = text.find(BEGINS)
    ends = text.find(ENDS, begins)
    if begins < 0 or ends < 0 or not all(name in text for name in NEEDS):
        raise ValueError(f"{FILE}.lua: the quarantine is no longer where this takes it out")
    rest = text[:begins] + text[ends + len(ENDS) :]
    # What it calls may be defined below it; then it has to stand below that.
    at = max(rest.index(ENDS, rest.index(name)) + len(ENDS) for name in NEEDS)
    at = max(at, begins)
    return rest[:at] + "\n" + INSTEAD + rest[at:]
