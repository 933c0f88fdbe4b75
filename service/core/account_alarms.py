"""What an operator does about an account that the provider refuses, by the provider's code.

Waiting helps none of these, and neither do fewer requests: somebody has to act. Until then
customers read an apology with the site's contact.
"""

_BY_CODE: tuple[tuple[str, str], ...] = (
    ("1113", "the balance is used up: top it up in the provider's console"),
    ("1220", "the account may not use this model: check PARLEY_MODEL, or ask for it"),
    ("1304", "today's number of calls is used up: ask the provider for more, or wait for tomorrow"),
    ("10", "the key is refused: check PARLEY_MODEL_KEY, and restart with one that works"),
    ("11", "the account is inactive, locked or banned: the provider's console says which"),
    ("13", "the plan's quota is used up: the provider's console says when it begins anew"),
)
_ANY = "the provider refuses the account: check PARLEY_MODEL_KEY and the provider's console"


def advice(code: str) -> str:
    """What ``code`` means, and what to do. Any code has an answer; the longest match has it."""
    found = [text for beginning, text in _BY_CODE if code.startswith(beginning)]
    return found[0] if found else _ANY
