"""What tells languages of one script apart: everyday words, and letters that few of them use.

The words are the ones that short questions to a shop are made of: function words first, then
greetings and the verbs and nouns of orders, parcels and money. A word may stand in several
languages; it then counts less in each (`languages.guess` divides its weight).
"""

WORDS: dict[str, str] = {
    "en": """
        the a an and or of to in on at for from with without is are was were be been am i you he
        she it we they my your his her its our their me him them us this that these those what
        which who when where why how much many long do does did don't can can't could will would
        shall should may might must have has had not no yes if but because so than then there here
        please thanks thank hi hello hey still yet already also too very any some all both want
        need like get got order ordered parcel package shipping ship delivery return refund size
        colour color price cost buy i'm i'd it's isn't doesn't didn't about after before again just
        back help speak person human agent today tomorrow week blue red green black
    """,
    "es": """
        el la los las un una unos unas y o de del al a en con sin por para es son era fue ser estar
        está están estoy hay soy yo tú usted él ella nosotros ustedes ellos mi mis su sus tu me te
        se le les lo nos que qué cuál cuánto cuánta cuántos cuándo dónde quién cómo cuesta cuestan
        no sí si pero porque muy más menos también todavía aún ya hola gracias buenas buenos días
        favor quiero quisiera puedo puede pueden tengo tiene tienen hacer pedido paquete envío
        envían enviar devolver devolución talla tamaño precio comprar dinero tarjeta pedí ha han he
        esta este esto ese eso aquí hasta desde cuando otra otro ayuda hablar persona azul rojo
        semana entrega suele tarda
    """,
    "de": """
        der die das den dem des ein eine einen einem einer und oder aber von zu zum zur in im an am
        auf für mit ohne bei aus nach ist sind war waren sein bin ich du er sie es wir ihr mir mich
        dir dich uns euch ihnen ihre ihren mein meine meinen dein unser was welche welcher wer wann
        wo warum wie viel viele lange kostet kosten kann können könnte wird werden würde möchte
        will muss soll habe haben hat hatte hätte nicht kein keine ja nein wenn weil dass noch
        schon auch sehr bitte danke hallo guten tag bestellung bestellt paket versand lieferung
        liefert zurück rückgabe größe farbe preis kaufen geld karte gern gerne wieder hier da dann
        um bis über gibt meiner diese dieser hilfe mensch sprechen blau woche
    """,
    "fr": """
        le la les un une des du de et ou à au aux en dans sur pour par avec sans est sont était
        être suis je tu il elle nous vous ils elles on mon ma mes ton votre vos notre nos son sa
        ses ce cette ces ça c'est qui que quoi quel quelle quels quand où pourquoi comment combien
        coûte coûtent peut peux pouvez puis voudrais veux voulez souhaite ai a avez avons ont avait
        pas ne plus non oui si mais parce donc très trop aussi encore déjà toujours bonjour salut
        merci s'il plaît commande commandé colis livraison livrez livrer retour renvoyer rembourser
        taille couleur prix acheter argent carte été fait faire j'ai d'une l'ai n'est qu'est y moi
        lui leur aide parler humain bleu bleue semaine
    """,
    "it": """
        il lo la i gli le un uno una di del della dei delle da dal in nel nella con su per tra a al
        alla ai e o ma è sono era sei siete essere io tu lui lei noi voi loro mio mia miei tuo suo
        vostro mi ti ci vi si me che chi cosa quale quanto quanta quanti quando dove dov'è perché
        come costa costano posso può potete vorrei voglio ho ha hai avete hanno non no sì se anche
        ancora già molto troppo più grazie ciao buongiorno salve favore ordine ordinato pacco
        spedizione spedite consegna reso restituire rimborso taglia misura colore prezzo comprare
        soldi carta questo questa quello qui c'è fino dopo quindi arrivata arrivato aiuto parlare
        persona blu settimana dispiace capisco
    """,
    "pt": """
        o os as um uma uns umas de do da dos das em no na nos nas ao à com sem por pelo pela para e
        ou mas é são era foi ser está estão estou sou eu tu você vocês ele ela nós eles meu minha
        meus minhas seu sua me te se lhe que qual quanto quanta quantos quando onde quem porquê
        como custa custam posso pode podem quero queria gostaria tenho tem têm não sim também ainda
        já muito mais menos obrigado obrigada olá oi bom boa dia tarde encomenda pedido pacote
        envio enviam entrega entregam devolver devolução tamanho cor preço comprar dinheiro cartão
        isso isto este esta esse essa aqui até depois cheguei chegou favor fica ajuda falar pessoa
        azul semana
    """,
    "pl": """
        i w we z ze na do od po za o u przy dla bez przez pod nad jest są był była było być jestem
        ja ty on ona ono my wy oni mnie mi mój moja moje mojej pan pani państwo się to ta ten te
        tego tej co jaki jaka jakie który która kto kiedy gdzie dlaczego jak ile czy kosztuje
        kosztują mogę może można możecie chcę chciałbym chciałabym mam ma macie nie tak jeśli ale
        bo więc też także jeszcze już bardzo proszę dziękuję dzięki cześć dzień dobry witam
        zamówienie zamówiłem zamówiłam paczka wysyłka wysyłacie dostawa zwrot zwrócić rozmiar kolor
        cena kupić pieniądze karty tydzień pomoc człowiek niebieska
    """,
    "nl": """
        de het een en of van te in op aan voor met zonder bij uit naar is zijn was waren ben bent
        ik jij je u hij zij ze wij we jullie mij mijn jouw uw ons onze hun dit dat deze die wat
        welke wie wanneer waar waarom hoe veel lang kost kosten kan kunnen kunt wil willen zou moet
        mag heb heeft hebben had niet geen ja nee als maar omdat dus ook nog al steeds heel erg
        graag alstublieft alsjeblieft bedankt dank hoi hallo goedendag bestelling besteld pakket
        verzending verzenden levering leveren terug retour terugsturen maat kleur prijs kopen geld
        er dan om over naartoe mens hulp spreken blauw week
    """,
    "tr": """
        bir ve veya ile için bu şu o ben sen biz siz onlar bana sana bize benim senin sizin bizim
        var yok mı mi mu mü misiniz musunuz mısınız ne neden nasıl nerede nereye kim hangi kaç
        kadar zaman ama fakat çünkü da de ki daha çok en hâlâ hala henüz evet hayır değil olarak
        olan oldu istiyorum istiyor yapıyor ediyor lütfen teşekkürler teşekkür merhaba selam iyi
        günler sipariş siparişim kargo paket paketim teslimat gönderim iade beden renk fiyat ücreti
        para kart geri ettim aldım gelmedi gibi sonra önce yardım insan mavi hafta
    """,
    "cs": """
        a i v ve z ze na do od po za o u s se si k ke pro bez při před je jsou byl byla bylo být
        jsem jste já ty on ona my vy oni mě mi mně můj moje má vám vás to ta ten tento tato co jaký
        jaká jaké který kdo kdy kde kam proč jak kolik stojí mohu můžu může můžete chci chtěl
        chtěla bych mám máte ne ano pokud ale protože takže také taky ještě už velmi moc prosím
        děkuji díky ahoj dobrý den objednávka objednal objednala balík zásilka doprava doručení
        vrátit vrácení velikost barva cena koupit peníze kartou karty zpátky posíláte pomoc člověk
        modrá týden
    """,
    "vi": """
        tôi bạn anh chị em shop của là và có không được cho với này đó khi nào ở đâu bao nhiêu lâu
        gì ai tại sao thế như muốn cần phải đã đang sẽ chưa rồi còn vẫn nhưng vì nếu nên rất quá
        một hai các những trong ngoài đến từ về trên dưới xin chào cảm ơn vâng dạ ạ giúp đơn hàng
        đặt mua giao nhận trả lại đổi tiền giá phí vận chuyển cỡ màu áo giày hoàn thẻ làm bị thì mà
        để cũng nữa đi
    """,
    "hu": """
        a az egy és vagy de hogy nem igen is van vannak volt lesz én te ő mi ti ők nekem neki önök
        ön engem ez azt ezt arra mit melyik ki mikor hol hova honnan miért hogyan mennyi mennyibe
        kerül lehet tudok tud tudnák szeretnék szeretném kérek kérem még már csak nagyon ha mert
        ezért köszönöm szia üdv jó napot helló rendelés rendelésem rendeltem csomag csomagom
        szállítás szállítanak visszaküldeni vissza méret szín ár vásárolni pénz kártya meg el be
        fel le nincs meddig után előtt túl amit segítség ember kék hét
    """,
    "ro": """
        și sau dar de la din în pe cu fără pentru prin este sunt era fi fost eu tu el ea noi voi ei
        ele îmi mi mă te se ne vă meu mea mei tău lui lor un o una unei cel cea acest această ce
        care cine când unde cum cât câtă câte costă pot poate puteți vreau aș vrea am ai are aveți
        au nu da dacă că să mai foarte prea încă deja salut bună ziua mulțumesc rog comandă comanda
        comandat colet coletul livrare livrarea livrați retur returna mărime mărimea culoare preț
        cumpăra bani banii card înapoi până după ajutor om albastru săptămână
    """,
    "sv": """
        och eller men att det den de en ett är var vara av till från på i för med utan om jag du
        han hon vi ni mig dig oss er mitt min mina din ditt denna detta dessa vad vilken vilket vem
        när varför hur mycket många länge kostar kan kunna ska skulle vill måste har hade inte
        ingen ja nej så eftersom också fortfarande redan snälla tack hej beställning beställde
        beställt paket frakt frakten leverans skicka skickar tillbaka returnera storlek färg pris
        köpa pengar kort gärna här där igen ännu hjälp prata blå vecka förra
    """,
    "fi": """
        ja tai mutta että se ne on ovat oli ole olen ei en et emme ette eivät minä sinä hän me te
        he minun sinun minulle minulla teillä teidän mitä mikä missä minne milloin miksi miten kuka
        kuinka paljonko paljon kauan kestää maksaa voi voin voinko voitte voitteko haluan haluaisin
        pitää tämä tuo nämä vielä jo myös kun jos koska niin hyvin liian kiitos moi hei terve
        päivää hyvä tilaus tilaukseni tilasin paketti pakettini toimitus toimitatteko palauttaa
        palautus koko väri hinta ostaa rahat takaisin kortti onko saako mulla mun eikö sitten apua
        ihminen sininen viikko
    """,
    "da": """
        og eller men at det den de en et er var være af til fra på i for med uden om jeg du han hun
        vi mig dig os jer min mit mine din dit denne dette disse hvad hvilken hvem hvornår hvor
        hvorfor hvordan meget mange længe koster kan kunne skal skulle vil må har havde ikke ingen
        ja nej så fordi også stadig allerede venligst tak hej goddag bestilling bestilte bestilt
        pakke ordre fragt fragten levering sende sender tilbage returnere størrelse farve pris købe
        penge kort gerne her der igen endnu noget nogen efter gange uge hjælp tale blå sidste
        pakken bliver blive mellem gennem fået hverdage sig mere nu jeres tager nå hav
    """,
    "no": """
        og eller men at det den de en et ei er var være av til fra på i for med uten om jeg du han
        hun vi dere meg deg oss min mitt mine din ditt denne dette disse hva hvilken hvem når hvor
        hvorfor hvordan mye mange lenge koster kan kunne skal skulle vil må har hadde ikke ingen ja
        nei så fordi også fortsatt allerede vennligst takk hei heisann bestilling bestilte bestilt
        pakke pakken ordre frakt frakten levering sende sender tilbake returnere størrelse farge
        pris kjøpe penger kort gjerne her der igjen ennå noe noen etter ganger uke hjelp snakke blå
        forrige sjekke blir bli mellom gjennom fått virkedager seg mer nå deres tar
    """,
    "ru": """
        и в во на с со к у о об от до за из по для без под над при не ни да нет я ты он она оно мы
        вы они мне меня мой моя моё мои вам вас ваш это этот эта эти тот что какой какая какие кто
        когда где куда почему зачем как сколько стоит есть был была было быть можно могу может
        можете хочу хотел хотела бы но или если потому поэтому тоже также ещё еще уже очень
        пожалуйста спасибо привет здравствуйте добрый день заказ заказал заказала посылка доставка
        вернуть возврат размер цвет цена купить деньги карты ли же сих помощь человек синий неделя
    """,
    "uk": """
        і й та в у на з зі із до від за по для без під над при не ні так я ти він вона воно ми ви
        вони мені мене мій моя моє мої вам вас ваш це цей ця ці той що який яка які хто коли де
        куди чому навіщо як скільки коштує є був була було бути можна можу може можете хочу хотів
        хотіла би але або якщо тому також теж ще вже дуже будь ласка дякую привіт вітаю добрий день
        замовлення замовив замовила посилка доставка повернути повернення розмір колір ціна купити
        гроші картки чи досі допомога людина синій тиждень
    """,
    "bg": """
        и в във на с със към у от до за из по при без под над не да е са съм сте си сме беше бил
        била аз ти той тя то ние вие те ми ме мен мой моя моята вас ви ваш това този тази тези онзи
        какво какъв каква кой коя кога къде защо как колко струва има имате няма мога може можете
        искам бих но или ако защото затова също още вече много моля благодаря здравей здравейте
        добър ден поръчка поръчката поръчах пратка пратката доставка доставката върна връщане
        размер цвят цена купя пари карта картата ли ще се го ги все помощ човек синьо седмица
    """,
    "ar": """
        في من إلى على عن مع هل ما ماذا كم متى أين كيف لماذا أي هذا هذه ذلك تلك الذي التي أنا أنت
        نحن هو هي هم لي لكم لك لم لا لن نعم أو و ثم لكن لأن إذا قد كان كانت يكون تم حتى الآن أريد
        أرغب يمكن يمكنني يمكنكم عندي لدي لديكم بعد قبل مرحبا مرحبًا السلام عليكم شكرا شكرًا فضلك
        طلب طلبي طلبت الشحن التوصيل الطرد طردي إرجاع استرداد مقاس لون سعر المال المبلغ بطاقتي يوم
        أيام مساعدة موظف أزرق
    """,
    "fa": """
        در از به با را که این آن برای تا هم یا و اما ولی اگر چون پس نه بله است هست هستم نیست بود شد
        شده من تو او ما شما آنها چه چی چرا کجا کجاست کی چقدر چند چطور کدام آیا می نمی باید هنوز
        خیلی یک دو هر بعد قبل سلام ممنون متشکرم لطفا لطفاً مرسی سفارش سفارشم بسته ارسال تحویل
        مرجوعی سایز اندازه رنگ قیمت هزینه پول کارت خرید دادم دارید دارم کنید کنم بکنم شود روز هفته
        کمک آبی
    """,
}

# Letters of one language of its script.
OWN_LETTERS: dict[str, str] = {
    "es": "ñ¿¡",
    "de": "ß",
    "tr": "ğı",
    "fr": "œû",
    "it": "ìò",
    "pt": "ã",
    "ro": "șț",
    "pl": "łąęśćżźń",
    "cs": "ěřůčšž",
    "hu": "őű",
    "vi": "đơư",
    "ru": "ыэё",
    "fa": "پچژگکی",
    "ar": "ةيكىأإ",
    "uk": "іїєґ",
}

# Letters of several, their weight already shared among those that use them.
SHARED_LETTERS: dict[str, dict[str, float]] = {
    "ü": {"de": 0.4, "tr": 0.4, "hu": 0.3},
    "ö": {"de": 0.3, "sv": 0.35, "fi": 0.3, "hu": 0.3, "tr": 0.3},
    "ä": {"de": 0.4, "sv": 0.4, "fi": 0.5},
    "å": {"sv": 0.5, "da": 0.35, "no": 0.35},
    "æ": {"da": 0.8, "no": 0.6},
    "ø": {"da": 0.7, "no": 0.7},
    "ç": {"fr": 0.4, "pt": 0.5, "tr": 0.4},
    "ş": {"tr": 1.0, "ro": 0.3},
    "ê": {"fr": 0.4, "pt": 0.4, "vi": 0.3},
    "è": {"fr": 0.5, "it": 0.6},
    "ù": {"fr": 0.6, "it": 0.4},
    "õ": {"pt": 1.0, "vi": 0.2},
    "â": {"ro": 0.5, "fr": 0.2, "pt": 0.2, "vi": 0.3},
    "ă": {"ro": 0.8, "vi": 0.4},
    "î": {"ro": 0.8, "fr": 0.3},
    "ó": {"pl": 0.2, "es": 0.2, "hu": 0.2, "pt": 0.15, "cs": 0.1},
    "ý": {"cs": 0.7, "vi": 0.2},
    "í": {"cs": 0.3, "es": 0.25, "pt": 0.15, "hu": 0.2},
    "á": {"cs": 0.2, "hu": 0.3, "es": 0.15, "pt": 0.15},
    "é": {"fr": 0.25, "hu": 0.25, "es": 0.15, "pt": 0.15, "cs": 0.15},
    "ъ": {"bg": 0.8, "ru": 0.05},
}

# Pieces of words that carry a short message where none of its words is known.
PIECES: dict[str, dict[str, float]] = {
    "sch": {"de": 0.5},
    "ung": {"de": 0.3},
    "ij": {"nl": 0.6},
    "oe": {"nl": 0.3},
    "aa": {"nl": 0.3, "fi": 0.4},
    "ää": {"fi": 1.2},
    "ii": {"fi": 0.5},
    "uu": {"fi": 0.4, "nl": 0.1},
    "yy": {"fi": 0.6},
    "ssa": {"fi": 0.4, "it": 0.1},
    "lla": {"fi": 0.3, "es": 0.1, "it": 0.2},
    "nko": {"fi": 0.8},
    "sz": {"pl": 0.4, "hu": 0.4},
    "cz": {"pl": 0.7},
    "rz": {"pl": 0.6},
    "gy": {"hu": 0.5},
    "ny": {"hu": 0.2},
    "yor": {"tr": 1.0},
    "lar": {"tr": 0.4},
    "ler": {"tr": 0.3},
    "zione": {"it": 1.5},
    "ção": {"pt": 1.5},
    "ções": {"pt": 1.5},
    "ción": {"es": 1.5},
    "lh": {"pt": 0.6},
    "nh": {"pt": 0.4, "vi": 0.4},
    "eau": {"fr": 0.6},
    "eux": {"fr": 0.5},
    "qu": {"fr": 0.2, "es": 0.2, "it": 0.2, "pt": 0.2},
    "th": {"en": 0.3, "vi": 0.1},
    "hv": {"da": 0.5, "no": 0.5},
    "kj": {"no": 0.6},
    "øj": {"da": 1.0},
    "øy": {"no": 1.0},
    "ei": {"de": 0.1, "no": 0.2},
    "ът": {"bg": 1.0},
    "ата": {"bg": 0.5},
    "ате": {"bg": 0.5},
    "ите": {"bg": 0.2, "ru": 0.1},
    "ться": {"ru": 1.0},
    "ого": {"ru": 0.5, "uk": 0.3},
    "ння": {"uk": 1.0},
    "ال": {"ar": 0.6},
}
