"""How the facts of a prompt are taken apart."""

import pytest

from service.simulator.answers.facts import parse, split_sentences
from tests.simulator.api import FACTS


def test_the_head_and_the_passages_are_read() -> None:
    facts = parse(FACTS)
    assert (facts.shop, facts.contact, facts.reply_language) == (
        "Fjell & Fjord",
        "hello@fjell.example",
        None,
    )
    assert [passage.title for passage in facts.passages][:3] == [
        "Shipping and delivery",
        "Returns and refunds",
        "Payment",
    ]
    assert {passage.language for passage in facts.passages} == {"en"}


def test_a_message_without_facts_has_none() -> None:
    assert parse("You are kind.").passages == ()
    assert parse("").contact == ""


def test_each_passage_has_a_language_of_its_own() -> None:
    facts = parse(
        "# Reply language: zh-Hans\n# Facts about the shop\n"
        "## Versand\nWir liefern innerhalb von drei Tagen.\n"
        "## 退货\n30 天内可以退货。\n## الدفع\nيمكنك الدفع بالبطاقة.\n"
    )
    assert facts.reply_language == "zh"
    assert [passage.language for passage in facts.passages] == ["de", "zh", "ar"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("It costs 5 EUR. Then 6.", 2),
        ("Delivery takes approx. 5 days.", 1),
        ("Mo. bis Fr. 9–17 Uhr geöffnet.", 1),
        ("Bis zum 24. Dezember geliefert. Danach nicht.", 2),
        ("Das gilt z. B. für Zelte.", 1),
        ("Size M. It fits.", 2),
        ("It weighs 980 g in size M. In stock: 24.", 2),
        ("一句。两句！三句？", 3),
        ("جملة أولى. جملة ثانية؟ ثالثة", 3),
        ("- one\n- two", 2),
        ("", 0),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, count: int) -> None:
    assert len(split_sentences(text)) == count, split_sentences(text)


def test_items_of_a_list_are_known_as_such() -> None:
    assert split_sentences("Text.\n- one\n2. two\n* three") == [
        ("Text.", False),
        ("one", True),
        ("two", True),
        ("three", True),
    ]
