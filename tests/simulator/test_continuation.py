"""Asked to go on with an answer that was begun: five ways, one answer."""

import pytest

from service.simulator import modes, pieces
from service.simulator.answers import begun
from service.simulator.answers.continuation import Continuation, going_on
from service.simulator.answers.lexicon import CODES, language
from tests.simulator.api import MODEL, Api, dialogue
from tests.simulator.questions import RETURNS, SHIPPING
from tests.simulator.test_functions import ORDER

CHINESE = """# Facts about the shop
## 配送
我们从奥斯陆发货。送到德国需要四到七个工作日，运费为十二欧元。满一百五十欧元免运费。偏远地区需要更长时间。
"""


def continued(told: str, *texts: str) -> list[dict]:
    """The messages that ask to go on from `told`."""
    return [*dialogue(*texts), {"role": "assistant", "content": told}]


def phrase(code: str, name: str) -> str:
    return str(language(code).phrases[name])


def cuts(text: str) -> list[int]:
    """Places to stop at: the first characters, the last, and some between, in mid-word too."""
    return sorted({1, 2, *range(5, len(text), 23), len(text) - 1, len(text)})


# -- the five ways ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_exact_goes_on_from_the_very_character(api: Api, code: str) -> None:
    whole = api.ask(SHIPPING[code])
    for at in cuts(whole):
        messages = continued(whole[:at], SHIPPING[code])
        assert api.ask(messages=messages, simulate="exact") == whole[at:]


def test_exact_in_a_stream_gives_the_same_bytes(api: Api) -> None:
    whole = api.stream(SHIPPING["en"])
    for at in (7, 60, 111):
        messages = continued(whole.text[:at], SHIPPING["en"])
        rest = api.stream(messages=messages, simulate="exact")
        assert whole.text[:at] + rest.text == whole.text
        assert rest.reasons == ["stop"]
        assert rest.done


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("words", [1, 3, 9, 30])
def test_repeat_says_so_many_words_again(api: Api, code: str, words: int) -> None:
    whole = api.ask(SHIPPING[code])
    told = whole[: len(whole) * 2 // 3]
    messages = continued(told, SHIPPING[code])
    text = api.ask(messages=messages, simulate=f"repeat words={words}")
    again = text.removesuffix(whole[len(told) :])
    assert again == pieces.last_words(told, words)
    assert told.endswith(again)
    if code not in ("zh", "ja"):
        assert len(again.split()) == min(words, len(told.split()))


def test_a_chinese_word_is_two_characters(api: Api) -> None:
    messages = dialogue("送货到德国需要多长时间？", facts=CHINESE)
    whole = api.ask(messages=messages)
    told, rest = whole[: whole.index("个工作日")], whole[whole.index("个工作日") :]
    assert told.endswith("送到德国需要四到七")
    asked = [*messages, {"role": "assistant", "content": told}]
    assert api.ask(messages=asked, simulate="repeat words=1") == "到七" + rest
    assert api.ask(messages=asked, simulate="repeat words=3") == "国需要四到七" + rest
    assert api.ask(messages=asked, simulate="exact") == rest


def test_words_are_told_apart_by_spaces_or_counted_in_pairs() -> None:
    assert pieces.last_words("We ship to Norway.", 2) == "to Norway."
    assert pieces.last_words("We ship to Nor", 2) == "to Nor"
    assert pieces.last_words("We ship ", 1) == "ship "
    assert pieces.last_words("one two", 3) == "one two"
    assert pieces.last_words("We ship (to) Norway – now.", 3) == "Norway – now."
    assert pieces.last_words("the **Fjell 2** tent", 3) == "**Fjell 2** tent"
    assert pieces.last_words("寄往挪威的包裹，需要五天。", 3) == "包裹，需要五天。"
    assert pieces.last_words("寄往挪威的包裹，需要五天。", 1) == "五天。"
    assert pieces.last_words("寄往挪威的包裹，需要五天。", 2) == "需要五天。"
    assert pieces.last_words("노르웨이로 보내는 소포는", 2) == "보내는 소포는"
    assert pieces.last_words("寄往 Norway 的包裹", 3) == "Norway 的包裹"
    assert pieces.last_words("寄往Norway的包裹", 3) == "Norway的包裹"
    assert pieces.last_words("“One” two", 2) == "“One” two"
    assert pieces.last_words("がきが\u3099ぎ", 1) == "が\u3099ぎ"
    assert pieces.last_words("", 3) == ""


@pytest.mark.parametrize("code", CODES)
def test_restart_tells_the_answer_word_for_word(api: Api, code: str) -> None:
    whole = api.ask(RETURNS[code])
    for at in (1, 45, len(whole)):
        messages = continued(whole[:at], RETURNS[code])
        assert api.ask(messages=messages, simulate="restart") == whole


@pytest.mark.parametrize("code", CODES)
def test_reworded_begins_otherwise_and_quotes_the_same_facts(api: Api, code: str) -> None:
    whole = api.ask(RETURNS[code])
    messages = continued(whole[:90], RETURNS[code])
    text = api.ask(messages=messages, simulate="reworded")
    assert text.startswith(phrase(code, "reworded"))
    assert text[:8] != whole[:8]
    assert "within 30 days" in text
    assert "**" not in text
    assert text.endswith(f"_{phrase(code, 'demo')}_")


@pytest.mark.parametrize("code", CODES)
def test_preamble_says_first_that_it_continues(api: Api, code: str) -> None:
    whole = api.ask(SHIPPING[code])
    for at in (44, 90):
        messages = continued(whole[:at], SHIPPING[code])
        text = api.ask(messages=messages, simulate="preamble")
        gap = "" if code in ("zh", "ja") else " "
        assert text == phrase(code, "continuing") + gap + whole[at:].lstrip()


def test_an_english_preamble_is_the_known_one(api: Api) -> None:
    whole = api.ask(SHIPPING["en"])
    messages = continued(whole[:50], SHIPPING["en"])
    assert api.ask(messages=messages, simulate="preamble").startswith("Sure, continuing: ")
    assert phrase("zh", "continuing") == "好的，继续："


def test_an_answer_that_was_told_whole_has_nothing_left(api: Api) -> None:
    whole = api.ask("hello")
    messages = continued(whole, "hello")
    assert api.ask(messages=messages, simulate="exact") == ""
    assert whole.endswith(api.ask(messages=messages, simulate="repeat words=4"))
    assert api.ask(messages=messages, simulate="preamble").strip() == "Sure, continuing:"


def test_a_text_that_the_answer_does_not_have_is_followed_by_all_of_it() -> None:
    how = Continuation(modes.EXACT, 3)
    assert going_on("One. Two.", "Nothing of it", "en", how) == "\n\nOne. Two."
    assert going_on("One. Two. Three.", "Eins. Two.", "en", how) == "\n\nOne. Two. Three."
    assert going_on("Now: one and two and three.", "Or: one and two and th", "en", how) == "ree."


def test_what_is_reworded_loses_its_opener_and_its_emphasis() -> None:
    how = Continuation(modes.REWORDED, 3)
    text = "Here is what we say:\n\n**Tent**: It is light.\n\n_Demo_"
    assert going_on(text, "H", "en", how) == "In other words: Tent: It is light.\n\n_Demo_"
    assert going_on("It is light.", "I", "en", how) == "In other words: It is light."
    assert going_on("很轻。", "很", "zh", how) == "换句话说：很轻。"
    assert going_on("Only this:", "O", "en", how) == "In other words: Only this:"


# -- one answer, however it is asked for ----------------------------------------------------------


def test_a_script_is_gone_on_with_in_its_own_language(api: Api, simulator) -> None:
    text = "Wir liefern nach Norwegen in drei Tagen. Die Rückgabe ist kostenlos."
    simulator.control(scripts=[{"match": "hello", "text": text}])
    messages = continued(text[:20], "hello")
    assert api.ask(messages=messages, simulate="exact") == text[20:]
    assert api.ask(messages=messages, simulate="repeat words=2") == text[text.index("nach") :]
    assert api.ask(messages=messages, simulate="restart") == text
    assert api.ask(messages=messages, simulate="reworded") == f"Anders gesagt: {text}"
    rest = text[20:].lstrip()
    assert api.ask(messages=messages, simulate="preamble") == f"Gern, ich fahre fort: {rest}"


def test_a_long_answer_is_gone_on_with(api: Api) -> None:
    whole = api.ask("hello", simulate="long tokens=300")
    for at in (40, 500, 900):
        messages = continued(whole[:at], "hello")
        rest = api.ask(messages=messages, simulate="long tokens=300; exact")
        assert whole[:at] + rest == whole


def test_a_marker_asks_for_the_way_in_the_message_itself(api: Api) -> None:
    asked = "hello [[simulate:long tokens=200; restart]]"
    whole = api.ask(asked)
    assert api.ask(messages=continued(whole[:77], asked)) == whole


def test_the_answer_to_a_follow_up_is_gone_on_with(api: Api) -> None:
    texts = ("How much is shipping?", "and to Norway?")
    whole = api.ask(*texts)
    messages = continued(whole[:50], *texts)
    assert api.ask(messages=messages, simulate="exact") == whole[50:]


def test_a_question_back_is_gone_on_with(api: Api) -> None:
    """The line on the demo belongs to the first answer, also while that is being told."""
    asked = {"messages": dialogue("Where is my order?"), "tools": [ORDER]}
    whole = api.ask(**asked)
    assert "order number" in whole
    messages = continued(whole[:30], "Where is my order?")
    assert api.ask(messages=messages, tools=[ORDER], simulate="exact") == whole[30:]


def test_a_tool_is_called_whatever_was_told(api: Api) -> None:
    messages = continued("Let me look.", "Where is my order 12345?")
    for mode in modes.MODES:
        body = {"model": MODEL, "messages": messages, "tools": [ORDER]}
        answer = api.post(body, simulate=mode).json()["choices"][0]
        assert answer["finish_reason"] == "tool_calls"
        assert answer["message"]["content"] == ""


def test_a_script_calls_its_tool_after_what_is_left_of_its_text(api: Api, simulator) -> None:
    calls = [{"name": "look_up", "arguments": {}}]
    simulator.control(
        scripts=[
            {"match": "first", "text": "Let me look.", "tool_calls": calls},
            {"match": "second", "tool_calls": calls},
        ]
    )
    for mode in modes.MODES:
        body = {"model": MODEL, "messages": continued("Let me", "the first")}
        first = api.post(body, simulate=mode).json()["choices"][0]
        assert first["finish_reason"] == "tool_calls"
        assert first["message"]["content"].endswith("look.")
        body = {"model": MODEL, "messages": continued("Let me", "the second")}
        second = api.post(body, simulate=mode).json()["choices"][0]
        assert (second["finish_reason"], second["message"]["content"]) == ("tool_calls", "")


def test_an_answer_that_was_not_begun_has_no_way_of_going_on(api: Api, simulator) -> None:
    whole = api.ask("hello")
    for mode in modes.MODES:
        simulator.control(continuation=mode)
        assert api.ask("hello") == whole
        assert api.ask("hello", simulate=mode) == whole


def test_only_the_assistants_last_message_is_gone_on_from() -> None:
    user, told = {"role": "user", "content": "?"}, {"role": "assistant", "content": "We"}
    calls = {"role": "assistant", "content": "", "tool_calls": [{}]}
    assert begun([user, told]) == ([user], "We")
    assert begun([user, told, user]) == ([user, told, user], "")
    assert begun([user, calls]) == ([user, calls], "")
