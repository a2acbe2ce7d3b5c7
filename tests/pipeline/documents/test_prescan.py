import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.prescan import declared_charset

CONTENT = "http-equiv=Content-Type content="


@pytest.mark.parametrize(
    ("html", "name"),
    [
        ("<meta charset=koi8-r>", "koi8-r"),
        ("<META\nCHARSET = ' KOI8-R ' />", "koi8-r"),
        ("<meta/charset=koi8-r>", "koi8-r"),
        (f"<meta {CONTENT}'text/html; charset=koi8-r'>", "koi8-r"),
        (f"<meta content='text/html;charset = \"koi8-r\"' {CONTENT.split()[0]}>", "koi8-r"),
        (f"<meta {CONTENT}text/html; charset=koi8-r>", "koi8-r"),
        ("<meta charset=utf-16>", "utf-8"),
        ("<meta charset=nonsense><meta charset=koi8-r>", "koi8-r"),
        ("<meta charset=koi8-r><meta charset=utf-8>", "koi8-r"),
        ("<?xml version='1.0' encoding='koi8-r'?><p>", "koi8-r"),
        ("<?xml version='1.0' encoding='koi8-r'?><meta charset=utf-8>", "utf-8"),
        ("<script src=a></script><meta charset=koi8-r>", "koi8-r"),
        ("<!--><meta charset=koi8-r>-->", "koi8-r"),
        ("<!-- > --><meta charset=koi8-r>", "koi8-r"),
        ("<a title='>'><meta charset=koi8-r>", "koi8-r"),
        # No declarations, by the standard.
        ("<!-- <meta charset=koi8-r> -->", ""),
        ("<!-- <meta charset=koi8-r>", ""),
        ("<meta name=description content='How to set charset=koi8-r'>", ""),
        ("<meta property=og:title content='text/html; charset=koi8-r'>", ""),
        ("<meta content='text/html; charset=koi8-r'>", ""),
        ("<meta http-equiv=refresh content='0;url=/?charset=koi8-r'>", ""),
        ("<meta data-charset=koi8-r>", ""),
        ("<metadata charset=koi8-r>", ""),
        ("<p title='<meta charset=koi8-r>'>", ""),
        ("<title>How to write <meta charset=koi8-r></title>", ""),
        ("<script>var a = '<meta charset=koi8-r>'</script>", ""),
        ("<style><meta charset=koi8-r></style>", ""),
        ("<? <meta charset=koi8-r>", ""),
        ("<p>charset=koi8-r", ""),
        ("<script charset=koi8-r src=a></script>", ""),
        ("<form accept-charset=koi8-r>", ""),
        ("<p><?xml version='1.0' encoding='koi8-r'?>", ""),
        (" <?xml version='1.0' encoding='koi8-r'?>", ""),
        ("<?xml-stylesheet encoding='koi8-r'?>", ""),
        (" " * 9_000 + "<meta charset=koi8-r>", "koi8-r"),
        ("<p>" * 9_000 + "<META NAME=a\n CHARSET = 'koi8-r'>", "koi8-r"),
        ("<!--" + "x" * 9_000 + "<meta charset=gbk>--><meta charset=koi8-r>", "koi8-r"),
        ("<script>" + "x" * 9_000 + "'<meta charset=gbk>'</script>", ""),
        ("<p>" * 9_000 + "<meta name=charset content=gbk>", ""),
        ("<?xml version='1.0' encoding='gbk'?>" + " " * 9_000 + "<meta charset=big5>", "big5"),
        (" " * (1 << 20) + "<meta charset=koi8-r>", ""),
    ],
)
def test_only_a_declaration_declares_a_charset(html, name):
    assert declared_charset(html.encode()) == name


@given(st.text(alphabet="<>!-/ =\"'?metacharsxl;utf8", max_size=80).map(str.encode))
def test_no_bytes_make_it_raise(body):
    declared_charset(body)


# Quadratic time would end in the suite's limit.
@pytest.mark.parametrize("piece", ["<meta ", "<meta charset", "<script></script>", "<", "<!--"])
def test_a_late_meta_is_looked_for_in_linear_time(piece):
    declared_charset((piece * (1_000_000 // len(piece)) + "<meta charset=x>").encode())
