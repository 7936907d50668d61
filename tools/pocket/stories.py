"""TinyStories: reads the two story files, restores lost capitals and finds what a story is about.

The 2M file keeps its case. The 4M file holds the same stories and as many more, all in lower
case; the case of the new ones is restored from counts made on the 2M file: which words, after
which neighbour, are written with a capital.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

END = "<|endoftext|>"
SIGNS = {"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u2013": "-", "\u2014": "-",
         "\u2026": "...", "\u00a0": " ", "\u00e2\u20ac\u0153": '"', "\u00e2\u20ac\u2122": "'",
         "\u00e2\u20ac\u009d": '"', "\u00e2\u20ac": '"', "`": "'"}
WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")


def tidy(text: str) -> str:
    for old, new in SIGNS.items():
        text = text.replace(old, new)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def whole(story: str) -> bool:
    """Plain ASCII, of a sensible length, and not cut off."""
    return story.isascii() and 200 <= len(story) <= 1900 and story[-1] in '.!?"'


def fingerprint(story: str) -> str:
    return re.sub(r"[^a-z]", "", story.lower())[:60]


NOT_BEFORE_NAMES = ("a|an|the|his|her|their|my|your|our|its|some|of|to|was|were|be|is|are|very|so|too"
                    "|this|that|these|those|little|big|i|you|he|she|they|we|not|more|with")


class CaseModel:
    """Counts of capitals: by (words between, previous word, word), then with less context."""

    def __init__(self, stories: list[str]) -> None:
        self.counts: dict[tuple, list[int]] = {}
        self.known: Counter = Counter()
        for story in stories:
            for keys, word in self._walk(story):
                self.known[word.lower()] += 1
                for key in keys:
                    entry = self.counts.setdefault(key, [0, 0])
                    entry[0] += word[0].isupper()
                    entry[1] += 1

    @staticmethod
    def _walk(story: str):
        end, before = 0, ""
        for match in WORD.finditer(story):
            gap, word = story[end:match.start()], match.group()
            low = word.lower()
            gap = gap if end else "^" + gap
            yield [(gap, before, low), (gap, low), (gap if gap.strip(" ,'") else " ", low, 0),
                   (gap, 0, 0)], word
            end, before = match.end(), low

    def restore(self, story: str) -> str:
        names = {n for n in re.findall(r"\b(?:named|called) ([a-z]+)", story)
                 if self.known[n] < 3 and n not in ("the", "a")}
        seen = Counter(re.findall(r"(?<!')\b[a-z]{3,}", story))
        plain = set(re.findall(rf"\b(?:{NOT_BEFORE_NAMES}) ([a-z]+)", story))
        names |= {w for w, n in seen.items() if n >= 3 and not self.known[w] and w not in plain}
        out, end = [], 0
        for match, (keys, word) in zip(WORD.finditer(story), self._walk(story)):
            out.append(story[end:match.start()])
            end = match.end()
            if word.split("'")[0] in names or word == "i" or word.startswith("i'"):
                out.append(word[0].upper() + word[1:])
                continue
            share = 0.0
            for key, least in zip(keys, (3, 2, 2, 5)):
                if (entry := self.counts.get(key)) and entry[1] >= least:
                    share = entry[0] / entry[1]
                    break
            out.append(word[0].upper() + word[1:] if share > 0.5 else word)
        return "".join(out) + story[end:]


def load(folder: Path) -> list[str]:
    """Every whole story once, with capitals, in file order."""
    cased = [tidy(s) for s in (folder / "tinystories-2M.txt").read_text().split(END)]
    case = CaseModel([s for s in cased if s])
    seen = {fingerprint(s) for s in cased}
    stories = [s for s in cased if s and whole(s)]
    # In the lower-cased file an empty line parts paragraphs and a plain line end parts stories.
    for raw in re.split(r"(?<!\n)\n(?!\n)", (folder / "tinystories-4M.txt").read_text()):
        story = tidy(raw)
        if story and fingerprint(story) not in seen:
            seen.add(fingerprint(story))
            if whole(story):
                stories.append(case.restore(story))
    return stories


MORE_NOUNS = set("""sun moon wolf owl turtle snail cow sheep chicken goat penguin zebra giraffe
robot drum piano guitar sock shoe sweater coat banana orange pumpkin sailor doctor teacher hen
snowman bicycle lamp mirror mushroom rose seed nest web cupcake pancake shell wagon worm parrot
kangaroo ghost knight queen prince wizard mermaid clown tent umbrella scarf glove needle button
kitchen library museum zoo park school circus""".split())
NOT_NOUNS = set("""one two three other others same next first last best most more much many lot bit
little big way time day morning night while end top bottom side back front thing things something
end rest middle moment minute second hour week year part kind sort idea good bad great new old own
it that this them him her she he they all both mistake deal few loud hurry right left such dear
before better scared small soft snap nice long nearby deep dizzy sudden tries days hours minutes
moments weeks look fit cut break try name place face hand body event gun sight difference breath
sound smell sail drive cell seat spot land goal job ending bite square frame story walk message
""".split())


def find_nouns(stories: list[str]) -> set[str]:
    """Countable nouns, found by their place: `a NOUN.` often, for the number of uses."""
    total: Counter = Counter()
    closing: Counter = Counter()
    for story in stories:
        low = story.lower()
        total.update(re.findall(r"[a-z]+", low))
        closing.update(re.findall(r"\b(?:a|an) (?:[a-z]+ )?([a-z]+)[.,!?]", low))
    return {w for w, n in closing.items()
            if n >= 6 and n / total[w] > 0.02 and len(w) > 2 and w not in NOT_NOUNS} | MORE_NOUNS


def article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


class Asker:
    """Makes the request that a story answers."""

    TELL = ["tell me a story about {x}", "tell me a story about {x}", "write a story about {x}",
            "please tell me a story about {x}", "tell a story about {x}", "a story about {x}",
            "can you tell me a story about {x}", "i want a story about {x}", "story about {x}",
            "i would like a story about {x}", "make up a story about {x}", "write me a tale about {x}",
            "please write a short story about {x}", "tell me about {x} in a story",
            "tell me a short story about {x}", "could you write a story with {x}", "tell me a story with {x}",
            "give me a story about {x}", "do you know a story about {x}", "tell us a story about {x}",
            "tell the children a story about {x}", "tell me a bedtime story about {x}"]
    ANY = ["tell me a story", "tell me a story", "please tell me a story", "write a story", "a story please",
           "tell me a bedtime story", "write a short story", "can you tell me a story", "i want a story",
           "tell me another story", "do you know a story", "make up a story", "another story",
           "tell me something nice", "tell me a short story", "once more, a story please"]

    def __init__(self, stories: list[str]) -> None:
        self.nouns = find_nouns(stories)

    def subjects(self, story: str) -> list[str]:
        """Nouns of the story, most used first; those of the first lines count more."""
        words = re.findall(r"[a-z]+", story.lower())
        counts = Counter(w for w in words if w in self.nouns)
        counts.update({w: 1 for w in set(words[:60]) if w in self.nouns})
        return [w for w, n in counts.most_common(5) if n >= 2]

    def ask(self, story: str, rng: random.Random) -> str:
        """A request in lower case, but for the names in it."""
        nouns = self.subjects(story)
        named = re.search(r"\b(girl|boy|dog|cat|bird|bear|rabbit|fish|man|woman|bunny|mouse|frog)"
                          r" (?:was )?(?:named|called) ([A-Z][a-z]+)", story[:300])
        if not nouns or rng.random() < 0.12:
            return rng.choice(self.ANY)
        roll = rng.random()
        if named and roll < 0.25:
            subject = f"a {named.group(1)} named {named.group(2)}"
            others = [n for n in nouns if n != named.group(1)]
            if others and rng.random() < 0.5:
                subject += f" and {article(rng.choice(others[:3]))}"
        elif len(nouns) > 1 and roll < 0.75:
            pair = rng.sample(nouns[:4], 2)
            subject = f"{article(pair[0])} and {article(pair[1])}"
        else:
            subject = article(rng.choice(nouns[:3]))
        return rng.choice(self.TELL).format(x=subject)
