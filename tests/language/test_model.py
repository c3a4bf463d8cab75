from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from eagle_gym.language import Completion, Prompt, Usage, load_language_model


def test_usage_counts_and_snapshots_subtract():
    usage = Usage()
    usage.add([Completion("a", 5, 2, "stop"), Completion("b", 6, 3, "stop")], seconds=0.5, cost=0.1)
    before = usage.snapshot()
    usage.add([Completion("c", 1, 1, "stop")], seconds=0.25)
    difference = usage.snapshot() - before
    assert (before.calls, before.prompt_tokens, before.completion_tokens, before.cost) == (2, 11, 5, 0.1)
    assert (difference.calls, difference.prompt_tokens, difference.seconds) == (1, 1, 0.25)


def test_importing_the_room_is_light():
    program = "import sys, eagle_gym.language; sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_models_say_what_they_write(control_folder: Path, plain_folder: Path, tmp_path: Path):
    control = load_language_model(f"transformers:{control_folder}", record=str(tmp_path / "calls"), max_calls=9)
    assert control.language == "plot_english"
    control.generate([Prompt("rewrite", "A film.", "Make it dark.")], [0])
    assert load_language_model(f"replay:{tmp_path / 'calls'}").language == "plot_english"
    assert load_language_model(f"transformers:{plain_folder}").language == "free"
    for prompts, language in (("chat", "free"), ("few_shot", "free"), ("control", "plot_english")):
        server = load_language_model(f"openai:m@http://127.0.0.1:9/v1?prompts={prompts}")
        assert server.language == language
        server.close()
