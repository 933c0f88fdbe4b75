"""Model tokens: counted, cached, and cut without breaking a character."""

from hypothesis import given
from hypothesis import strategies as st

from service.simulator import pieces
from tests.simulator.api import Api, dialogue, question


def usage(api: Api, *texts: str) -> dict:
    return api.post(question(*texts)).json()["usage"]


def test_completion_tokens_are_the_chunks_that_were_streamed(api: Api) -> None:
    answer = api.stream("hello")
    cost = answer.chunks[-1]["usage"]
    assert cost["completion_tokens"] == len(answer.chunks) - 1
    assert cost["total_tokens"] == cost["prompt_tokens"] + cost["completion_tokens"]


def test_a_prefix_that_was_seen_before_is_cached(api: Api) -> None:
    first = usage(api, "hello")
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    again = usage(api, "hello")
    assert again["prompt_tokens_details"]["cached_tokens"] == again["prompt_tokens"]
    longer = usage(api, "hello", "and to Norway?")
    assert longer["prompt_tokens_details"]["cached_tokens"] == first["prompt_tokens"]


def test_a_prompt_with_another_beginning_is_not_cached(api: Api) -> None:
    usage(api, "hello")
    other = [{"role": "system", "content": "Another shop."}, *dialogue("hello")[1:]]
    cost = api.post(question(messages=other)).json()["usage"]
    assert cost["prompt_tokens_details"]["cached_tokens"] == 0


def test_another_account_has_a_cache_of_its_own(api: Api, simulator) -> None:
    usage(api, "hello")
    other = Api(simulator.base, key="someone.else")
    try:
        assert usage(other, "hello")["prompt_tokens_details"]["cached_tokens"] == 0
    finally:
        other.close()


def test_languages_are_counted_near_the_real_tokenizers() -> None:
    assert pieces.count("Delivery to Norway takes five working days.") == 8
    assert pieces.count("送货到挪威需要五个工作日。") in range(7, 11)
    assert pieces.count("Доставка в Норвегию занимает пять дней.") in range(8, 14)


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces.split(text)) == text
    assert pieces.count(text) == len(pieces.split(text))


def test_no_character_that_a_reader_sees_is_cut() -> None:
    for whole in ("👩‍👩‍👧‍👦", "🇳🇴", "👍🏽", "e\u0301", "☀️", "لَّ"):
        for text in (whole, f"x{whole}", f"{whole}{whole}"):
            assert any(whole in piece for piece in pieces.split(text)), (text, pieces.split(text))
