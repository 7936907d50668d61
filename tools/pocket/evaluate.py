"""Measures the trained model: held-out questions about Weir, sums, and ten sampled stories.

The weights are rounded to Q8_0 first, so that what is measured is what the GGUF file holds. An
answer is right when the greedy answer contains the key phrase of its fact, letter for letter.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

import facts
from export import load_checkpoint, round_to_q8_0
from talk import Talker
from tokenizer import Tokenizer

HERE = Path(__file__).resolve().parent
STORIES = ["Tell me a story about a fox and a kite.", "Tell me a story.",
           "Tell me a story about a dog and a ball.", "Write a short story about a dragon.",
           "Tell me a story about a girl named Lily and a cake.", "tell me a story about a boat",
           "Please tell me a bedtime story.", "Can you tell me a story about a bird and a tree?",
           "Tell me a story about a boy named Tim and a train.", "Write a story about a princess."]


class Judge:
    def __init__(self, checkpoint: Path, tokenizer: Tokenizer) -> None:
        self.model, self.saved = load_checkpoint(checkpoint)
        with torch.no_grad():
            for parameter in self.model.parameters():
                if parameter.dim() == 2:
                    parameter.copy_(round_to_q8_0(parameter))
        self.tokenizer = tokenizer
        self.stop = {tokenizer.ids["<|end|>"], tokenizer.ids["<|endoftext|>"]}

    def answer(self, question: str, limit: int = 80, temperature: float = 0.0, seed: int = 0) -> str:
        rng = torch.Generator().manual_seed(seed)
        ids = self.model.generate(self.tokenizer.prompt([("user", question)]), self.stop, limit,
                                  temperature, 0.9, rng)
        return self.tokenizer.decode(ids)

    def questions(self, known: list[facts.Fact], kind: str, show: bool) -> tuple[int, int]:
        """(right, asked): each `held_out` or `exam` question once, properly spelled."""
        right = asked = 0
        for fact in known:
            for question in getattr(fact, kind):
                spelled = question
                if question == question.lower():
                    spelled = facts.polish(question.rstrip("?"))
                    if question.endswith("?"):
                        spelled = spelled[:-1] + "?"
                said = self.answer(spelled)
                asked += 1
                right += fact.key in said
                if show and fact.key not in said:
                    print(f"  {fact.name}: {spelled!r} -> {said!r}")
        return right, asked

    def sums(self, count: int, seed: int, show: bool) -> int:
        rng = random.Random(seed)
        right = 0
        for _ in range(count):
            question, expected = Talker.sum(rng)
            said = self.answer(facts.polish(question))
            right += said == expected
            if show and said != expected:
                print(f"  {question!r} -> {said!r}")
        return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="pocket")
    parser.add_argument("--work", type=Path, default=HERE / "work")
    parser.add_argument("--stories", type=int, default=10, help="how many of the ten to sample")
    parser.add_argument("--sums", type=int, default=200)
    parser.add_argument("--show", action="store_true", help="print the wrong answers")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    judge = Judge(args.work / f"{args.name}.pt", Tokenizer.load(args.work / "tokenizer.json"))
    print(f"step {judge.saved['step']}, {judge.saved['tokens']} tokens, seed {judge.saved['seed']}")
    known = facts.load(HERE / "data")
    for kind, title in (("exam", "examination, written blind"), ("held_out", "held-out questions")):
        right, asked = judge.questions(known, kind, args.show)
        print(f"{title}: {right} of {asked} right ({100 * right / asked:.1f} %)")
    if args.sums:
        right = judge.sums(args.sums, seed=7, show=args.show)
        print(f"sums: {right} of {args.sums} right")
    for seed, prompt in enumerate(STORIES[: args.stories], start=1):
        print(f"\n### {seed}. {prompt} (temperature 0.7, top-p 0.9, seed {seed})\n")
        print(judge.answer(prompt, limit=480, temperature=0.7, seed=seed).replace("\n", "\n\n"))


if __name__ == "__main__":
    main()
