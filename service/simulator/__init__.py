"""The model's API in a process of its own, for tests, demos and load.

It speaks what the real endpoint speaks: the same paths, keys, validation order, error bodies, SSE
shapes, usage and concurrency tier, so that a client cannot tell it from the real one by protocol.
What it says is deterministic by seed and comes from the shop's own facts in the system message;
every failure that was ever seen or reported of the real endpoint can be switched on (`faults`).

The life of a request: `chat` reads it, `auth`, `validation` and `admission` refuse it in the real
endpoint's order, `work` counts it until the end of work, `answers` writes the text, `plan` turns
the text and the faults into steps, `playback` plays them by deadline. `control` and `stats` are
the test's side: they are not part of the model's API and answer only the machine itself.

It stands alone: nothing of the server is imported, and the server imports nothing of it but the
command.
"""
