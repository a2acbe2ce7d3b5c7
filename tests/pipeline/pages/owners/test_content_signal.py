import pytest

from pipeline.pages.owners.content_signal import signals_of


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("search=yes, ai-train=no", {"search": True, "ai-train": False}),
        ("search=yes,ai-train=no,use=reference", {"search": True, "ai-train": False}),
        ("AI-Train = No", {"ai-train": False}),
        ("ai-train=yes; search=no", {"ai-train": True, "search": False}),
        ("ai-train=no, ai-train=yes", {"ai-train": False}),
        ("ai-train=yes ai-train=no", {"ai-train": False}),
        ("ai-train", {}),
        ("ai-train=maybe", {}),
        ("", {}),
    ],
)
def test_each_signal_says_yes_or_no_and_no_wins(value, said):
    assert signals_of(value) == said
