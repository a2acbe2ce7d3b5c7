from tools.sizes_reference import PAGE, with_sizes
from train.config import PRESETS


def test_the_page_has_the_sizes_of_the_presets():
    page = PAGE.read_text(encoding="utf-8")
    assert with_sizes(page) == page
    for name, recipe in PRESETS.items():
        if recipe.paper:
            assert f"| `{name}` | {recipe.config.parameters():,} | {recipe.paper} |" in page
