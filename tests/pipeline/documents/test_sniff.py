import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.sniff import other_kind

PARAGRAPH = "<p>The village council decided to repair the wooden bridge across the river.</p>"
ITEMS = {"items": [{"id": n, "body": PARAGRAPH} for n in range(3)]}
RDF = 'xmlns="http://purl.org/rss/1.0/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'

OTHER = {
    "JSON": [
        json.dumps(ITEMS),
        f"\ufeff\n {json.dumps(ITEMS, indent=2)}\n",
        json.dumps([PARAGRAPH, PARAGRAPH]),
        json.dumps(ITEMS)[:-9],
        json.dumps(ITEMS) + "\n" + json.dumps(ITEMS) + "\n",
        ")]}',\n" + json.dumps(ITEMS),
        "while(1);" + json.dumps(ITEMS),
        "[" * 100_000 + f'{{"a": "{PARAGRAPH}"',
        json.dumps({"page": f"<!DOCTYPE html><html><body>{PARAGRAPH}"}),
    ],
    "JavaScript": [
        f"var tpl = '<div>{PARAGRAPH}</div>';\nfunction show(a, b) {{ if (a<b) {{ go(); }} }}",
        f"/* (c) */\n// all\n(function($) {{ $('{PARAGRAPH}').show(); }})(jQuery);",
        f"!function(e,t){{e.innerHTML='{PARAGRAPH}'}}(window);",
        f'"use strict";\nconst a = "{PARAGRAPH}";',
        f"document.write('{PARAGRAPH}');",
        f"window.app = window.app || {{}}; app.html = '{PARAGRAPH}';",
        f"callback({json.dumps(ITEMS)});",
        f"jQuery19_12({json.dumps(ITEMS)})",
        f"import {{ html }} from 'lit';\nexport default html`{PARAGRAPH}`;",
        f"async function go() {{ return '{PARAGRAPH}' }}",
        f"let a = 1, b = '{PARAGRAPH}';",
        f"if (typeof window !== 'undefined') {{ show('{PARAGRAPH}'); }}",
        f"(self.chunks = self.chunks || []).push(['{PARAGRAPH}'])",
        f"(globalThis['chunks'] = globalThis['chunks'] || []).push(['{PARAGRAPH}'])",
        f"window['data'] = '{PARAGRAPH}'",
        f"class Show extends View {{ html() {{ return '{PARAGRAPH}' }} }}",
        f"class Show {{\n  html() {{ return '{PARAGRAPH}' }} }}",
        f"throw new Error('{PARAGRAPH}')",
        f"export * from './a.js';\nlet b = '{PARAGRAPH}'",
        f"export {{ a, b }} from './a.js';\nlet c = '{PARAGRAPH}'",
        f"(async()=>{{show('{PARAGRAPH}')}})()",
        f"typeof callback === 'function' && callback('{PARAGRAPH}')",
        f'a=["{PARAGRAPH}", 1, 2];',
        f'html = "{PARAGRAPH}";\n// the end',
        f'a = {{b: "{PARAGRAPH}"}}\n/* the end */',
        f'new Show("{PARAGRAPH}");',
        f'callback("{PARAGRAPH}");',
        f'callback && callback({{"a": "{PARAGRAPH}"}})',
        f'for (const a of b) {{ show("{PARAGRAPH}") }}',
        f'if (!a) {{ show("{PARAGRAPH}") }}',
    ],
    "CSS": [
        "/* a */ body, .box > p { color: red; }\n.b { background: url('data:<svg></svg>') }",
        '@charset "utf-8";\n.a { content: "<b>"; }',
        "@media screen and (max-width: 9em) { .a { content: '<b>' } }",
        ":root{--a:#fff;--b:'<b>'}",
        ".a {}\n.b { content: '<b>' }",
        "BODY { COLOR: red }\n.b { content: '<b>' }",
        "@keyframes a { from { content: '<b>' } }",
        "@-webkit-keyframes a { from { content: '<b>' } }",
        "@layer base { .b { content: '<b>' } }",
        "@supports (display: grid) { .b { content: '<b>' } }",
        ".a { *zoom: 1; content: '<b>' }",
    ],
    "RSS": [
        f'<?xml version="1.0"?>\n<rss version="2.0"><channel>{PARAGRAPH}</channel></rss>',
        f"<!-- made by us --><rss version='2.0'><channel>{PARAGRAPH}</channel></rss>",
        f'<?xml version="1.0"?><?xml-stylesheet href="a.xsl"?><rdf:RDF {RDF}>{PARAGRAPH}</rdf:RDF>',
        '<!DOCTYPE rss PUBLIC "a" "b"><rss version="0.91"></rss>',
        f'<?xml version="1.0"?><!DOCTYPE rss PUBLIC "a" "b" [\n<!ENTITY nbsp "&#160;">\n]>\n'
        f"<rss>{PARAGRAPH}</rss>",
        f"<!DOCTYPE rss [<!-- ]> ' --><?a ]>?><!ENTITY a ']>'>]><rss>{PARAGRAPH}</rss>",
        f"<?a href='b>c'?><!-- <html> --><?d?><rss>{PARAGRAPH}</rss>",
    ],
    "Atom": [
        f'<feed xmlns="http://www.w3.org/2005/Atom"><entry>{PARAGRAPH}</entry></feed>',
        f'<atom:feed xmlns:atom="http://www.w3.org/2005/Atom">{PARAGRAPH}</atom:feed>',
    ],
    "XML (urlset)": ['<urlset xmlns="a"><url><loc>http://a.example/</loc></url></urlset>'],
    "XML (sitemapindex)": ["<?xml version='1.0'?><sitemapindex></sitemapindex>"],
    "XML (Error)": ["<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>"],
    "XML (note)": [f"<!-- made by us --><?xml version='1.0'?><note>{PARAGRAPH}</note>"],
    "XML (soap:Envelope)": ["<?xml version='1.0'?><soap:Envelope xmlns:soap='a'/>"],
    "XML (svg)": ["<svg xmlns='http://www.w3.org/2000/svg'><title>A river</title></svg>"],
    "source code": [
        '#include <stdio.h>\nint main(void) { puts("<p>"); }',
        "#!/usr/bin/env python3\nprint('<p>')\n",
        "diff --git a/x.html b/x.html\n-<p>\n+<b>\n",
    ],
}
PAGES = [
    f"<!DOCTYPE html>{PARAGRAPH}",
    f"<!-- a comment --><!-- {{}} -->{PARAGRAPH}",
    f"\ufeff \n{PARAGRAPH}",
    f"The council met. {PARAGRAPH}",
    f"[1] See below. {PARAGRAPH}",
    f"[1] [2] [3] {PARAGRAPH}",
    f"{{}} {PARAGRAPH}",
    f"{{{{ title }}}} {PARAGRAPH}",
    f"[caption] {PARAGRAPH}",
    f'{{"error": "none"}}\n<html><body>{PARAGRAPH}',
    f"var a = 1;\n</script>\n<p>{PARAGRAPH}",
    f"var a = 1;\n<!DOCTYPE html>\n{PARAGRAPH}",
    f"Function (noun): what a thing is for. {PARAGRAPH}",
    f"If (and only if) it rains {PARAGRAPH}",
    f"import taxes rose. {PARAGRAPH}",
    f"let us go then; {PARAGRAPH}",
    f"Note: {PARAGRAPH}",
    f"// the council {PARAGRAPH}",
    f"/* not closed {PARAGRAPH}",
    f"<svg><path d='M1'/></svg><div>{PARAGRAPH}</div>",
    f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html PUBLIC "a" "b">\n<html>{PARAGRAPH}',
    f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{PARAGRAPH}',
    f'<?xml version="1.0"?><h:html xmlns:h="http://www.w3.org/1999/xhtml">{PARAGRAPH}',
    f'<?xml version="1.0"?><div>{PARAGRAPH}</div>',
    f"<?php include 'head.php'; ?>\n<html>{PARAGRAPH}",
    f"<feeding-times>{PARAGRAPH}",
    f"class action suits are rare. {PARAGRAPH}",
    f"class Foo is one of ours (really). {PARAGRAPH}",
    f"new book(s) came. {PARAGRAPH}",
    f"new Foo('a') makes one. {PARAGRAPH}",
    f"throw new ideas at him. {PARAGRAPH}",
    f"a = [1, 2] is a list. {PARAGRAPH}",
    f'class="box">{PARAGRAPH} (end)',
    f'width="3"\n{PARAGRAPH};',
    f"say('hello') prints it. {PARAGRAPH}",
    f"(self.name is the name) {PARAGRAPH}".replace("self.", "self "),
    f"if (as we hope) {{it rains}} {PARAGRAPH}",
    f"export * is a wildcard {PARAGRAPH}",
    f"use strict rules {PARAGRAPH}",
    f"window. {PARAGRAPH}",
    f"typeof is an operator {PARAGRAPH}",
    f"BODY {{of work}}: done; {PARAGRAPH}",
    f"a {{}} b {PARAGRAPH}",
    f"<!DOCTYPE html [ ]><rss>{PARAGRAPH}",
    f"<!DOCTYPE html>\n<!-- <rss> -->{PARAGRAPH}",
    f"<!DOCTYPE rss [ {PARAGRAPH}",
    f"<rdf:RDF>{PARAGRAPH}",
    f"<!-- <rss> -->{PARAGRAPH}<rss>",
    "",
    "<",
    "<!-- without end",
]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in OTHER.items() for text in texts]
)
def test_what_is_served_as_html_and_is_another_kind_of_file_is_named(kind, text):
    # A call with one object may be JSON or a script: its name does not matter, it is no page.
    assert other_kind(text) == kind


@pytest.mark.parametrize("text", PAGES)
def test_a_page_stays_a_page_whatever_it_begins_with(text):
    assert other_kind(text) == ""


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_every_json_array_and_object_is_json(value):
    assert other_kind(json.dumps({"a": value, "b": PARAGRAPH})) == "JSON"
    assert other_kind(json.dumps([[value], {"b": PARAGRAPH}])) == "JSON"


# What takes more than linear time in these would take hours: the suite's time limit ends it.
@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "{}",
        "[],",
        "{",
        "/**/",
        "//\n",
        "<!---->",
        "<?a?>",
        "<!a>",
        "<!doctype ",
        "\n",
        "a.",
        "a,",
        "a{}",
        "a{b:'",
        "'",
        '"',
        "]",
        "<!DOCTYPE a [",
        "<!DOCTYPE a [<!--",
        "<!DOCTYPE a [>",
        "a=",
        "a&&",
    ],
)
def test_time_is_linear_in_the_text(piece):
    for before in (
        "",
        "[",
        "var a",
        "function f(",
        "<!--",
        "import ",
        "a {",
        "<!DOCTYPE a [",
        "a='",
        "if (",
    ):
        other_kind(before + piece * (1_000_000 // len(piece)))
