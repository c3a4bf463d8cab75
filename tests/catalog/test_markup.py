from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_gym.catalog.markup import plain_text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Warm &amp; <b>soft</b>.", "Warm & soft."),
        ("<p>One</p><p>Two</p><br/>Three", "One Two Three"),
        ("5 < 6 and I <3 you, a <b", "5 < 6 and I <3 you, a <b"),
        ("Kite <!-- <b>hidden</b> --> high", "Kite high"),
        ('<div onclick="a>b">Kite</div>', "Kite"),
        ("<!doctype html><![CDATA[A kite]]>", "A kite"),
        ("A <![kite[ flies", "A <![kite[ flies"),
        ("<script>if (a<b) x();</script>Kite<style>.a{b:c}</style> flies", "Kite flies"),
        ("<SCRIPT type='x'>var a;</SCRIPT >Kite<svg><style>a{}</style></svg>", "Kite"),
        ("&lt;script type=&quot;x&quot;&gt;alert(1)&lt;/script&gt;Kite", "Kite"),
        ("Kite<script>never closed", "Kite"),
        ("var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();", ""),
        ("A kite. var a = 1; foo(); Flies high.", "A kite. Flies high."),
        ("P.when('A').execute(function(A) {\n A.x();\n});\nA kite.", "A kite."),
        ("jQuery(document).ready(function(){ x(); }); A kite.", "A kite."),
        ("if (window.ue) { ue.count('x'); }\nA kite.", "A kite."),
        ("window.ue = ue || {}; A kite.", "A kite."),
        ("A kite.\n.asin { color: red; }\n#x .y{margin:0;padding:1px}\nIt flies.", "A kite. It flies."),
        ("@media screen { .a { color: red } } A kite.", "A kite."),
        ("body{font:12px} A kite.", "A kite."),
        ("Size {small: 3} and functions (see below); nice.", "Size {small: 3} and functions (see below); nice."),
        ("Let us see if (and only if) it flies; var. 2", "Let us see if (and only if) it flies; var. 2"),
        ("A lone \ud83d surrogate", "A lone \ufffd surrogate"),
    ],
)
def test_only_words_remain(given: str, expected: str) -> None:
    assert plain_text(given) == expected


SOUP = ["<", ">", "/", "!", "-", "[", "]", "{", "}", ";", "&", "CDATA", "script", "style", "var a =", " ", "\n", "x"]


@given(st.lists(st.sampled_from(SOUP)))
def test_any_soup_is_read(parts: list[str]) -> None:
    found = plain_text("".join(parts))
    assert found == " ".join(found.split())


@given(st.text(st.characters(categories=["L", "N"]) | st.sampled_from(" .,!?'")))
def test_prose_is_kept(prose: str) -> None:
    assert plain_text(prose) == " ".join(prose.split())


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["<p ", "<", "<!--", ".a{", "function(", "var x", "/*", "&lt;script"])
def test_hostile_markup_takes_no_longer_than_its_length_allows(part: str) -> None:
    assert isinstance(plain_text(part * 3000), str)
