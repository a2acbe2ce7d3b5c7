"""Makes pipeline/tokens/classes.txt, the classes of characters that GPT-2's pattern names.

    python -m tools.training.pretoken_classes > pipeline/tokens/classes.txt

They are those of the regex engine with which the library tokenizers splits texts: each of the
1.1 million code points is given to it, which takes 15 s.
"""

from tokenizers import Regex, pre_tokenizers

from pipeline.tokens.pretokens import CODE_POINTS, PATTERNS, SURROGATES


def lines() -> list[str]:
    """The lines of the file: class, first and last code point of each run, in hexadecimal."""
    points = [*range(SURROGATES[0]), *range(SURROGATES[1], CODE_POINTS)]
    every = "".join(map(chr, points))
    made = []
    for name, pattern in PATTERNS.items():
        split = pre_tokenizers.Split(Regex(pattern), "removed")
        end = 0
        for _, (start, next_end) in [*split.pre_tokenize_str(every), ("", (len(every), 0))]:
            if end < start:
                made.append(f"{name} {points[end]:x} {points[start - 1]:x}")
            end = next_end
    return made


if __name__ == "__main__":
    print("\n".join(lines()))
