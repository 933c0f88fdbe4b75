"""Questions that only the conversation completes."""

import pytest

from tests.simulator.api import Api

NORWAY = "Delivery within Norway takes 1–3 working days and costs 59 NOK."


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("How long does delivery to Germany take?", "and to Norway?", "Norway"),
        ("送货到德国需要多长时间？", "那挪威呢？", "挪威"),
        ("كم يستغرق الشحن إلى ألمانيا؟", "وإلى النرويج؟", "النرويج"),
        ("Wie lange dauert die Lieferung?", "und nach Norwegen?", "Norwegen"),
        ("Combien coûte la livraison ?", "et en Norvège ?", "Norvège"),
        ("Сколько стоит доставка?", "а в Норвегию?", "Норвегия"),
        ("Paljonko toimitus maksaa?", "entä Norjaan?", "Norja"),
        ("送料はいくらですか？", "ノルウェーは？", "ノルウェー"),
        ("Kargo ne kadar?", "peki Norveç'e?", "Norveç"),
        ("Mennyibe kerül a szállítás?", "és Norvégiába?", "Norvégia"),
    ],
)
def test_a_place_alone_keeps_the_topic(api: Api, first: str, second: str, name: str) -> None:
    answer = api.ask(first, second)
    assert NORWAY in answer
    assert f"**{name}**" in answer
    assert "Germany" not in answer


def test_a_place_that_no_fact_names_gets_what_is_said_of_all_others(api: Api) -> None:
    answer = api.ask("How long does delivery to Germany take?", "and to Japan?")
    assert "“Japan” is not mentioned by name" in answer
    assert "Other countries: 25 EUR, 8–14 working days." in answer
    assert "Norway" not in answer


def test_a_place_gets_what_is_said_of_its_region(api: Api) -> None:
    answer = api.ask("How much is shipping?", "and to Italy?")
    assert "the rest of the EU it takes 4–7 working days" in answer
    assert "the rest of the EU" not in api.ask("How much is shipping?", "and to the UK?")


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("Do you have the Storm jacket in red?", "and that one in blue?", "Blue"),
        ("Gibt es die Jacke in Rot?", "und in Blau?", "Blau"),
        ("有红色的夹克吗？", "那蓝色的呢？", "蓝色"),
        ("هل السترة متوفرة باللون الأحمر؟", "وبالأزرق؟", "الأزرق"),
    ],
)
def test_a_colour_alone_keeps_the_product(api: Api, first: str, second: str, name: str) -> None:
    answer = api.ask(first, second)
    assert "The blue one is sold out in size M until December." in answer
    assert f"**{name}**" in answer


def test_a_colour_that_no_fact_names_is_said_to_be_unknown(api: Api) -> None:
    answer = api.ask("Do you have the Storm jacket in red?", "and in pink?")
    assert "“pink” is not mentioned by name" in answer
    assert "It comes in blue, red and black" in answer


def test_an_aspect_alone_keeps_the_product(api: Api) -> None:
    conversation = ["Tell me about the tent", "how heavy is it?", "and the price?"]
    assert "2.4 kg" in api.ask(*conversation[:2])
    assert "349 EUR" in api.ask(*conversation[:3])
    assert "2.4 kg" not in api.ask(*conversation[:3])


def test_another_product_keeps_the_aspect(api: Api) -> None:
    answer = api.ask("How much is the tent?", "and the jacket?")
    assert "229 EUR" in answer
    assert "349 EUR" not in answer


def test_a_topic_is_carried_over_several_messages(api: Api) -> None:
    places = ["to Germany?", "and to Switzerland?", "and to Norway?"]
    answer = api.ask("How much is shipping?", *places)
    assert NORWAY in answer
    assert "Switzerland" not in answer


def test_thanks_in_between_do_not_lose_the_topic(api: Api) -> None:
    assert NORWAY in api.ask("How much is shipping to Germany?", "thanks!", "and to Norway?")


def test_a_new_topic_carries_nothing_over(api: Api) -> None:
    answer = api.ask("How long does delivery to Norway take?", "Do you have gift cards?")
    assert "Gift cards from 25" in answer
    assert "Norway" not in answer


def test_the_language_may_change_within_a_conversation(api: Api) -> None:
    answer = api.ask("How long does delivery to Germany take?", "und nach Norwegen?")
    assert "Der Shop schreibt dazu (auf Englisch)" in answer
    assert NORWAY in answer
