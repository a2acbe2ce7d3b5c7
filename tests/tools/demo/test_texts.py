from tools.demo import handbook as program
from tools.demo.texts import handbook, readme_blocks, readmes

MARKDOWN = """\
# A tool

[![badge](https://x.example/b.svg)](https://x.example)
It has **strong** words, a [link](https://x.example) and `code`.

* one
* two
  goes on

```python
print("as it stands")
```
"""
RST = """\
Title
=====

A paragraph with a `link <https://x.example>`_ and :func:`role`.

.. note:: hidden
"""


def test_markdown_becomes_blocks():
    assert readme_blocks(MARKDOWN) == [
        ("h2", "A tool"),
        ("p", "It has strong words, a link and code."),
        ("li", "one"),
        ("li", "two"),
        ("p", "goes on"),
        ("pre", 'print("as it stands")'),
    ]


def test_restructured_text_becomes_blocks():
    assert readme_blocks(RST) == [("h2", "Title"), ("p", "A paragraph with a link and role.")]


def test_the_standard_library_has_a_text_for_modules_and_classes_and_no_addresses():
    # How many and how long they are is the interpreter's business: 3.13 strips indentation.
    texts = handbook()
    titles = {text.title for text in texts}
    assert {"The module bisect", "argparse.ArgumentParser, a class of argparse"} <= titles
    assert not [text.title for text in texts if " at 0x" in text.text]


def test_modules_that_act_when_imported_are_left_out():
    names = program._names()
    assert "json" in names
    assert "json.decoder" in names
    assert not {"antigravity", "this", "tkinter", "idlelib", "test"} & set(names)


def test_the_installed_packages_have_readmes():
    assert len(readmes()) > 20
