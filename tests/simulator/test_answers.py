"""What the simulator says: the right passage, in the customer's language, marked as a demo."""

import re

import pytest

from service.simulator.answers.detection import detect
from service.simulator.answers.lexicon import CODES, language
from tests.simulator.api import FACTS, Api, dialogue, question
from tests.simulator.questions import MORE, RETURNS, SHIPPING

PASSAGES = {
    "payment": "Visa and Mastercard",
    "hours": "Storgata 12",
    "warranty": "2-year warranty",
    "tent": "two-person|2.4 kg|349 EUR",
    "jacket": "waterproof|blue",
    "giftcards": "Gift cards from 25",
}


def phrase(code: str, name: str) -> str:
    return str(language(code).phrases[name])


def check_frame(code: str, text: str) -> None:
    """The frame is in the customer's language, the quotation marked as the shop's own."""
    assert text.endswith(f"_{phrase(code, 'demo')}_")
    if code == "en":
        assert any(text.startswith(lead) for lead in language("en").phrases["lead"])
    else:
        assert phrase(code, "foreign").format(language=language(code).names["en"]) in text


@pytest.mark.parametrize("code", CODES)
def test_shipping_to_germany_is_found_in_every_language(api: Api, code: str) -> None:
    text = api.ask(SHIPPING[code])
    assert "To Germany and the rest of the EU it takes 4–7 working days" in text
    assert language(code).places["DE"][0] in text
    check_frame(code, text)


@pytest.mark.parametrize("code", CODES)
def test_returns_are_found_in_every_language(api: Api, code: str) -> None:
    text = api.ask(RETURNS[code])
    assert "within 30 days" in text
    assert "working days and costs" not in text
    check_frame(code, text)


@pytest.mark.parametrize(("code", "asked", "passage"), MORE)
def test_other_topics_are_found(api: Api, code: str, asked: str, passage: str) -> None:
    text = api.ask(asked)
    assert re.search(PASSAGES[passage], text), text
    assert phrase(code, "demo") in text


@pytest.mark.parametrize("code", CODES)
def test_every_language_has_all_words_and_phrases(code: str) -> None:
    own, english = language(code), language("en")
    assert own.concepts.keys() == english.concepts.keys()
    assert own.colours.keys() == english.colours.keys()
    assert own.places.keys() == english.places.keys()
    assert own.phrases.keys() == english.phrases.keys()
    for name, text in english.phrases.items():
        fields = re.findall(r"\{\w+\}", str(text))
        assert re.findall(r"\{\w+\}", str(own.phrases[name])) == fields, name
    assert set(own.names) >= {"en", "zh", "ar", "de"}


@pytest.mark.parametrize("code", CODES)
def test_a_language_knows_its_own_phrases(code: str) -> None:
    assert detect(phrase(code, "demo") + " " + phrase(code, "welcome")) == code


def test_the_prompts_language_decides_what_is_ambiguous() -> None:
    assert detect("Storm?", (None, "fi")) == "fi"
    assert detect("12345", (None, "de")) == "de"
    assert detect("12345") == "en"
    assert detect("Wie lange dauert der Versand?", (None, "fi")) == "de"
    assert detect("ok", ("da", "fi")) == "da"


def test_in_the_shops_language_the_answer_is_plain(api: Api) -> None:
    german = "# Facts about the shop\n## Versand\nWir liefern in 3 Tagen.\n## Zahlung\nPayPal."
    text = api.ask(messages=dialogue("Wie lange dauert die Lieferung?", facts=german))
    assert "**Versand**: Wir liefern in 3 Tagen." in text
    assert "auf" not in text.split("**")[0]


def test_a_list_of_facts_stays_a_list(api: Api) -> None:
    text = api.ask("How can I pay?")
    assert "**Payment**:\n- Visa and Mastercard\n- PayPal\n- Klarna" in text


def test_two_questions_in_one_get_both_answers(api: Api) -> None:
    text = api.ask("How much is shipping, and can I return things?")
    assert "- **Shipping and delivery**: " in text
    assert "- **Returns and refunds**: You can return" in text


def test_messages_that_came_together_are_answered_together(api: Api) -> None:
    second = {"role": "user", "content": "Can I pay by card?"}
    messages = [*dialogue("Do you have gift cards?"), second]
    text = api.ask(messages=messages)
    assert "Gift cards from 25" in text
    assert "Visa and Mastercard" in text


def test_a_greeting_is_greeted_with_what_can_be_asked(api: Api) -> None:
    text = api.ask("Good morning!")
    assert text.startswith("Hello!")
    assert "- Shipping and delivery" in text
    assert api.ask("你好").startswith("您好！")


def test_thanks_are_answered_with_thanks(api: Api) -> None:
    assert api.ask("hi", "Vielen Dank!") == phrase("de", "welcome")
    assert api.ask("hi", "شكرا") == phrase("ar", "welcome")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Who won the world cup in 1998?"),
        ("de", "Wer hat die Bundestagswahl gewonnen?"),
        ("zh", "今天股市怎么样？"),
        ("ar", "من هو رئيس فرنسا؟"),
    ],
)
def test_what_is_not_in_the_facts_is_not_answered(api: Api, code: str, text: str) -> None:
    answer = api.ask(text)
    assert answer.startswith(phrase(code, "nothing"))
    assert "hello@fjell.example" in answer


def test_without_facts_and_contact_it_says_so_too(api: Api) -> None:
    messages = dialogue("How long does delivery take?", facts=None)
    assert api.ask(messages=messages).startswith(phrase("en", "nothing"))


def test_the_contact_of_the_prompt_is_given_where_no_passage_has_one(api: Api) -> None:
    assert "hello@fjell.example" in api.ask("Can I talk to a human?")


def test_it_is_said_once_in_a_conversation_that_it_is_a_demo(api: Api) -> None:
    assert phrase("en", "demo") in api.ask("Can I pay by card?")
    assert phrase("en", "demo") not in api.ask("Can I pay by card?", "And by PayPal?")


def test_the_answer_goes_on_exactly_where_the_assistants_text_ends(api: Api) -> None:
    whole = api.ask("How long does delivery to Germany take?")
    for cut in (1, 25, len(whole) // 2, len(whole) - 1):
        messages = [
            *dialogue("How long does delivery to Germany take?"),
            {"role": "assistant", "content": whole[:cut]},
        ]
        assert api.ask(messages=messages, simulate="exact") == whole[cut:]


def test_a_text_that_is_not_the_answers_own_is_gone_on_from_where_it_joins(api: Api) -> None:
    whole = api.ask("How long does delivery to Germany take?")
    seam = whole.index("working days")
    own = f"Something else entirely. {whole[seam - 30 : seam]}"
    messages = [
        *dialogue("How long does delivery to Germany take?"),
        {"role": "assistant", "content": own},
    ]
    assert api.ask(messages=messages, simulate="exact") == whole[seam:]
    messages[-1] = {"role": "assistant", "content": "Never said before by anyone"}
    assert api.ask(messages=messages, simulate="exact") == f"\n\n{whole}"


def test_json_answers_have_the_text_and_its_sources(api: Api) -> None:
    import json

    fields = {"response_format": {"type": "json_object"}}
    answer = json.loads(api.ask("Wie kann ich bezahlen?", **fields))
    assert "Visa and Mastercard" in answer["answer"]
    assert (answer["language"], answer["sources"]) == ("de", ["Payment"])
    whole = api.ask("hello", **fields)
    cut = api.post(question("hello", max_tokens=4, **fields)).json()["choices"][0]
    assert cut["finish_reason"] == "length"
    assert whole.startswith(cut["message"]["content"])


def test_facts_end_with_the_next_heading(api: Api) -> None:
    facts = FACTS + "# Something else\n## Bargains\nEverything is free.\n"
    answer = api.ask(messages=dialogue("Do you have bargains?", facts=facts))
    assert "Everything is free" not in answer


def test_the_languages_are_those_of_the_server() -> None:
    from service.core.languages import LANGUAGES

    assert set(CODES) == set(LANGUAGES)
