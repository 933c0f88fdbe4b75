"""How a model says that it goes on, or says it again, instead of going on: "Sure, continuing:".

Openers count where a mark follows them, so that "Sure, here is" is one and "of course you can" is
none; and only with their capital where their script has one: the rest of "measure, then" is no
"sure". Words for going on count before a colon.
"""

import re

_OPENERS = """
absolutely|alright|certainly|continuing|got it|ok|okay|of course|sure|sure thing|understood|right
好|好的|好啊|当然|当然可以|没问题|明白|明白了|继续|接着说|以下继续
конечно|разумеется|хорошо|продолжаю|продолжим|понял|поняла|ладно
claro|claro que sí|por supuesto|de acuerdo|desde luego|continúo|continuando|sigo|vale|entendido
klar|natürlich|gern|gerne|selbstverständlich|sicher|verstanden|weiter|einverstanden
bien sûr|d'accord|d’accord|certainement|entendu|très bien|je continue|la suite|suite|volontiers
certo|certamente|va bene|d’accordo|d'accordo|continuo|continuando|naturalmente
com certeza|claro que sim|certamente|continuando|entendi|está bem
jasne|oczywiście|dobrze|pewnie|kontynuuję|kontynuując|rozumiem
はい|もちろん|もちろんです|承知しました|承知いたしました|わかりました|分かりました|かしこまりました|了解しました|続き|続きです|続けます
natuurlijk|zeker|prima|goed|ik ga verder|verder|begrepen|uiteraard
بالتأكيد|حسنا|حسنًا|حسناً|طبعا|طبعًا|طبعاً|بالطبع|أكمل|متابعة|نعم
tabii|tabii ki|elbette|tamam|devam|devam ediyorum|peki|anladım
jistě|samozřejmě|dobře|pokračuji|pokračování|jasně|rozumím
chắc chắn|được|được rồi|tất nhiên|vâng|dạ|tiếp tục|dĩ nhiên
البته|حتما|حتماً|باشه|ادامه|بله|ادامه می‌دهم|چشم
persze|természetesen|rendben|folytatom|folytatás|értem|hogyne
βεβαίως|βέβαια|φυσικά|εντάξει|συνεχίζω|συνέχεια|κατάλαβα
sigur|desigur|bineînțeles|bineinteles|continui|continuare|în regulă|de acord
självklart|visst|absolut|okej|jag fortsätter|fortsättning|naturligtvis|javisst
звичайно|звісно|добре|продовжую|продовжуємо|зрозуміло|авжеж
toki|tietenkin|totta kai|selvä|jatkan|jatkoa|ymmärrän
네|네 알겠습니다|물론입니다|물론이죠|알겠습니다|계속|계속하겠습니다|이어서
selvfølgelig|klart|naturligvis|jeg fortsætter|fortsættelse|javel|forstået
разбира се|добре|продължавам|естествено|ясно|разбрано
selvsagt|jeg fortsetter|fortsettelse|den er grei|forstått
"""

_AGAIN = """
in other words|put differently|to put it differently|that is to say|in short|let me rephrase
换句话说|换言之|也就是说|总之|简而言之
другими словами|иными словами|иначе говоря|короче говоря
en otras palabras|dicho de otro modo|es decir|en resumen
anders gesagt|mit anderen worten|anders ausgedrückt|kurz gesagt
en d'autres termes|en d’autres termes|autrement dit|en bref|en résumé
in altre parole|in altri termini|vale a dire|in breve
por outras palavras|em outras palavras|ou seja|em resumo
innymi słowy|inaczej mówiąc|krótko mówiąc
言い換えますと|言い換えると|つまり|要するに
met andere woorden|anders gezegd|kortom
بعبارة أخرى|بكلمات أخرى|باختصار
başka bir deyişle|diğer bir deyişle|yani|kısacası
jinými slovy|jinak řečeno|stručně řečeno
nói cách khác|nói ngắn gọn|tóm lại
به عبارت دیگر|به بیان دیگر|خلاصه
más szóval|másképpen|röviden
με άλλα λόγια|δηλαδή|εν συντομία
cu alte cuvinte|altfel spus|pe scurt
med andra ord|kort sagt|annorlunda uttryckt
іншими словами|інакше кажучи|коротко кажучи
toisin sanoen|lyhyesti|toisin sanottuna
다시 말해|다시 말하면|다시 말씀드리면|요약하면
med andre ord|kort fortalt|anderledes sagt
с други думи|накратко|иначе казано
"""

_GOING_ON = """
continu|left off|fortsetz|fortsett|fortsätt|fortsæt|weiter|продолж|продовж|продълж|kontynu|pokrač
folytat|συνεχ|συνέχ|jatk|devam|tiếp tục|ادامه|متابع|أكمل|تكمل|继续|接着|接下来|续|続|계속|이어
la suite|verder|seguito|siguiendo|seguindo|voortzet
"""


def _any_of(table: str) -> str:
    words = {word for line in table.split("\n") for word in line.split("|") if word}
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_OPENS = re.compile(rf"(?:{_any_of(_OPENERS + _AGAIN)})\s?[,.!:;，。！：、،؛–—-]", re.IGNORECASE)
_SENTENCE = r"[^\n.!?。！？]*"
_SAYS_SO = re.compile(rf"{_SENTENCE}(?:{_any_of(_GOING_ON)}){_SENTENCE}[:：]", re.IGNORECASE)
_LEADING = "\"'“„«([*_`~¡"


def announces(text: str) -> bool:
    """Whether ``text`` begins by saying that the answer goes on, or is told again."""
    said = text.lstrip().lstrip(_LEADING)
    if not said or said[0].islower():
        return False
    return bool(_OPENS.match(said) or _SAYS_SO.match(said))
