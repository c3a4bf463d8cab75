# characters of other scripts are meant
from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_gym.language import Prompt
from eagle_gym.language.answers import opens_reasoning, read_answer, strip_reasoning, without_markers
from tests.language.non_answers import NON_ANSWERS, PROMPT_EDIT, PROMPT_TEXT

GOOD = "A tense drama set on a lighthouse, where a keeper counts ships."
PROMPT = Prompt("rewrite", PROMPT_TEXT, PROMPT_EDIT)
MARKERS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<Thought>", "</Thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<analysis>", "</analysis>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ('<think budget="9">', "</think>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("[reasoning]", "[/reasoning]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<plan>", "</plan>"),
    ("<internal>", "</internal>"),
    ("<inner_voice>", "</inner_voice>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
    ("Here is my thought process:\n", "\n\nHere is my response: "),
    ("<details><summary>Thinking</summary>", "</details>"),
    ("**Reasoning**\n\n", "\n\n**Final answer:** "),
]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("A dark film.", "A dark film."),
        ("  \n A dark\nfilm. \n", "A dark film."),
        ("A dark film.\n\nI made it darker.", "A dark film."),
        ("A dark film. Let me know if you'd like other changes!", "A dark film."),
        ("Sure! Here is the rewritten description:\n\nA dark film.", "A dark film."),
        ("Sure, here is the rewritten description: A dark film.", "A dark film."),
        ("Sure, I can help with that.\n\nA dark film.", "A dark film."),
        ("Certainly! I've made it darker as requested.\n\nA dark film.", None),
        ("Here you go:\nA dark film.", "A dark film."),
        ("**Rewritten description:** A dark film.", "A dark film."),
        ("**The Dark**\n\nA dark film.", "A dark film."),
        ("# The Dark\nA dark film.", "A dark film."),
        ("Title: The Dark\n\nA dark film.", "A dark film."),
        ("The Dark\n\nA dark film.", "A dark film."),
        ('"A dark film."', "A dark film."),
        ('"Dark" is a "film"', '"Dark" is a "film"'),
        ("“A dark film.”", "A dark film."),
        ("1. Make it darker.", "Make it darker."),
        ("- Make it darker.", "Make it darker."),
        ("```\nA dark film.\n```", "A dark film."),
        ('{"description": "A dark film."}', "A dark film."),
        ('```json\n{"text": "A dark film."}\n```', "A dark film."),
        ("<answer>A dark film.</answer>", "A dark film."),
        ("A dark film.<|im_end|>", "A dark film."),
        ("A dark film.<end_of_turn>\n<start_of_turn>user\nAgain", "A dark film."),
        ("<|im_start|>assistant\nA dark film.</s>", "A dark film."),
        ("assistant\nA dark film.\nuser\nAgain", "A dark film."),
        ("A dark film.<|im_e", "A dark film."),
        ("A dark film.assistant", "A dark film."),
        ("A dark film.\nim_end", "A dark film."),
        ("A dark film.im_end", "A dark film."),
        ("A dark film.|im_end|>", "A dark film."),
        ("A dark film.<0x0A>", "A dark film."),
        ("A dark film.<0x0A><0x0A>I kept the rest.", "A dark film."),
        ("A dark film.<end>", "A dark film."),
        ("A dark film.</answer>", "A dark film."),
        ("A dark film.</description>\n", "A dark film."),
        ("A dark film.```", "A dark film."),
        ("A dark film about an assistant", "A dark film about an assistant"),
        ("A \ud83d film\x00 of \x1b[0mships.", "A \ufffd film of [0mships."),
        ("12 angry men meet.", "12 angry men meet."),
        ("", None),
        ("Here is the description:", None),
        ("\n\n \n", None),
        ("<think>Hm, this never ends", None),
    ],
)
def test_an_answer_is_read_as_one_paragraph(raw: str, clean: str | None):
    answer = read_answer(raw)
    assert answer.text == (clean or "")
    assert (answer.problem is None) == (clean is not None)


@pytest.mark.parametrize(("begin", "end"), MARKERS)
def test_reasoning_is_no_part_of_a_text(begin: str, end: str):
    thoughts = "The user wants a lighthouse.\n\nA keeper counts the waves. Keep the drama."
    assert read_answer(f"{begin}{thoughts}{end}{GOOD}", PROMPT).text == GOOD
    assert read_answer(f"{begin}{thoughts}", PROMPT).text == ""


@pytest.mark.parametrize("end", [end for begin, end in MARKERS[:22]])
def test_a_template_may_have_opened_the_reasoning(end: str):
    raw = "A keeper counts the waves.\n\nHe is lonely."
    assert read_answer(f"{raw}\n{end}\n\n{GOOD}", PROMPT, in_reasoning=True).text == GOOD
    assert read_answer(f"{raw}\n{end}\n\n{GOOD}", PROMPT).text == GOOD, "a closing marker is enough"
    assert read_answer(raw, PROMPT, in_reasoning=True).text == ""


@settings(max_examples=100, derandomize=True)
@given(thoughts=st.text(max_size=60), marker=st.sampled_from(MARKERS[:20]))
def test_everything_before_the_last_closing_marker_is_reasoning(thoughts: str, marker: tuple[str, str]):
    begin, end = marker
    raw = f"{begin}{without_markers(thoughts)}{end}More.{end}{GOOD}"
    assert strip_reasoning(raw) == GOOD


@pytest.mark.parametrize(
    ("ending", "inside"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("<|im_start|>assistant\n", False),
        ("<|start|>assistant<|channel|>analysis<|message|>", True),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant", False),
        ("<|channel|>final<|message|>", False),
        ("[/INST][THINK]", True),
        ("<|im_start|>assistant\n<think>\nOkay,", True),
        ("<start_of_turn>model\n<|channel>thought\n", True),
        ("<start_of_turn>model\n<|channel>thought\n<channel|>", False),
        ("<|im_start|>assistant\n<think>\n" + "Okay. " * 60, True),
    ],
)
def test_prompts_that_end_in_reasoning_are_known(ending: str, inside: bool):
    assert opens_reasoning(ending) == inside


@pytest.mark.parametrize("raw", NON_ANSWERS)
def test_what_is_no_answer_is_no_text(raw: str):
    answer = read_answer(raw, PROMPT)
    assert answer.text == ""
    assert answer.problem


TEXTS = [
    "A film about a man who wants what the user of a machine cannot have.",
    "Sure of her guilt, a detective follows a baker through Paris.",
    "Here comes a story of two sisters who inherit a bakery.",
    "The story is set in a harbour town. It has a happy ending.",
    "The story has a dark tone and is set in the 1980s.",
    "Thank You for Smoking is a satire about a lobbyist.",
    "Of course, the couple behaves much like the characters they play.",
    "Based on the story of a keeper who refused to leave his lighthouse.",
    "Following the new edition of the game, four friends vanish.",
    "What would you do with one day left? A drama about a keeper.",
    "Have you ever counted ships? He has, for forty years.",
    "Let Me In is a horror film about a lonely boy.",
    "To make it home, a sailor must pass the lighthouse.",
    "Working on the railway, a young man meets a spy.",
    "The model falls in love with her photographer.",
    "Error in judgement: a pilot lands on the wrong island.",
    "If you like action, this comedy is not for you.",
    "Great Expectations, retold on a lighthouse.",
    "Everything has changed since the keeper left.",
    "Sorry, Wrong Number is a thriller about a telephone.",
    "An assistant to the director asks the user of a wheelchair for help.",
    "The task has fallen to a keeper who cannot swim.",
    'He says "I cannot help you" and closes the door.',
    "World War I ends, and a keeper returns to his lighthouse.",
    "Unfortunately the keeper can neither read nor write.",
    "The server is overloaded with orders, and a waitress falls in love.",
    "Ich bin nicht in der Lage, zu vergessen, sagt eine Witwe im Leuchtturm.",
    "Ein Leuchtturmwärter zählt Schiffe und verbirgt ein Geheimnis.",
    "一部发生在灯塔上的紧张剧情片。",
    "Soft red scarf, made of wool; 180 cm long. Wash by hand.",
    "Reason: a widow has lost hers and looks for it by the sea.",
    "Note: this film is based on the life of a keeper.",
    "Original sin: a widow inherits a bakery and its curse.",
    "Context: 1983, a bakery, and a widow with a debt.",
    "System: 1980s Poland, in which a widow hides a debt.",
    "Human: a drama about a robot who wants to be one.",
    "Changes: a widow leaves her bakery for a lighthouse.",
    "Step One: the widow leaves. Step Two: the keeper follows.",
    "Plan: rob the lighthouse. Problem: a keeper who never sleeps.",
    "Task: a thriller about a soldier with one last order.",
    "Okay, so a widow walks into a bakery and nobody knows her.",
    "Thinking about the past, a widow walks along the shore.",
    "Just add water and the desert town blooms in this comedy.",
    "Sorry, but the widow has already sold the lighthouse.",
    "Please wait for the light: a drama about a keeper and his wife.",
    "As requested by her late husband, a widow keeps the light burning.",
    "Error 404 is a tense drama about a lost page.",
    "We can be heroes, sings a widow in this tense drama.",
    "Let me in, cries a widow at the door of a lighthouse.",
    "I am a widow in a lighthouse, and nobody knows of my debt.",
    "A widow finds [THOUGHTS] written on the wall of a lighthouse.",
    "A keeper reads <thought> on a screen and follows it.",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_stay_as_they_are(text: str):
    assert read_answer(text, PROMPT) == (text, None)


def test_short_texts_stay_where_the_catalog_has_short_texts():
    assert read_answer("Red cotton shirt", Prompt("rewrite", "Blue cotton shirt", "Make it red.")).text
    assert read_answer("I count ships.", Prompt("rewrite", "I bake bread at night.", "Set it on a lighthouse.")).text


PROPOSALS = ["Just add a dragon.", "Also add a robot.", "Only keep the widow.", "Keep only the widow."]


@pytest.mark.parametrize(
    "raw", ["Set it on a lighthouse.", "make it darker", "**Add a robot.**", "1. Darker.", *PROPOSALS]
)
def test_proposals_may_be_short(raw: str):
    assert read_answer(raw, Prompt("propose", PROMPT_TEXT)).text == raw.strip("*").removeprefix("1. ")


@pytest.mark.parametrize("raw", ["7", "Number: 7", "<think>Six? Seven.</think>7", "I would say 7."])
def test_a_rating_is_left_to_the_judge(raw: str):
    assert "7" in read_answer(raw, Prompt("rate", PROMPT_TEXT, profile="Likes robots.")).text


@settings(max_examples=200, derandomize=True)
@given(st.text(alphabet="ab:\"'*`-# \n.1<>[]|/", max_size=40))
def test_texts_are_single_stripped_lines(raw: str):
    text, problem = read_answer(raw)
    assert text == text.strip()
    assert "\n" not in text
    assert bool(text) != bool(problem)


@settings(max_examples=100, derandomize=True)
@given(st.text(st.characters()))
def test_texts_are_valid_unicode(raw: str):
    read_answer(raw, PROMPT).text.encode("utf-8")


@pytest.mark.parametrize(
    "raw",
    [
        "<" * 200_000,
        "\n" * 400_000,
        "< " * 100_000,
        " " * 400_000 + "x",
        "[" + " " * 300_000,
        "so " * 100_000,
        "#" * 400_000,
    ],
)
def test_long_answers_are_read_in_no_time(raw: str):
    began = time.process_time()
    read_answer(raw, PROMPT)
    assert time.process_time() - began < 5


def test_an_answer_without_end_is_not_read():
    assert read_answer("A film. " * 100_000, PROMPT).problem == "an answer of 800000 characters"
