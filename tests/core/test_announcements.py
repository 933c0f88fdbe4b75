"""Announcements: "Sure, continuing:", and what only looks like it."""

import pytest

from service.core.announcements import announces


@pytest.mark.parametrize(
    "text",
    [
        "Sure, continuing:", "Sure! Here it is", "Of course. ", "Certainly, I", "Continuing:",
        "Continuing from where I left off: it", "Okay — so", "\n\nSure, continuing:",
        "**Sure,** so",
        "Here is the continuation: it", "Let me continue where I left off:", "OK, SO",
        "好的，继续：", "当然，接着说：", "以下是继续的内容：", "Конечно, продолжаю:",
        "Хорошо. Вот",
        "Claro, continúo:", "Natürlich, weiter geht's:", "Hier geht es weiter: Die",
        "Bien sûr, je continue :", "D'accord, la suite :", "Certo, continuo:",
        "Claro, continuando:",
        "Jasne, kontynuuję:", "はい、続けます。", "承知しました。続きです：",
        "Natuurlijk, ik ga verder:",
        "بالتأكيد، أكمل:", "Tabii, devam ediyorum:", "Jistě, pokračuji:", "Chắc chắn, tiếp tục:",
        "البته، ادامه:", "Persze, folytatom:", "Βεβαίως, συνεχίζω:", "Sigur, continui:",
        "Självklart, jag fortsätter:", "Звичайно, продовжую:", "Toki, jatkan:",
        "네, 계속하겠습니다:",
        "Selvfølgelig, jeg fortsætter:", "Разбира се, продължавам:", "Selvsagt, jeg fortsetter:",
    ],
)  # fmt: skip
def test_a_model_says_that_it_goes_on(text):
    assert announces(text)


@pytest.mark.parametrize(
    "text",
    [
        "In other words: we", "In short, we", "换句话说：我们", "Другими словами: мы",
        "En otras palabras: el", "Anders gesagt: Wir", "En d'autres termes : nous",
        "In altre parole: noi", "Por outras palavras: nós", "Innymi słowy: my",
        "言い換えますと：当店",
        "Met andere woorden: wij", "بعبارة أخرى: نحن", "Başka bir deyişle: biz",
        "Jinými slovy: my", "Nói cách khác: chúng", "به عبارت دیگر: ما", "Más szóval: mi",
        "Με άλλα λόγια: εμείς", "Cu alte cuvinte: noi", "Med andra ord: vi",
        "Іншими словами: ми", "Toisin sanoen: me", "다시 말해: 저희", "Med andre ord: vi",
        "С други думи: ние",
    ],
)  # fmt: skip
def test_a_model_says_that_it_says_it_again(text):
    assert announces(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "sure, then", "Surely it is.", "Sure it is.", "Of course you can",
        "Our sizes: S, M",
        "We continue to ship. Sizes: S", "Continue with the form", "好的衣服", "当然可以退货",
        "Okayama: S",
        "Вот размеры: S", "Weiterhin gilt das.", "Right of return", "🙂 Sure", "Note: it is",
    ],
)  # fmt: skip
def test_an_answer_only_looks_like_it(text):
    assert not announces(text)
