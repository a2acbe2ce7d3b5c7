"""Sentences of our own in many languages, with the charsets in which their texts are met.

Codecs are Python's. Each language has several sentences, so that a part of them can be tried.
"""

WEST = ("cp1252", "mac_roman", "cp850")
EAST = ("cp1250", "iso8859_2", "cp852")
RUSSIAN = ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic")

SENTENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "de": (
        WEST,
        (
            "Der Müller fährt täglich über die Brücke, weil der Weg am Fluss kürzer ist.",
            "Größere Häuser stehen oben am Hügel; dort wächst süßes Gemüse in kühlen Gärten.",
            "Wir möchten wissen, ob die Tür heute früh schon geöffnet war.",
            "Es heißt, dass zwölf Schüler übermorgen ein Stück für Flöte und Hörner aufführen.",
        ),
    ),
    "fr": (
        WEST,
        (
            "L'été dernier, nous avons marché près de la forêt où vivait ma grand-mère.",
            "À midi, les élèves répètent leur leçon de français dans la cour du lycée.",
            "Le garçon a reçu un gâteau énorme, décoré de fraises et de crème fouettée.",
            "Il paraît que le théâtre sera fermé jusqu'à la fin du mois d'août.",
        ),
    ),
    "es": (
        WEST,
        (
            "El niño preguntó por qué el camión salía mañana y no después del almuerzo.",
            "¿Dónde está la estación? Según el señor, más allá del jardín pequeño.",
            "Mi corazón late rápido cuando oigo la canción que cantó mi abuela en el último baile.",
            "También compró plátanos, limón y un kilo de azúcar para el año nuevo.",
        ),
    ),
    "pt": (
        WEST,
        (
            "Não há ninguém na praça, porque a chuva começou antes da procissão.",
            "As crianças irão à escola amanhã e voltarão só às três horas.",
            "O avô contou histórias de pescadores, furacões e navios que não voltaram.",
            "Você já comeu pão de queijo com café quente na cozinha da mãe?",
        ),
    ),
    "it": (
        WEST,
        (
            "La città è più bella di sera, perché le luci si riflettono sul fiume.",
            "Lunedì andrò all'università, però martedì resterò a casa con papà.",
            "Così finì la storia del cane che cercava la libertà e trovò una famiglia.",
            "Non c'è più niente da mangiare, né pane né caffè; domani comprerò tutto.",
        ),
    ),
    "nl": (
        WEST,
        (
            "De ideeën van de coördinator werden in België beter ontvangen dan bij ons.",
            "Eén ding is zeker: de zeeën stijgen, en de financiële gevolgen zijn groot.",
            "Zij reünie was een succes, vóór alles door de muziek en de crème brûlée.",
            "Hij werkte naïef verder, hoewel de industriële vraag allang gedaald was.",
        ),
    ),
    "sv": (
        WEST,
        (
            "På våren går vi längs ån och räknar änder, svanar och små båtar.",
            "Hon åkte till Göteborg för att köpa en röd hörlur och ett par skör.",
            "Det är många som påstår att björnar äter blåbär hela sommaren.",
            "Läraren frågade varför dörren stod öppen när ingen var där.",
        ),
    ),
    "da": (
        WEST,
        (
            "Vi gå over broen og så på de små både, der lå ved kajen i Århus.",
            "Køkkenet er blåt, og på bordet står rødgrød med fløde til børnene.",
            "Han spørger, hvorfor æblerne i år er større end pærerne.",
            "På søndag kører vi ud til øen for at fange ørreder i åen.",
        ),
    ),
    "no": (
        WEST,
        (
            "Vi går på tur i fjellet når snøen har smeltet og bekkene flør over.",
            "Båten lå ved brygga, og måkene skrek så høyt at vi ikke hørte noe.",
            "Hun spør om vi også vil være med på kjøkkenet og lage grøt.",
            "Før jul må vi kjøpe lys, sølvpapir og et stort grønt tre.",
        ),
    ),
    "fi": (
        WEST,
        (
            "Tänään sää on kylmä, mutta järven jää ei vielä kestä kävelijää.",
            "Äiti leipoi pöydälle lämpimiä sämpylöitä ja keitti isälle kahvia.",
            "Hän näki metsässä hirven, joka söi lehtiä hyvin hiljaa.",
            "Työpäivän jälkeen lähdemme mökille, jossa syödään ja käydään saunassa.",
        ),
    ),
    "is": (
        ("cp1252",),
        (
            "Það er kalt í dag og snjórinn liggur yfir öllum húsum í þorpinu.",
            "Hún sagði að börnin hefðu farið út á ísinn þótt það væri bannað.",
            "Við förum á morgun með bátnum til eyjanna að veiða þorsk og ýsu.",
            "Gömlu mennirnir sátu við eldinn og sögðu sögur af álfum.",
        ),
    ),
    "ca": (
        WEST,
        (
            "La nena va preguntar què hi havia dins la caixa que el seu avi amagà.",
            "Demà anirem al mercat, però abans cal que passi la pluja d'aquest matí.",
            "Això és una història que només coneix la gent més gran del poble.",
            "L'autobús arribarà tard perquè el camí és ple de fang i pedres.",
        ),
    ),
    "en": (
        WEST,
        (
            "She said “yes” and didn’t look back — the café was closed anyway.",
            "It’s a naïve question, isn’t it? “Perhaps,” he said, “but it’s mine.”",
            "The company’s résumé policy hasn’t changed; applicants’ letters aren’t read.",
            "We’d walked for hours… nobody’s house was lit, and the dog’s bark was all we’d heard.",
        ),
    ),
    "pl": (
        EAST,
        (
            "Sąsiad pojechał rano do młyna, żeby sprzedać dwa worki pszenicy.",
            "Dziś wieczorem będziemy śpiewać pieśni przy ognisku, aż zgaśnie księżyc.",
            "Źle się stało, że chłopiec zgubił klucz, bo drzwi są już zamknięte.",
            "Może późnym latem wrócimy nad jezioro, gdzie ryby biorą najłatwiej.",
        ),
    ),
    "cs": (
        EAST,
        (
            "Soused řekl, že přijede až večer, protože má ještě práci na poli.",
            "Děti běžely k řece a házely kamínky tak daleko, jak jen mohly.",
            "Každý čtvrtek pečeme chléb s kmínem a k němu vaříme hustou polévku.",
            "Můj dědeček říkával, že štěstí přeje těm, kteří umějí čekat.",
        ),
    ),
    "sk": (
        EAST,
        (
            "Sused povedal, že príde až večer, lebo má ešte prácu na poli.",
            "Deti bežali k rieke a hádzali kamienky tak ďaleko, ako len vedeli.",
            "Každý štvrtok pečieme chlieb a k nemu varíme hustú polievku.",
            "Môj dedko hovorieval, že šťastie praje tým, ktorí vedia čakať.",
        ),
    ),
    "hu": (
        EAST,
        (
            "A szomszéd azt mondta, hogy csak este jön, mert még sok dolga van a földeken.",
            "Az erdő szélén öt őz állt, és figyelte a hűvös szélben mozgó füvet.",
            "Tegnap későn értünk haza, így a gyerekek rögtön lefeküdtek aludni.",
            "Nagyapám szerint a szerencse azokat kedveli, akik tűrni és várni tudnak.",
        ),
    ),
    "hr": (
        EAST,
        (
            "Susjed je rekao da će doći tek navečer jer još ima posla u polju.",
            "Djeca su trčala prema rijeci i bacala kamenčiće što su dalje mogla.",
            "Svaki četvrtak pečemo kruh i kuhamo gustu juhu za cijelu kuću.",
            "Moj djed je govorio da sreća prati one koji znaju čekati, a žuriti ne vole.",
        ),
    ),
    "sl": (
        EAST,
        (
            "Sosed je rekel, da pride šele zvečer, ker ima še delo na polju.",
            "Otroci so tekli k reki in metali kamenčke tako daleč, kot so mogli.",
            "Vsak četrtek pečemo kruh in kuhamo gosto juho za vso družino.",
            "Moj ded je pravil, da sreča spremlja tiste, ki znajo čakati.",
        ),
    ),
    "ro": (
        EAST,
        (
            "Vecinul a spus că vine abia seara, pentru că mai are treabă la câmp.",
            "Copiii au fugit spre râu şi au aruncat pietricele cât de departe au putut.",
            "În fiecare joi coacem pâine şi fierbem o ciorbă groasă pentru toată casa.",
            "Bunicul meu zicea că norocul îi ajută pe cei care ştiu să aştepte.",
        ),
    ),
    "tr": (
        ("cp1254",),
        (
            "Komşu, tarlada işi olduğu için ancak akşam geleceğini söyledi.",
            "Çocuklar ırmağa koştu ve taşları atabildikleri kadar uzağa attı.",
            "Her perşembe ekmek pişirir, bütün eve koyu bir çorba kaynatırız.",
            "Dedem, şansın beklemeyi bilenlere güldüğünü söylerdi.",
        ),
    ),
    "lt": (
        ("cp1257",),
        (
            "Kaimynas pasakė, kad ateis tik vakare, nes dar turi darbų lauke.",
            "Vaikai bėgo prie upės ir mėtė akmenukus taip toli, kaip tik galėjo.",
            "Kiekvieną ketvirtadienį kepame duoną ir verdame tirštą sriubą.",
            "Mano senelis sakydavo, kad laimė lydi tuos, kurie moka laukti, o ne skubėti.",
        ),
    ),
    "lv": (
        ("cp1257",),
        (
            "Kaimiņš teica, ka atnāks tikai vakarā, jo viņam vēl ir darbs laukā.",
            "Bērni skrēja uz upi un meta akmentiņus tik tālu, cik vien spēja.",
            "Katru ceturtdienu mēs cepam maizi un vārām biezu zupu visai mājai.",
            "Mans vectēvs mēdza teikt, ka laime nāk pie tiem, kas prot gaidīt.",
        ),
    ),
    "et": (
        ("cp1257",),
        (
            "Naaber ütles, et tuleb alles õhtul, sest tal on põllul veel tööd.",
            "Lapsed jooksid jõe äärde ja viskasid kive nii kaugele, kui jõudsid.",
            "Igal neljapäeval küpsetame leiba ja keedame kogu perele paksu suppi.",
            "Minu vanaisa rääkis, et õnn käib nende järel, kes oskavad oodata.",
        ),
    ),
    "ru": (
        RUSSIAN,
        (
            "Сосед сказал, что придёт только вечером, потому что у него ещё есть дела в поле.",
            "Дети бежали к реке и бросали камешки так далеко, как только могли.",
            "Каждый четверг мы печём хлеб и варим густой суп на весь дом.",
            "Мой дед говорил, что счастье любит тех, кто умеет ждать.",
        ),
    ),
    "uk": (
        ("cp1251", "koi8_u"),
        (
            "Сусід сказав, що прийде лише ввечері, бо має ще роботу в полі.",
            "Діти бігли до річки й кидали камінці так далеко, як тільки могли.",
            "Щочетверга ми печемо хліб і варимо густий суп на всю хату.",
            "Мій дід казав, що щастя любить тих, хто вміє чекати, її не женуть.",
        ),
    ),
    "bg": (
        ("cp1251", "iso8859_5", "cp866"),
        (
            "Съседът каза, че ще дойде чак вечерта, защото има още работа на полето.",
            "Децата тичаха към реката и хвърляха камъчета толкова далеч, колкото можеха.",
            "Всеки четвъртък печем хляб и варим гъста супа за цялата къща.",
            "Дядо ми казваше, че щастието обича онези, които умеят да чакат.",
        ),
    ),
    "el": (
        ("cp1253", "iso8859_7"),
        (
            "Ο γείτονας είπε ότι θα έρθει το βράδυ, γιατί έχει ακόμη δουλειά στο χωράφι.",
            "Τα παιδιά έτρεξαν στο ποτάμι και πετούσαν πετραδάκια όσο πιο μακριά μπορούσαν.",
            "Άλλοι λένε ότι κάθε Πέμπτη ψήνουμε ψωμί και βράζουμε πηχτή σούπα.",
            "Ο παππούς μου έλεγε πως η τύχη αγαπά όσους ξέρουν να περιμένουν.",
        ),
    ),
    "he": (
        ("cp1255", "iso8859_8"),
        (
            "השכן אמר שיבוא רק בערב, כי יש לו עוד עבודה בשדה.",
            "הילדים רצו אל הנהר וזרקו אבנים קטנות רחוק ככל שיכלו.",
            "בכל יום חמישי אנחנו אופים לחם ומבשלים מרק סמיך לכל הבית.",
            "סבא שלי היה אומר שהמזל אוהב את מי שיודע לחכות.",
        ),
    ),
    "ar": (
        ("cp1256", "iso8859_6"),
        (
            "قال الجار إنه لن يأتي إلا في المساء لأن لديه عملا في الحقل.",
            "ركض الأطفال إلى النهر ورموا الحصى إلى أبعد ما استطاعوا.",
            "نخبز كل يوم خميس ونطبخ حساء ثقيلا لجميع أهل البيت.",
            "كان جدي يقول إن الحظ يحب من يعرف كيف ينتظر.",
        ),
    ),
    "th": (
        ("cp874",),
        (
            "เพื่อนบ้านบอกว่าจะมาตอนเย็นเพราะยังมีงานในทุ่งนา",
            "เด็กๆ วิ่งไปที่แม่น้ำและโยนก้อนหินไปไกลที่สุดเท่าที่ทำได้",
            "ทุกวันพฤหัสบดีเราอบขนมปังและต้มซุปข้นสำหรับทุกคนในบ้าน",
            "ปู่ของฉันเคยพูดว่าโชครักคนที่รู้จักรอ",
        ),
    ),
    "ja": (
        ("shift_jis", "euc_jp"),
        (
            "隣の人は、畑の仕事がまだあるので、夕方にしか来られないと言いました。",
            "子どもたちは川まで走って、できるだけ遠くへ小石を投げました。",
            "毎週木曜日にはパンを焼き、家族みんなのために濃いスープを作ります。",
            "祖父は、幸運は待つことを知る人を好むとよく話していました。",
        ),
    ),
    "zh": (
        ("gbk", "gb18030"),
        (
            "邻居说他要到晚上才能来，因为田里还有活要干。",
            "孩子们跑到河边，把小石头扔得尽可能远。",
            "每个星期四我们都烤面包，给全家煮一锅浓汤。",
            "我的爷爷常说，运气喜欢那些懂得等待的人。",
        ),
    ),
    "zh-tw": (
        ("big5",),
        (
            "鄰居說他要到晚上才能來，因為田裡還有工作要做。",
            "孩子們跑到河邊，把小石頭丟得愈遠愈好。",
            "每個星期四我們都烤麵包，替全家煮一鍋濃湯。",
            "我的爺爺常說，運氣喜歡那些懂得等待的人。",
        ),
    ),
    "ko": (
        ("euc_kr", "cp949"),
        (
            "이웃은 밭에 아직 일이 남아 있어서 저녁에야 올 수 있다고 말했다.",
            "아이들은 강가로 달려가 조약돌을 할 수 있는 한 멀리 던졌다.",
            "목요일마다 우리는 빵을 굽고 온 가족을 위해 진한 국을 끓인다.",
            "할아버지는 행운이 기다릴 줄 아는 사람을 좋아한다고 말씀하셨다.",
        ),
    ),
}
