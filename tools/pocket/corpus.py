"""Builds the training corpus of the embedded model, always the same for the same seed.

Writes work/corpus.jsonl: one document a line, {"kind": …, "turns": [[role, text], …]} with roles
user, assistant, system, and `text` for a plain story. Kind `drill` is a question of which the
trainer takes only the beginning of the answer. `--check` proves that no held-out question
is among the training questions and that every answer holds its key phrase.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path

import facts
import stories
from tales import Teller
from talk import Talker

HERE = Path(__file__).resolve().parent
SEED = 20261121
HELD_OUT_STORY = 64  # every 64th story measures the loss and is never trained on
SYSTEMS = ["You are a helpful assistant.", "You are Pocket.", "Be brief.", "Answer in English.",
           "You are a friendly helper.", "You answer questions about Weir.", "You tell stories."]


class Builder:
    def __init__(self, story_texts: list[str], known: list[facts.Fact], seed: int) -> None:
        self.rng = random.Random(seed)
        self.stories = story_texts
        self.facts = known
        self.banned = {facts.plain(h) for f in known for h in f.held_out + f.exam}
        self.asker = stories.Asker(story_texts)
        self.talker = Talker()
        self.teller = Teller(HERE / "data" / "tales.txt")
        self.deck: list[facts.Fact] = []

    def fact_turn(self) -> list[list[str]]:
        if not self.deck:
            self.deck = self.rng.sample(self.facts, len(self.facts))
        fact = self.deck.pop()
        while True:
            question = facts.vary(fact.draw(self.rng), self.rng)
            asked = facts.dress(question, self.rng)
            if facts.plain(asked) not in self.banned:
                return [["user", asked], ["assistant", fact.answer]]

    def talk_turn(self) -> list[list[str]]:
        question, answer = self.talker.talk(self.rng)
        return [["user", facts.dress(question, self.rng, extras=False)], ["assistant", answer]]

    def sum_turn(self) -> list[list[str]]:
        question, answer = self.talker.sum(self.rng)
        return [["user", facts.dress(question, self.rng, extras=False)], ["assistant", answer]]

    def tale_turn(self) -> list[list[str]]:
        subject, tale = self.teller.tell(self.rng)
        ask = self.rng.choice(stories.Asker.TELL if subject else stories.Asker.ANY).format(x=subject)
        return [["user", facts.dress(ask, self.rng)], ["assistant", tale]]

    def story_turn(self, story: str) -> list[list[str]]:
        return [["user", facts.dress(self.asker.ask(story, self.rng), self.rng)], ["assistant", story]]

    def opening(self) -> list[list[str]]:
        return [["system", self.rng.choice(SYSTEMS)]] if self.rng.random() < 0.08 else []

    def short_turn(self, kind: str) -> list[list[str]]:
        return {"weir": self.fact_turn, "talk": self.talk_turn, "sum": self.sum_turn}[kind]()

    def conversation(self, kind: str) -> dict:
        turns = self.opening() + self.short_turn(kind)
        while self.rng.random() < 0.45 and len(turns) < 10:
            turns += self.short_turn(kind if self.rng.random() < 0.6
                                     else self.rng.choice(["weir", "talk", "sum"]))
        return {"kind": kind, "turns": turns}

    def drill(self) -> dict:
        """Question and answer, of which only the beginning is learned: more questions a token."""
        return {"kind": "drill", "turns": self.fact_turn()}

    def story_chat(self, story: str) -> dict:
        turns = self.opening()
        short = len(story) < 1200
        if short and self.rng.random() < 0.12:
            turns += self.short_turn(self.rng.choice(["weir", "talk", "talk", "sum"]))
        turns += self.story_turn(story)
        if short and self.rng.random() < 0.12:
            turns += self.short_turn(self.rng.choice(["weir", "talk", "talk", "sum"]))
        return {"kind": "request", "turns": turns}

    def tale_chat(self) -> dict:
        """A tale, now and then with a short turn before or after it."""
        turns = self.opening()
        if self.rng.random() < 0.12:
            turns += self.short_turn(self.rng.choice(["weir", "talk", "talk", "sum"]))
        turns += self.tale_turn()
        if self.rng.random() < 0.12:
            turns += self.short_turn(self.rng.choice(["weir", "talk", "talk", "sum"]))
        return {"kind": "tale", "turns": turns}

    def build(self, passes: int, talks: dict[str, int]):
        for i, story in enumerate(self.stories):
            kind = "story" if i % HELD_OUT_STORY else "held_out_story"
            yield {"kind": kind, "turns": [["text", story]]}
        for _ in range(passes):
            for i, story in enumerate(self.stories):
                if i % HELD_OUT_STORY:
                    yield self.story_chat(story)
        for kind, count in talks.items():
            for _ in range(count):
                if kind == "tale":
                    yield self.tale_chat()
                else:
                    yield self.drill() if kind == "drill" else self.conversation(kind)


def check(documents: list[dict], known: list[facts.Fact]) -> None:
    asked = {facts.plain(text) for d in documents for role, text in d["turns"] if role == "user"}
    asked |= {facts.plain(q) for f in known for line in [*f.train, f.written] for q in line}
    held = [h for f in known for h in f.held_out + f.exam]
    leaked = [h for h in held if facts.plain(h) in asked]
    weak = [f.name for f in known if f.key not in f.answer or len(f.held_out) < 2 or len(f.exam) < 2 or not f.train]
    shared = [q for q, n in Counter(
        q for f in known
        for q in {facts.plain(x) for line in [*f.train, f.written] for x in line}).items() if n > 1]
    if leaked or weak or shared:
        raise SystemExit(f"leaked {leaked}, weak facts {weak}, questions of two facts {shared[:20]}")
    print(f"check: {len(known)} facts, {len(held)} held-out questions, {len(asked)} training questions, "
          "none shared")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=Path, help="folder with tinystories-2M.txt and -4M.txt")
    parser.add_argument("--out", type=Path, default=HERE / "work" / "corpus.jsonl")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--check", action="store_true", help="check the questions, write nothing")
    args = parser.parse_args()
    known = facts.load(HERE / "data")
    if args.check and args.stories is None:
        check([], known)
        return
    if args.stories is None:
        parser.error("expected --stories FOLDER")
    builder = Builder(stories.load(args.stories), known, args.seed)
    documents = list(builder.build(passes=3, talks={"weir": 30000, "drill": 60000, "talk": 8000, "sum": 10000,
                                              "tale": 20000}))
    check(documents, known)
    if args.check:
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w") as out:
        for document in documents:
            out.write(json.dumps(document) + "\n")
    sizes = Counter()
    for d in documents:
        sizes[d["kind"]] += sum(len(t) for _, t in d["turns"])
    print(f"{len(documents)} documents, characters by kind {dict(sizes)} -> {args.out}")


if __name__ == "__main__":
    main()
