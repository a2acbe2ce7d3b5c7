"""The stop words of LAMBADA's filter: English words of the closed classes, a list of our own.

GPT-2's paper names no list. This one is called `closed-class-1`: articles and determiners,
pronouns, prepositions, conjunctions, auxiliaries with their contractions, and adverbs that stand
for no content; a change gets another name, and so another digest of the protocol.
"""

NAME = "closed-class-1"

ARTICLES = "a an the this that these those each every either neither both all any some no such"
QUANTITIES = "few many much more most less least several enough another other others half own same"
PRONOUNS = (
    "i me my mine myself you your yours yourself yourselves he him his himself she her hers "
    "herself it its itself we us our ours ourselves they them their theirs themselves one oneself "
    "who whom whose which what whoever whatever whichever"
)
INDEFINITE = (
    "someone somebody something anyone anybody anything everyone everybody everything nobody "
    "nothing none"
)
PREPOSITIONS = (
    "of in to for with on at from by about as into like through after over between out against "
    "during without before under around among within along across behind beyond up down off above "
    "near upon toward towards onto despite until till since beside besides below beneath except "
    "inside outside per via amid throughout than past"
)
CONJUNCTIONS = (
    "and or but nor so yet if because although though while whereas unless whether when where why "
    "how once lest whenever wherever"
)
AUXILIARIES = (
    "am is are was were be been being have has had having do does did doing done will would shall "
    "should can could may might must ought cannot let"
)
CONTRACTIONS = (
    "s t d m re ve ll n't 's 'd 'm 're 've 'll isn't aren't wasn't weren't don't doesn't didn't "
    "won't wouldn't can't couldn't shouldn't haven't hasn't hadn't i'm i'd i'll i've you're you'd "
    "you'll you've he's he'd he'll she's she'd she'll it's it'd it'll we're we'd we'll we've "
    "they're they'd they'll they've that's there's who's what's let's"
)
ADVERBS = (
    "not very too also just only even still then there here now again ever never always already "
    "almost rather quite perhaps maybe however therefore thus else instead away back"
)

STOP_WORDS = frozenset(
    " ".join(
        (ARTICLES, QUANTITIES, PRONOUNS, INDEFINITE, PREPOSITIONS, CONJUNCTIONS, AUXILIARIES,
         CONTRACTIONS, ADVERBS)
    ).split()
)  # fmt: skip
