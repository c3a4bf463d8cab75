"""CoLA: control a language model by latent actions [1]. The language model itself is the agent and writes the text.

Stage 1 learns the codes: an inverse dynamics model names the code of each next token, and a language world model reads
the token from the hidden state and the code. Stage 2 teaches a policy to choose the codes. Stage 3 tunes the base model
under the codes. Stage 4 improves the policy by GRPO over codes, with the environment's utility as the reward; the same
GRPO over tokens is its rival (`acts="tokens"`, the learner `grpo_tokens`). Stage 5 searches over codes (`search`).

- `config`: all hyperparameters. `pairs`: the training stream. `stages`: stages 1 to 3.
- `turns`: how a text is rewritten for a user. `grpo`: stage 4. `mcts`: stage 5. `agent`: agent, training, checkpoints.
- `eagle_gym.language.codes`: the networks, which the environment's latent actions use too.

Differences from the paper:

- Everything is small: the base has 2 M parameters, the rest 1.4 M, N is 16. Each inverse dynamics model and policy is a
  single causal block; they, codebook and world model see the positions of answers only, since the prompt reaches them
  through the base model's hidden states.
- The training stream holds rewrites and edits for users, in equal numbers, because the agent writes both: first an edit
  for the user, then the text as that edit asks. The profile is read in the first of these two turns.
- A code may hold for several tokens (`every`); the inverse dynamics model then sees all of them.
- The entropy term is a bonus. A bonus on the entropy of the codes' mean probabilities (`marginal_weight`) is ours; it
  is 0 unless it is asked for.
- The gated layers start at 0, so that the world model starts as the base model.
- Stage 3 infers codes from the hidden states of the base model before it was tuned.
- The KL to the start policy is summed over a rewrite and subtracted from its reward.
- Stage 4 rewrites only texts with which episodes start; an agent that plays an episode goes on from its own texts.
- In the tree search the likely codes of the policy bound the maximum in double Q-learning, and the threshold of the TD
  error is a quantile of those in the recorded rewrites.

[1] "Controlling Large Language Models with Latent Actions", 2025, arXiv 2503.21383.
"""

from baselines.cola.agent import CoLAAgent, make_agent, train
from baselines.cola.config import CoLAConfig

__all__ = ["CoLAAgent", "CoLAConfig", "make_agent", "train"]
