"""What every implementation of ``flows.ports.Log`` does: on a server, on a cluster, and in memory.

On the cluster each function is refused that touches keys of two slots: that the suite passes there
is the proof that none does.
"""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core import hints, wire
from service.core.errors import (
    ConversationGone,
    NoSuchMessage,
    NotRetryable,
    RateLimited,
    StepMissing,
    TurnLost,
)
from service.core.model import Position
from service.store import keys
from tests.support.eventually import eventually
from tests.support.log_rig import (
    Answer,
    World,
    answer,
    ask,
    begin,
    changed,
    decoded,
    kinds,
    offsets,
    read,
    send,
)

C = "conversation-1"
LEASE_MS = 3000
NOTICE = wire.notice("answer_failed", "Sorry.", "en")


@pytest.fixture
def a(world: World):
    """The first worker."""
    return world.log("a")


@pytest.fixture
def b(world: World):
    """The second worker."""
    return world.log("b")


@pytest.fixture(autouse=True)
async def conversation(world: World):
    await begin(world.log("a"), C)


# -- accepting --------------------------------------------------------------------------------


async def test_a_message_opens_a_turn_in_the_step_that_stores_it(a, world):
    accepted = await send(a, C, "Where is my parcel?")
    assert (accepted.m, accepted.offset, accepted.duplicate) == (1, 1, False)
    assert kinds(accepted.written.frames) == ["message.created", "answer.started"]
    turn = accepted.written.turn
    assert (turn.m, turn.answers, turn.attempt, turn.revision) == (2, (1,), 1, 1)
    created = decoded(accepted.written.frames)[0]["message"]
    assert created == {
        "m": 1, "time": world.now_ms, "author": "customer", "id": "Where is my parcel?",
        "text": "Where is my parcel?", "language": "en",
    }  # fmt: skip


async def test_the_same_id_again_gets_the_same_place_and_stores_nothing(a, world):
    first = await send(a, C, "Hello", id="id-00001")
    again = await send(a, C, "Hello", id="id-00001")
    assert (again.m, again.offset, again.duplicate) == (first.m, first.offset, True)
    assert kinds(await world.entries(C)) == ["message.created", "answer.started"]


async def test_the_same_id_from_many_sockets_of_two_workers_at_once_is_one_message_and_one_turn(
    a, b, world
):
    replies = await asyncio.gather(*(send(log, C, "Hello", id="id-00001") for log in [a, b] * 25))
    assert {(reply.m, reply.offset) for reply in replies} == {(1, 1)}
    assert sum(not reply.duplicate for reply in replies) == 1
    assert kinds(await world.entries(C)) == ["message.created", "answer.started"]
    owners = [log for log, reply in zip([a, b] * 25, replies, strict=True) if reply.written.turn]
    assert len({log.session for log in owners}) == 1, "two workers would run the turn"


async def test_an_id_told_again_shows_the_turn_only_while_nothing_of_its_answer_is_written(a, b):
    turn = await ask(a, C, "Hello", id="id-00001")
    assert (await send(a, C, "Hello", id="id-00001")).written.turn == turn
    assert (await send(b, C, "Hello", id="id-00001")).written.turn is None
    await Answer(a, C, turn).append("Hi")
    assert (await send(a, C, "Hello", id="id-00001")).written.turn is None


async def test_an_accepted_id_is_acknowledged_before_any_limit_is_looked_at(a):
    await send(a, C, "Hello", id="id-00001", a_minute=1)
    with pytest.raises(RateLimited):
        await send(a, C, "More", id="id-00002", a_minute=1)
    assert (await send(a, C, "Hello", id="id-00001", a_minute=1)).duplicate


@pytest.mark.parametrize("a_minute", [1, 7, 20, 60])
async def test_the_limit_is_so_many_messages_a_minute_and_says_when_the_next_one_may_come(
    a, world, a_minute
):
    for i in range(a_minute):
        await send(a, C, f"message-{i}", a_minute=a_minute)
    with pytest.raises(RateLimited) as refused:
        await send(a, C, "too-many", a_minute=a_minute)
    wait_ms = refused.value.retry_ms
    assert wait_ms == pytest.approx(60_000 / a_minute, abs=a_minute)
    await world.advance(wait_ms - 1)
    with pytest.raises(RateLimited) as refused:
        await send(a, C, "too-soon", a_minute=a_minute)
    assert refused.value.retry_ms == 1
    await world.advance(1)
    assert not (await send(a, C, "in-time", a_minute=a_minute)).duplicate
    with pytest.raises(RateLimited):
        await send(a, C, "one-more", a_minute=a_minute)


async def test_a_refused_message_leaves_nothing(a, world):
    await send(a, C, "message-1", a_minute=1)
    before = await world.entries(C)
    with pytest.raises(RateLimited):
        await send(a, C, "message-2", a_minute=1)
    assert await world.entries(C) == before
    assert (await a.attach(C, None)).newest == 2


async def test_after_a_quiet_minute_all_messages_of_a_minute_may_come_at_once(a, world):
    for i in range(5):
        await send(a, C, f"first-{i}", a_minute=5)
    await world.advance(60_000)
    for i in range(5):
        await send(a, C, f"second-{i}", a_minute=5)
    with pytest.raises(RateLimited):
        await send(a, C, "one-more", a_minute=5)


async def test_the_newest_256_ids_are_remembered_however_many_answers_came_between(a):
    for i in range(256):
        await answer(a, C, f"question-{i:03}", "")
    assert (await send(a, C, "question-000")).duplicate
    assert not (await send(a, C, "question-256")).duplicate
    assert not (await send(a, C, "question-000")).duplicate
    assert (await send(a, C, "question-255")).duplicate


async def test_messages_sent_while_an_answer_runs_are_answered_together_by_the_next_turn(a, b):
    told = Answer(a, C, await ask(a, C, "question-1"))
    assert (await send(b, C, "question-2")).written.turn is None
    assert (await send(a, C, "question-3")).written.turn is None
    written = await told.finish()
    assert kinds(written.frames)[-2:] == ["answer.done", "answer.started"]
    assert (written.turn.m, written.turn.answers) == (5, (3, 4))
    await Answer(a, C, written.turn).append("Both.")


async def test_a_write_to_a_conversation_that_is_not_there_says_so(a):
    turn = await ask(a, C)
    told = Answer(a, "nowhere", turn)
    for call in [
        send(a, "nowhere"), told.append("x"), told.rewind(0), told.finish(), a.stop("nowhere", 1),
        a.rate("nowhere", 0, m=1, value=1), a.retry("nowhere", 0, m=1),
        a.notice("nowhere", 0, NOTICE), a.resolve("nowhere", 0), a.attach("nowhere", None),
    ]:  # fmt: skip
        with pytest.raises(ConversationGone):
            await call
    assert await a.adopt("nowhere", looked_ms=2**53) is None
    assert await a.messages("nowhere", before=9, count=50) == []
    with pytest.raises(TurnLost):
        await a.renew("nowhere", turn)


async def test_beginning_a_conversation_again_leaves_it_as_it_is(a, b):
    await send(a, C)
    await begin(b, C, epoch="another")
    attached = await b.attach(C, None)
    assert (attached.epoch, attached.newest) == ("e1", 2)


# -- offsets ----------------------------------------------------------------------------------


async def test_offsets_have_no_gap_whoever_writes(a, b, world):
    heard = await world.hear("c", C)
    told = Answer(a, C, await ask(a, C, "question-1"))
    await told.append("One")
    await send(b, C, "question-2")
    await b.notice(C, 0, NOTICE)
    await told.append(" two")
    await told.rewind(3)
    written = await told.finish()
    await Answer(a, C, written.turn).finish("failed", notice=NOTICE)
    await b.rate(C, 0, m=2, value=1)
    await b.resolve(C, 0)
    await send(b, C, "question-3")
    entries = await world.entries(C)
    assert offsets(entries) == list(range(1, len(entries) + 1))
    assert kinds(entries) == [
        "message.created", "answer.started", "answer.delta", "message.created", "message.created",
        "answer.delta", "answer.rewound", "answer.done", "answer.started", "message.created",
        "answer.done", "answer.rated", "conversation.updated", "message.created",
        "conversation.updated", "answer.started",
    ]  # fmt: skip
    assert await _said(heard, len(entries)) == entries


async def test_what_is_published_is_what_is_kept_byte_for_byte(a, world):
    heard = await world.hear("b", C)
    told = Answer(a, C, await ask(a, C, 'a "quoted" / slashed\nquestion 🙂'))
    await told.append("línea\u2028 🙂 </script>")
    await told.finish(sources=b'[{"title":"T","link":"https://x.example/"}]')
    entries = await world.entries(C)
    assert await _said(heard, len(entries)) == entries
    assert all(hint.session == "a" and hint.epoch == "e1" for hint in heard)


async def _said(heard: list[hints.Hint], count: int) -> list[bytes]:
    """The first ``count`` frames that were heard, each told with its right offset."""

    def logged() -> list[hints.Logged]:
        return [hint for hint in heard if isinstance(hint, hints.Logged)]

    def frames() -> list[bytes]:
        return [frame for hint in logged() for frame in hint.frames]

    await eventually(lambda: len(frames()) >= count, every=0.001)
    for hint in logged():
        assert offsets(hint.frames) == list(range(hint.first, hint.first + len(hint.frames)))
    return frames()


async def test_a_reply_brings_what_others_wrote_since_the_offset_that_was_known(a, b):
    told = Answer(a, C, await ask(a, C, "question-1"))
    told.known = 2
    await send(b, C, "question-2")
    written = await told.append("One")
    assert offsets(written.frames) == [3, 4]
    assert written.top == 4


async def test_who_follows_no_log_is_told_no_frames(a):
    told = Answer(a, C, await ask(a, C, known=-1))
    told.known = -1
    written = await told.append("One")
    assert (written.top, written.frames) == (3, ())


# -- an owner's steps -------------------------------------------------------------------------


async def test_a_repeated_append_adds_nothing_and_tells_its_frames_again(a, world):
    told = Answer(a, C, await ask(a, C))
    told.known = 2
    first = await told.append("One", done=False)
    again = await told.append("One", done=False)
    assert again == first
    assert read(await world.entries(C)) == {1: "Hello", 2: "One"}


async def test_a_repeated_append_tells_what_others_wrote_since(a, b):
    told = Answer(a, C, await ask(a, C))
    told.known = 2
    await told.append("One", done=False)
    await send(b, C, "question-2")
    again = await told.append("One")
    assert kinds(again.frames) == ["answer.delta", "message.created"]
    await told.append(" two")
    assert (await a.attach(C, None)).text == "One two"


async def test_a_repeated_rewind_cuts_once(a, world):
    told = Answer(a, C, await ask(a, C))
    await told.append("One two")
    before = told.turn
    first = await told.rewind(3)
    told.turn, told.text = before, "One two"
    again = await told.rewind(3)
    assert again == first
    assert (await a.attach(C, None)).turn.revision == 2
    assert kinds(await world.entries(C)).count("answer.rewound") == 1


async def test_a_repeated_finish_returns_the_turn_that_it_opened(a, b, world):
    told = Answer(a, C, await ask(a, C, "question-1"))
    told.known = 2
    await send(b, C, "question-2")
    first = await told.finish()
    again = await told.finish()
    assert again == first
    assert again.turn.answers == (3,)
    assert kinds(await world.entries(C)).count("answer.done") == 1
    await Answer(a, C, again.turn).append("Go on.")


async def test_a_repeated_finish_with_nothing_waiting_opens_nothing(a):
    told = Answer(a, C, await ask(a, C))
    assert (await told.finish()).turn is None
    assert (await told.finish()).turn is None


async def test_the_step_runs_on_over_the_turns_of_one_owner(a):
    first = await answer(a, C, "question-1", "One")
    second = await ask(a, C, "question-2")
    assert (second.fence, second.step) == (first.fence, first.step + 1)
    await Answer(a, C, second).append("Two")


async def test_another_owner_counts_from_the_beginning_behind_a_higher_fence(a, b):
    first = await answer(a, C, "question-1", "One")
    second = await ask(b, C, "question-2")
    assert (second.fence, second.step) == (first.fence + 1, 0)
    await Answer(b, C, second).append("Two")


async def test_a_step_beyond_the_next_says_how_far_the_log_is(a):
    told = Answer(a, C, await ask(a, C))
    await told.append("One")
    told.turn = changed(told.turn, step=told.turn.step + 3)
    for call in [told.append("x", done=False), told.finish(), told.rewind(0)]:
        with pytest.raises(StepMissing) as missing:
            await call
        assert missing.value.has == 1
    assert (await a.attach(C, None)).text == "One"


async def test_a_foreign_session_cannot_write(a, b):
    turn = await ask(a, C)
    told = Answer(b, C, turn)
    for call in [told.append("x", done=False), told.rewind(0), told.finish(), b.renew(C, turn)]:
        with pytest.raises(TurnLost):
            await call
    assert (await a.attach(C, None)).text == ""


async def test_an_owner_whose_turn_was_adopted_cannot_write(a, b, world):
    told = Answer(a, C, await ask(a, C))
    await told.append("One")
    await world.advance(LEASE_MS + 1)
    assert await b.adopt(C, looked_ms=world.now_ms) is not None
    for call in [
        told.append("x", done=False),
        told.rewind(0),
        told.finish(),
        a.renew(C, told.turn),
    ]:
        with pytest.raises(TurnLost):
            await call
    assert (await b.attach(C, None)).text == "One"


async def test_an_old_fence_cannot_write_even_from_the_session_that_owns_the_turn(a, world):
    told = Answer(a, C, await ask(a, C))
    await world.advance(LEASE_MS + 1)
    adopted = await a.adopt(C, looked_ms=world.now_ms)
    assert adopted.turn.fence == told.turn.fence + 1
    for call in [
        told.append("x", done=False),
        told.rewind(0),
        told.finish(),
        a.renew(C, told.turn),
    ]:
        with pytest.raises(TurnLost):
            await call


async def test_nothing_can_be_added_to_a_finished_answer(a):
    told = Answer(a, C, await ask(a, C))
    await told.finish()
    told.turn = changed(told.turn, step=1)
    for call in [told.append("x", done=False), told.finish(), a.renew(C, told.turn)]:
        with pytest.raises(TurnLost):
            await call


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(TEXTS | st.sampled_from(["🙂", "é", "e\u0301", "👩‍👩‍👧", "\x00", "/", '"\\']))
)
async def test_length_and_checksum_at_the_end_are_the_texts_whatever_its_pieces(world, pieces):
    a, c = world.log("a"), f"unicode-{hash(tuple(pieces))}"
    await begin(a, c)
    told = Answer(a, c, await ask(a, c))
    for piece in pieces:
        await told.append(piece)
    done = decoded((await told.finish()).frames)[-1]
    text = "".join(pieces)
    assert done["length"] == len(text.encode("utf-16-le")) // 2
    assert done["crc32"] == wire.checksum(text)
    assert read(await world.entries(c))[2] == text
    stored = decoded(await a.messages(c, before=3, count=1))[0]
    assert (stored["text"], stored["reason"], stored["done"]) == (text, "stop", True)


# -- leases -----------------------------------------------------------------------------------


async def test_a_turn_is_adopted_only_where_its_lease_had_run_out_at_the_look_before(a, b, world):
    await ask(a, C)
    first_look = world.now_ms + LEASE_MS
    assert await b.adopt(C, looked_ms=first_look) is None
    await world.advance(LEASE_MS + 1)
    assert await b.adopt(C, looked_ms=first_look) is None
    assert (await b.adopt(C, looked_ms=world.now_ms)).turn.m == 2


async def test_an_adopted_turn_keeps_number_revision_and_text_and_counts_the_attempt(a, b, world):
    told = Answer(a, C, await ask(a, C, "question-1"))
    await told.append("One two")
    await told.rewind(3)
    await world.advance(LEASE_MS + 1)
    adopted = await b.adopt(C, looked_ms=world.now_ms)
    turn = adopted.turn
    assert (turn.m, turn.revision, turn.attempt, turn.answers, turn.step) == (2, 2, 2, (1,), 0)
    assert (adopted.text, adopted.site, adopted.epoch) == ("One", "pk_test", "e1")
    last = decoded(await world.entries(C))[-1]
    assert last == {
        "o": adopted.top, "type": "answer.started", "m": 2, "attempt": 2, "r": 2, "answers": [1],
    }  # fmt: skip
    told = Answer(b, C, turn, adopted.text)
    await told.append(" three")
    await told.finish()
    assert read(await world.entries(C))[2] == "One three"


async def test_a_turn_given_away_is_anybodys_at_once_and_no_attempt_is_spent(a, b, world):
    turn = await ask(a, C)
    assert not await a.renew(C, turn, asks=True)
    await a.handover(C, turn)
    await a.handover(C, turn)
    assert await b.expired(_partition(), most=16) == (world.now_ms, [(C, 0)])
    adopted = await b.adopt(C, looked_ms=0)
    assert (adopted.turn.attempt, adopted.turn.spent) == (2, 0)
    assert adopted.turn.since_ms == turn.since_ms == world.now_ms
    with pytest.raises(TurnLost):
        await a.handover(C, turn)
    with pytest.raises(TurnLost):
        await a.renew(C, turn)


async def test_an_attempt_is_spent_once_the_model_was_asked(a, b, world):
    turn = await ask(a, C)
    for spent, owner, heir, asks in ((0, a, b, False), (1, b, a, True), (2, a, b, True)):
        await owner.renew(C, turn, asks=asks)
        await owner.renew(C, turn)
        await world.advance(LEASE_MS + 1)
        turn = (await heir.adopt(C, looked_ms=world.now_ms)).turn
        assert turn.spent == spent
    assert turn.attempt == 4


async def test_a_next_turn_begins_with_no_attempt_spent(a, b, world):
    turn = await ask(a, C)
    await a.renew(C, turn, asks=True)
    await world.advance(LEASE_MS + 1)
    turn = (await b.adopt(C, looked_ms=world.now_ms)).turn
    assert turn.spent == 1
    await b.renew(C, turn, asks=True)
    await b.finish(C, 0, turn, reason="stop")
    await world.advance(5)
    following = await ask(b, C, id="another-one")
    assert (following.spent, following.since_ms) == (0, world.now_ms)
    await world.advance(LEASE_MS + 1)
    assert (await a.adopt(C, looked_ms=world.now_ms)).turn.spent == 0


async def test_a_dead_owner_s_turn_is_adopted_before_its_lease_ends_and_nobody_else_s(a, b, world):
    await ask(a, C)
    assert await b.adopt(C, looked_ms=0, dead="somebody else") is None
    assert (await b.adopt(C, looked_ms=0, dead=a.session)).turn.attempt == 2
    assert await a.adopt(C, looked_ms=0, dead=a.session) is None


async def test_what_a_session_owns_is_found_by_partition(a, b, world):
    other = next(f"other-{i}" for i in range(9999) if keys.partition(f"other-{i}") == _partition())
    await begin(a, other)
    await ask(a, C)
    await world.advance(1)
    await ask(a, other)
    assert await b.owned(_partition(), a.session, most=16) == [C, other]
    assert await b.owned(_partition(), a.session, most=1) == [C]
    assert await b.owned(_partition(), b.session, most=16) == []
    assert await b.owned((_partition() + 1) % 256, a.session, most=16) == []
    await b.adopt(C, looked_ms=0, dead=a.session)
    assert await b.owned(_partition(), a.session, most=16) == [other]


async def test_expired_turns_are_listed_with_the_servers_time(a, b, world):
    other = next(f"other-{i}" for i in range(9999) if keys.partition(f"other-{i}") == _partition())
    await begin(a, other)
    await ask(a, C)
    await world.advance(1)
    await ask(a, other)
    assert await b.expired(_partition(), most=16) == (world.now_ms, [])
    await world.advance(LEASE_MS - 1)
    first = (C, world.now_ms)
    assert await b.expired(_partition(), most=16) == (world.now_ms, [first])
    await world.advance(1)
    second = (other, world.now_ms)
    assert await b.expired(_partition(), most=16) == (world.now_ms, [first, second])
    assert await b.expired(_partition(), most=1) == (world.now_ms, [first])
    await b.adopt(C, looked_ms=world.now_ms)
    assert (await b.expired(_partition(), most=16))[1] == [second]


def _partition() -> int:
    return keys.partition(C)


@pytest.mark.parametrize("write", ["renew", "append", "rewind"])
async def test_every_write_of_the_owner_renews_the_lease(a, b, world, write):
    told = Answer(a, C, await ask(a, C))
    await world.advance(LEASE_MS - 1)
    if write == "renew":
        assert not await a.renew(C, told.turn)
    else:
        await (told.append("x") if write == "append" else told.rewind(0))
    await world.advance(LEASE_MS)
    assert await b.adopt(C, looked_ms=world.now_ms) is None
    await world.advance(1)
    assert await b.adopt(C, looked_ms=world.now_ms) is not None


async def test_renewing_revives_a_lease_that_ran_out_while_nobody_adopted_the_turn(a, b, world):
    told = Answer(a, C, await ask(a, C))
    await world.advance(10 * LEASE_MS)
    look = world.now_ms
    await a.renew(C, told.turn)
    assert await b.adopt(C, looked_ms=look) is None
    assert (await b.expired(_partition(), most=16))[1] == []
    await told.append("Still here.")


async def test_a_finished_turn_is_nobodys_to_adopt(a, b, world):
    await answer(a, C, "question-1", "One")
    await world.advance(10 * LEASE_MS)
    assert (await b.expired(_partition(), most=16))[1] == []
    assert await b.adopt(C, looked_ms=world.now_ms) is None


async def test_the_next_turn_that_a_finish_opens_has_a_lease_of_its_own(a, b, world):
    told = Answer(a, C, await ask(a, C, "question-1"))
    await send(a, C, "question-2")
    await world.advance(LEASE_MS - 1)
    await told.finish()
    await world.advance(LEASE_MS)
    assert await b.adopt(C, looked_ms=world.now_ms) is None
    await world.advance(1)
    assert (await b.adopt(C, looked_ms=world.now_ms)).turn.answers == (3,)


# -- stopping ---------------------------------------------------------------------------------


async def test_a_stop_is_seen_by_the_owner_in_the_reply_to_any_write(a, b):
    told = Answer(a, C, await ask(a, C))
    assert not (await told.append("One")).cancelled
    await b.stop(C, 2)
    assert (await told.append(" two")).cancelled
    assert (await told.rewind(3)).cancelled
    assert await a.renew(C, told.turn)
    assert (await a.attach(C, None)).turn.cancelled


async def test_a_stop_is_hinted_to_everybody_its_own_worker_too(a, b, world):
    heard_a, heard_b = await world.hear("a", C), await world.hear("b", C)
    await ask(a, C)
    await a.stop(C, 2)
    await eventually(lambda: all(hints.Stopped("a", 2) in heard for heard in (heard_a, heard_b)))


async def test_an_adopter_sees_the_mark_of_a_stop(a, b, world):
    await ask(a, C)
    await b.stop(C, 2)
    await world.advance(LEASE_MS + 1)
    assert (await b.adopt(C, looked_ms=world.now_ms)).turn.cancelled


async def test_a_stop_for_what_is_not_open_does_nothing(a, world):
    await answer(a, C, "question-1", "One")
    before = await world.entries(C)
    for m in (1, 2):
        await a.stop(C, m)
    with pytest.raises(NoSuchMessage):
        await a.stop(C, 3)
    assert await world.entries(C) == before
    assert not (await ask(a, C, "question-2")).cancelled


async def test_a_stop_of_an_older_answer_does_not_mark_the_open_one(a):
    await answer(a, C, "question-1", "One")
    told = Answer(a, C, await ask(a, C, "question-2"))
    for m in (1, 2, 3):
        await a.stop(C, m)
    assert not (await told.append("Two")).cancelled
    assert not await a.renew(C, told.turn)


async def test_a_mark_does_not_outlive_its_turn(a):
    told = Answer(a, C, await ask(a, C, "question-1"))
    await send(a, C, "question-2")
    await a.stop(C, 2)
    following = (await told.finish("stopped")).turn
    assert not following.cancelled
    assert not (await Answer(a, C, following).append("Two")).cancelled


# -- withdrawing ------------------------------------------------------------------------------


async def test_a_withdrawn_answer_leaves_nothing_behind(a, b, world):
    told = Answer(a, C, await ask(a, C))
    await told.append("What must not stay")
    written = await told.finish("withdrawn", notice=NOTICE)
    assert kinds(written.frames) == ["message.created", "answer.done"]
    done = decoded(written.frames)[-1]
    assert (done["length"], done["crc32"]) == (0, 0)
    assert await world.entries(C) == list(written.frames)
    attached = await b.attach(C, None)
    assert b"must not stay" not in b"".join((*attached.messages, *attached.frames))
    stored = decoded(attached.messages)[1]
    assert (stored["text"], stored["reason"]) == ("", "withdrawn")


async def test_who_is_behind_a_withdrawal_gets_a_snapshot_and_who_is_not_a_replay(a, b):
    told = Answer(a, C, await ask(a, C))
    await told.append("What must not stay")
    await told.finish("withdrawn")
    assert (await b.attach(C, Position("e1", 2))).mode == "snapshot"
    assert (await b.attach(C, Position("e1", 3))).mode == "replay"


# -- attaching --------------------------------------------------------------------------------


async def test_who_has_nothing_gets_a_snapshot_even_an_empty_one(a):
    attached = await a.attach(C, None)
    assert (attached.mode, attached.epoch, attached.top) == ("snapshot", "e1", 0)
    assert (attached.messages, attached.turn, attached.status) == ((), None, "assisted")


@pytest.mark.parametrize("offset", range(6))
async def test_who_is_within_the_log_gets_exactly_what_is_missing(a, world, offset):
    told = Answer(a, C, await ask(a, C))
    await told.append("One")
    await told.append(" two")
    await told.finish()
    attached = await a.attach(C, Position("e1", offset))
    assert (attached.mode, attached.top) == ("replay", 5)
    assert list(attached.frames) == (await world.entries(C))[offset:]
    assert attached.messages == ()


async def test_who_is_before_the_kept_log_gets_a_snapshot(a, world):
    await answer(a, C, "question-1", "One")
    await world.shorten(C, 2)
    assert (await a.attach(C, Position("e1", 1))).mode == "snapshot"
    assert (await a.attach(C, Position("e1", 2))).mode == "replay"
    await world.shorten(C, 0)
    assert (await a.attach(C, Position("e1", 3))).mode == "snapshot"
    assert (await a.attach(C, Position("e1", 4))).mode == "replay"


@pytest.mark.parametrize("position", [Position("e1", 5), Position("e0", 2), Position("e0", 99)])
async def test_who_is_past_the_end_or_of_another_epoch_is_reset(a, position):
    await answer(a, C, "question-1", "One")
    attached = await a.attach(C, position)
    assert (attached.mode, attached.epoch, attached.frames) == ("reset", "e1", ())
    assert [m["text"] for m in decoded(attached.messages)] == ["question-1", "One"]


async def test_a_replay_has_at_most_512_frames(a):
    told = Answer(a, C, await ask(a, C))
    for _ in range(511):
        await told.append("x")
    assert len((await a.attach(C, Position("e1", 1))).frames) == 512
    attached = await a.attach(C, Position("e1", 0))
    assert (attached.mode, attached.frames, attached.text) == ("snapshot", (), "x" * 511)


async def test_a_replay_has_at_most_64_kib(a):
    told = Answer(a, C, await ask(a, C))
    frame = (await told.append("x" * 8000)).frames[-1]
    for _ in range(7):
        await told.append("x" * 8000)
    envelope = len(frame) - 8000 + 5  # offset and place have five digits more
    room = 65_536 - sum(map(len, (await a.attach(C, Position("e1", 2))).frames))
    await told.append("x" * (room - envelope))
    size = sum(map(len, (await a.attach(C, Position("e1", 2))).frames))
    assert size == 65_536
    await told.append("y")
    assert (await a.attach(C, Position("e1", 2))).mode == "snapshot"


async def test_a_snapshot_has_the_newest_50_messages_and_the_open_answer(a):
    for i in range(30):
        await answer(a, C, f"question-{i}", f"answer {i}")
    told = Answer(a, C, await ask(a, C, "question-30"))
    await told.append("So far")
    attached = await a.attach(C, None)
    numbers = [m["m"] for m in decoded(attached.messages)]
    assert numbers == list(range(13, 62))
    assert (attached.turn.m, attached.text, attached.newest) == (62, "So far", 62)


async def test_a_snapshot_tells_reasons_answers_ratings_replacements_and_sources(a):
    told = Answer(a, C, await ask(a, C, "question-1"))
    await told.append("One")
    await told.finish("length", sources=b'[{"title":"T","link":"https://x.example/"}]')
    retried = (await a.retry(C, 0, m=2)).turn
    await Answer(a, C, retried).finish()
    await a.rate(C, 0, m=2, value=-1)
    await a.rate(C, 0, m=2, value=1)
    question, first, second = decoded((await a.attach(C, None)).messages)
    assert (question["author"], question["id"], question["text"]) == (
        "customer", "question-1", "question-1",
    )  # fmt: skip
    assert (first["author"], first["reason"], first["answers"], first["rating"], first["r"]) == (
        "assistant", "length", [1], 1, 1,
    )  # fmt: skip
    assert first["sources"] == [{"title": "T", "link": "https://x.example/"}]
    assert (second["m"], second["replaces"], second["answers"]) == (3, 2, [1])
    assert "rating" not in second


async def test_a_snapshot_with_what_comes_after_it_is_a_later_snapshot(a):
    """Wherever a client begins, it ends with the same text."""
    told = Answer(a, C, await ask(a, C))
    seen = []
    for piece in ["One", " 🙂", " two"]:
        await told.append(piece)
        seen.append(await a.attach(C, None))
    await told.rewind(3)
    await told.append(" three")
    await told.finish()
    for early in seen:
        rest = (await a.attach(C, Position(early.epoch, early.top))).frames
        text = early.text
        for frame in decoded(rest):
            if frame["type"] == "answer.rewound":
                text = text[: frame["at"]]
            elif frame["type"] == "answer.delta":
                assert frame["at"] == wire.units(text)
                text += frame["text"]
        assert text == "One three"


async def test_messages_are_read_backwards_in_order(a):
    for i in range(3):
        await answer(a, C, f"question-{i}", f"answer {i}")
    found = decoded(await a.messages(C, before=6, count=3))
    assert [m["m"] for m in found] == [3, 4, 5]
    assert await a.messages(C, before=1, count=50) == []
    assert len(await a.messages(C, before=10**6, count=10**6)) == 6


async def test_the_log_keeps_the_newest_512_entries_after_an_answer(a, world):
    told = Answer(a, C, await ask(a, C))
    for _ in range(520):
        await told.append("x")
    assert len(await world.entries(C)) == 522
    await told.finish()
    entries = await world.entries(C)
    assert offsets(entries) == list(range(12, 524))


# -- rating, retrying, ending -----------------------------------------------------------------


async def test_only_finished_answers_can_be_rated(a, world):
    await ask(a, C)
    for m in (0, 1, 2, 3, -1):
        with pytest.raises(NoSuchMessage):
            await a.rate(C, 0, m=m, value=1)
    assert kinds(await world.entries(C)) == ["message.created", "answer.started"]


async def test_a_rating_can_be_changed_and_taken_back(a):
    await answer(a, C, "question-1", "One")
    for value in (1, -1, 0):
        frames = (await a.rate(C, 4, m=2, value=value)).frames
        last = decoded(frames)[-1]
        assert (last["type"], last["m"], last["value"]) == ("answer.rated", 2, value)
        assert decoded((await a.attach(C, None)).messages)[1]["rating"] == value


@pytest.mark.parametrize("reason", ["failed", "stopped", "length"])
async def test_an_answer_that_ended_badly_can_be_asked_for_again(a, b, reason):
    await Answer(a, C, await ask(a, C)).finish(reason)
    written = await b.retry(C, 0, m=2)
    assert (written.turn.m, written.turn.replaces, written.turn.answers) == (3, 2, (1,))
    started = decoded(written.frames)[-1]
    assert (started["type"], started["m"], started["replaces"]) == ("answer.started", 3, 2)
    await Answer(b, C, written.turn).append("Better.")


@pytest.mark.parametrize("reason", ["stop", "withdrawn", "handoff"])
async def test_an_answer_that_ended_well_or_was_withdrawn_cannot(a, world, reason):
    await Answer(a, C, await ask(a, C)).finish(reason)
    before = await world.entries(C)
    for m in (0, 1, 2, 3):
        with pytest.raises(NotRetryable):
            await a.retry(C, 0, m=m)
    assert await world.entries(C) == before


async def test_only_the_newest_answer_can_be_asked_for_again_and_only_once(a):
    await Answer(a, C, await ask(a, C, "question-1")).finish("failed")
    await Answer(a, C, await ask(a, C, "question-2")).finish("failed")
    with pytest.raises(NotRetryable):
        await a.retry(C, 0, m=2)
    await a.retry(C, 0, m=4)
    with pytest.raises(NotRetryable):
        await a.retry(C, 0, m=4)


async def test_nothing_can_be_asked_for_again_while_an_answer_runs(a):
    await Answer(a, C, await ask(a, C, "question-1")).finish("failed")
    await ask(a, C, "question-2")
    with pytest.raises(NotRetryable):
        await a.retry(C, 0, m=2)


async def test_a_message_reopens_a_resolved_conversation(a, b):
    await answer(a, C, "question-1", "One")
    resolved = await b.resolve(C, 4)
    assert decoded(resolved.frames)[-1]["status"] == "resolved"
    assert (await a.attach(C, None)).status == "resolved"
    accepted = await send(a, C, "question-2", known=5)
    assert kinds(accepted.written.frames) == [
        "message.created", "conversation.updated", "answer.started",
    ]  # fmt: skip
    assert accepted.written.turn is not None
    assert (await a.attach(C, None)).status == "assisted"


async def test_resolving_twice_is_told_once(a, world):
    await a.resolve(C, 0)
    await a.resolve(C, 0)
    assert kinds(await world.entries(C)) == ["conversation.updated"]


async def test_a_message_accepted_before_the_end_is_answered_after_it(a):
    told = Answer(a, C, await ask(a, C, "question-1"))
    await send(a, C, "question-2")
    await a.resolve(C, 0)
    following = (await told.finish()).turn
    assert following.answers == (3,)


async def test_a_notice_is_a_message_of_the_servers_own(a, world):
    written = await a.notice(C, 0, NOTICE)
    message = decoded(written.frames)[0]["message"]
    assert message == {
        "m": 1, "time": world.now_ms, "author": "notice", "code": "answer_failed",
        "text": "Sorry.", "language": "en",
    }  # fmt: skip
    assert decoded((await a.attach(C, None)).messages) == [message | {"r": 0, "done": True}]


# -- handles ----------------------------------------------------------------------------------


async def test_each_use_of_a_handle_gives_a_successor(a):
    await a.redeem(C, used="", successor="h1", lives_s=60)
    assert await a.redeem(C, used="h1", successor="h2", lives_s=60) == 1
    assert await a.redeem(C, used="h2", successor="h3", lives_s=60) == 1
    assert await a.redeem(C, used="nobody", successor="h4", lives_s=60) is None
    assert await a.redeem("nowhere", used="h1", successor="h4", lives_s=60) is None


async def test_a_handle_stays_good_for_a_minute_after_a_successor_was_used(a, world):
    await a.redeem(C, used="", successor="h1", lives_s=60)
    await a.redeem(C, used="h1", successor="h2", lives_s=60)
    await world.advance(10**9)
    assert await a.redeem(C, used="h1", successor="h2b", lives_s=60) == 1  # no successor was used
    await a.redeem(C, used="h2", successor="h3", lives_s=60)
    await world.advance(60_000)
    assert await a.redeem(C, used="h1", successor="h2c", lives_s=60) == 1
    await world.advance(1)
    assert await a.redeem(C, used="h1", successor="h2d", lives_s=60) is None


async def test_that_minute_begins_when_a_successor_is_used_first(a, world):
    await a.redeem(C, used="", successor="h1", lives_s=60)
    await a.redeem(C, used="h1", successor="h2", lives_s=60)
    await a.redeem(C, used="h2", successor="h3", lives_s=60)
    await world.advance(50_000)
    assert await a.redeem(C, used="h2", successor="h3b", lives_s=60) == 1
    await world.advance(10_001)
    assert await a.redeem(C, used="h1", successor="h2b", lives_s=60) is None


async def test_a_later_use_revokes_all_handles_and_starts_a_generation(a, world):
    await a.redeem(C, used="", successor="h1", lives_s=60)
    await a.redeem(C, used="h1", successor="h2", lives_s=60)
    await a.redeem(C, used="h2", successor="h3", lives_s=60)
    await world.advance(60_001)
    assert await a.redeem(C, used="h1", successor="stolen", lives_s=60) is None
    assert (await a.attach(C, None)).generation == 2
    for handle in ("h1", "h2", "h3", "stolen"):
        assert await a.redeem(C, used=handle, successor="h9", lives_s=60) is None
