"""Facts about Weir: reads data/facts_*.txt and turns them into questions and answers.

A fact is a block of lines: an identifier, then `k:` the key phrase that a right answer must
contain, `a:` the answer, `q:` training questions and `h:` held-out questions. Training questions
may hold `{one|other}` choices and the macros below; every combination is a question.
data/questions.txt adds training questions without patterns, data/exam.txt an examination that was
written by someone who saw nothing but the answers; both have `= identifier` lines, each followed by
its questions. A held-out question never becomes a training question, whatever its case and
punctuation.
"""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

MACROS = {
    "$H": "{how do i|how can i|how should i|how would i|what do i do to|tell me how to|show me how to"
          "|i want to know how to|explain how to|is there a way to|i want to|i would like to"
          "|what is the way to|can i|how to|please help me to}",
    "$C": "{which command lets me|what command do i use to|which weir command can|what do i type to"
          "|what is the command to|which subcommand do i need to|what should i run to"
          "|what is the best command to}",
    "$F": "{which flag lets me|what option do i use to|which switch can|what flag is there to"
          "|which parameter do i pass to|what do i add to|which option can|what is the flag to}",
    "$T": "{what is|what's|tell me about|explain|describe|what do you know about|can you explain"
          "|please explain|what can you say about|tell me something about|i want to know about"
          "|do you know}",
}
PROPER = {"i": "I", "gguf": "GGUF", "json": "JSON", "gpu": "GPU", "cpu": "CPU", "isa": "ISA",
          "weir": "Weir", "pocket": "Pocket", "debian": "Debian", "python": "Python", "csv": "CSV",
          "jinja": "Jinja", "kv": "KV", "ram": "RAM", "english": "English", "linux": "Linux",
          "avx2": "AVX2", "neon": "NEON", "arm": "Arm", "llama": "Llama", "qwen": "Qwen"}
OPENERS = ["please tell me, ", "hi, ", "hello, ", "hey, ", "quick question: ", "a question: ", "so ",
           "ok, ", "hi there, ", "i have a question: ", "excuse me, ", "well, ", "and ", "please, "]
CLOSERS = [", please", " please", " in weir", ", thanks", " then", " with weir", " now", " exactly"]
COMMAND_LIKE = re.compile(r"weir (run|info|tokenize|selftest|doctor|synth|bench)")
ASKING = re.compile(r"^(how|what|which|who|where|why|when|is|are|can|could|does|do|did|will|would"
                    r"|may|must|should|in what|in which|on what|under|with whom|what's|by|for what)\b")

# Words that may stand for one another in any question, and words that carry little meaning.
SYNONYMS = {
    "see": "view display watch read", "show": "display print report", "make": "produce create build get",
    "fast": "quick", "faster": "quicker speedier", "quick": "fast", "big": "large huge", "large": "big",
    "memory": "ram", "ram": "memory", "use": "take employ try", "set": "choose pick adjust give",
    "change": "alter modify adjust", "machine": "computer pc system", "computer": "machine pc laptop",
    "start": "begin launch", "begin": "start", "answer": "reply response output text", "limit": "cap bound cut",
    "answers": "replies responses results", "flag": "option switch parameter", "option": "flag switch",
    "stop": "end halt", "need": "require want", "needs": "requires takes", "kind": "type sort",
    "list": "name enumerate", "want": "wish need", "supported": "accepted possible allowed okay handled",
    "support": "accept handle take allow", "supports": "accepts handles", "store": "keep hold",
    "stored": "kept held", "find": "get discover locate", "open": "load read", "load": "open read",
    "test": "check try", "check": "verify test", "measure": "find time", "write": "put give produce",
    "written": "made done", "save": "keep store", "fit": "suit match", "choose": "pick select take",
    "pick": "choose select", "happens": "occurs follows", "broken": "damaged bad corrupt faulty",
    "wrong": "false bad", "file": "document", "size": "bigness", "called": "named", "depend": "rest",
    "mean": "say stand", "work": "function go", "works": "functions", "model": "network", "tell": "inform give",
    "explain": "clarify define", "get": "obtain have receive", "pass": "give hand", "type": "enter write",
    "give": "hand pass tell", "different": "other another", "smallest": "tiniest least", "slow": "sluggish",
    "conversation": "chat dialogue", "chat": "conversation talk", "text": "string sentence words",
    "hardware": "machine computer", "processor": "cpu chip", "folder": "directory", "weights": "parameters",
    "trained": "taught", "made": "built created", "know": "have understand", "does": "will can", "can": "may could",
    "number": "count amount", "help": "assist support", "program": "software tool app", "good": "fine useful",
}
EMPTY_WORDS = frozenset(
    "a an the i me my is are do does did to of for in on it that this there be can could would should will "
    "how what which please tell show want like you your know about with and have has so from".split())


@dataclass
class Fact:
    name: str
    key: str = ""
    answer: str = ""
    train: list[list[str]] = field(default_factory=list)  # one list for each `q:` line
    written: list[str] = field(default_factory=list)  # training questions, each written by itself
    held_out: list[str] = field(default_factory=list)
    exam: list[str] = field(default_factory=list)  # held out too, and written blind

    def draw(self, rng: random.Random) -> str:
        """One training question: as written, or from a pattern, each pattern as often as any other."""
        if self.written and rng.random() < 0.7:
            return rng.choice(self.written)
        return rng.choice(rng.choice(self.train))


def plain(question: str) -> str:
    """What two spellings of one question have in common."""
    return " ".join(re.findall(r"[\w/.+-]+", question.lower().replace("?", " ").rstrip(". ")))


def expand(pattern: str) -> list[str]:
    for macro, choices in MACROS.items():
        pattern = pattern.replace(macro, choices)
    pieces = [p[1:-1].split("|") if p.startswith("{") else [p]
              for p in re.split(r"(\{[^{}]*\})", pattern)]
    return [" ".join("".join(p).split()) for p in itertools.product(*pieces)]


def read_lists(path: Path) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("= "):
            lists[line[2:]] = []
        else:
            lists[next(reversed(lists))].append(line)
    return lists


def load(folder: Path) -> list[Fact]:
    """All facts, each with every training question written out and the held-out ones removed."""
    facts: list[Fact] = []
    for path in sorted(folder.glob("facts_*.txt")):
        for block in re.split(r"\n\s*\n", path.read_text()):
            lines = [x for x in block.splitlines() if x and not x.startswith("#")]
            if not lines:
                continue
            fact = Fact(lines[0].strip())
            for line in lines[1:]:
                tag, _, value = line.partition(": ")
                if tag == "k":
                    fact.key = value
                elif tag == "a":
                    fact.answer = value
                elif tag == "q":
                    fact.train.append(expand(value))
                elif tag == "h":
                    fact.held_out.append(value)
                else:
                    raise ValueError(f"{path.name}: expected k, a, q or h, found {line!r}")
            facts.append(fact)
    for name, questions in read_lists(folder / "questions.txt").items():
        next(f for f in facts if f.name == name).written = questions
    for name, questions in read_lists(folder / "exam.txt").items():
        next(f for f in facts if f.name == name).exam = questions
    banned = {plain(h) for f in facts for h in f.held_out + f.exam}
    for fact in facts:
        fact.written = [q for q in fact.written if plain(q) not in banned]
        fact.train = [[q for q in line if plain(q) not in banned] for line in fact.train]
        fact.train = [line for line in fact.train if line]
    return facts


def polish(question: str) -> str:
    """Sentence case, proper nouns and the final sign."""
    words = question if COMMAND_LIKE.search(question) else re.sub(
        r"[A-Za-z0-9']+", lambda m: PROPER.get(m.group(), m.group()), question)
    if words and words.startswith("i "):
        words = "I " + words[2:]
    words = re.sub(r"\bi\b(?!/)", "I", words)
    return words[:1].upper() + words[1:] + ("?" if ASKING.match(question) else ".")


def typo(text: str, rng: random.Random) -> str:
    """One slip of the finger inside a word."""
    at = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i - 1].isalpha()]
    if not at:
        return text
    i = rng.choice(at)
    kind = rng.random()
    if kind < 0.4:
        return text[:i] + text[i + 1:]
    if kind < 0.7:
        return text[:i] + text[i] + text[i:]
    return text[:i - 1] + text[i] + text[i - 1] + text[i + 1:]


def vary(question: str, rng: random.Random) -> str:
    """Other words for the same thing, or the bare key words, as hurried people type them."""
    words = question.split()
    roll = rng.random()
    if roll < 0.35 and not COMMAND_LIKE.search(question):
        for i in rng.sample(range(len(words)), len(words)):
            if words[i] in SYNONYMS and rng.random() < 0.6:
                words[i] = rng.choice(SYNONYMS[words[i]].split())
    elif roll < 0.47:
        kept = [w for w in words if w not in EMPTY_WORDS]
        words = kept if len(kept) >= 2 else words
    elif roll < 0.57 and len(words) > 4:
        words = [w for w in words if w not in EMPTY_WORDS or rng.random() < 0.6] or words
    elif roll < 0.62 and len(words) > 4:
        half = rng.randrange(2, len(words) - 1)
        words = words[half:] + words[:half]
    return " ".join(words)


def dress(question: str, rng: random.Random, extras: bool = True) -> str:
    """One way in which a person might type `question` (given in plain lower case)."""
    asked = question
    if extras and rng.random() < 0.15:
        asked = rng.choice(OPENERS) + asked
    if extras and rng.random() < 0.10:
        asked += rng.choice(CLOSERS)
    style = rng.random()
    if style < 0.62:
        text = polish(asked)
        if ASKING.match(question) and text.endswith("."):
            text = text[:-1] + "?"
    elif style < 0.82:
        text = asked
    else:
        text = asked + ("?" if ASKING.match(question) else "")
    return typo(text, rng) if rng.random() < 0.06 else text
