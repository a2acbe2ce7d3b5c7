"""Which packages the trainer needs beside those of the other stages: an extra of the project."""

from importlib.util import find_spec

from train.errors import SettingsError

NEEDED = ("torch", "safetensors", "numpy")
MEND = (
    "install them with `pip install '.[train]'` in a checkout of webtext, or with "
    "`pip install 'torch>=2.11,<2.14' safetensors numpy`"
)


def require_packages() -> None:
    """SettingsError that says what to install, before any work, where a package is missing."""
    missing = [name for name in NEEDED if not _is_there(name)]
    if missing:
        raise SettingsError(f"training needs {', '.join(missing)}: {MEND}")


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False
