"""The sample shop, through the real prompt: what a stranger who tries the demo reads."""

import pytest

from service.core.prompt import Said, build
from service.simulator.answers.lexicon import CODES, language
from service.sites import load_sites
from tests.simulator.api import Api
from tests.support.instance import ROOT

SITES = load_sites(ROOT / "service" / "demo" / "sites.toml", frame_bytes=16_384)


def ask(api: Api, locale: str, *texts: str) -> str:
    said = []
    for number, text in enumerate(texts):
        if number:
            said.append(Said("assistant", "…"))
        said.append(Said("customer", text))
    prompt = build(SITES["pk_demo"], said, locale=locale, context_tokens=12_000, answer_tokens=800)
    return api.ask(messages=prompt.messages)


TO_NORWAY = {
    "zh": "寄到挪威要多少钱？",
    "en": "What does shipping to Norway cost?",
    "ru": "Сколько стоит доставка в Норвегию?",
    "es": "¿Cuánto cuesta el envío a Noruega?",
    "de": "Was kostet der Versand nach Norwegen?",
    "fr": "Combien coûte la livraison en Norvège ?",
    "it": "Quanto costa la spedizione in Norvegia?",
    "pt": "Quanto custa o envio para a Noruega?",
    "pl": "Ile kosztuje wysyłka do Norwegii?",
    "ja": "ノルウェーへの送料はいくらですか？",
    "nl": "Wat kost verzending naar Noorwegen?",
    "ar": "كم تكلفة الشحن إلى النرويج؟",
    "tr": "Norveç'e kargo ücreti ne kadar?",
    "cs": "Kolik stojí doprava do Norska?",
    "vi": "Phí vận chuyển đến Na Uy là bao nhiêu?",
    "fa": "هزینه ارسال به نروژ چقدر است؟",
    "hu": "Mennyibe kerül a szállítás Norvégiába?",
    "el": "Πόσο κοστίζει η αποστολή στη Νορβηγία;",
    "ro": "Cât costă livrarea în Norvegia?",
    "sv": "Vad kostar frakten till Norge?",
    "uk": "Скільки коштує доставка до Норвегії?",
    "fi": "Paljonko toimitus Norjaan maksaa?",
    "ko": "노르웨이까지 배송비는 얼마예요?",
    "da": "Hvad koster fragt til Norge?",
    "bg": "Колко струва доставката до Норвегия?",
    "no": "Hva koster frakt til Norge?",
}


@pytest.mark.parametrize("code", CODES)
def test_shipping_to_norway_is_told_in_every_language(api: Api, code: str) -> None:
    answer = ask(api, code, TO_NORWAY[code])
    assert "14.90" in answer or "14,90" in answer
    assert "24.90" not in answer
    assert str(language(code).phrases["demo"]) in answer
    assert f"**{language(code).places['NO'][0]}**" in answer


@pytest.mark.parametrize(
    ("locale", "texts", "part"),
    [
        ("en", ["Do you have the parka in black?", "and that one in blue?"], "comes in blue"),
        ("en", ["Do you have the parka?", "what does it weigh?"], "980 g"),
        ("en", ["How heavy is the tent?", "and the backpack?"], "1,050 g"),
        ("en", ["What does shipping to Norway cost?", "and to the USA?"], "€24.90"),
        ("en", ["What does shipping to Norway cost?", "And to Japan?"], "cannot ship yet"),
        ("en", ["Where is my order?"], "My orders"),
        ("en", ["Is the lantern in stock?"], "sold out"),
        ("en", ["How do I wash the blanket?"], "wool detergent"),
        ("en", ["I want to talk to a human"], "+49 30 5550 1898"),
        ("de", ["Gibt es den Parka in Schwarz?", "und in Blau?"], "in Blau, Waldgrün"),
        ("de", ["Wie lange kann ich zurückgeben?"], "innerhalb von 30 Tagen"),
        ("de", ["Kann ich auf Rechnung zahlen?"], "14 Tagen"),
        ("zh", ["派克大衣有黑色的吗？", "那蓝色的呢？"], "有蓝色"),
        ("zh", ["提灯有货吗？"], "目前已售完"),
        ("zh", ["可以用支付宝吗？"], "支付宝"),
        ("ar", ["هل السترة متوفرة باللون الأسود؟", "وبالأزرق؟"], "أزرق"),
        ("ar", ["كيف أعيد المنتج؟"], "30 يومًا"),
        ("ar", ["ما هي أوقات العمل؟"], "9:00"),
    ],
)
def test_the_shops_own_languages_are_answered_in_their_words(
    api: Api, locale: str, texts: list[str], part: str
) -> None:
    answer = ask(api, locale, *texts)
    assert part in answer
    frame = str(language(locale).phrases["foreign"]).partition("(")[0]
    assert frame not in answer
