"""Stories on request, made by rules: plots from data/tales.txt, filled with heroes, things and places.

TinyStories teach a model of this size to sound like a story, not to keep a plot or its subject. These
short tales are about what was asked for and each sentence is whole, so they are what is answered to most requests.

Braces in a plot: {N} {kind} {a_kind} {he} {him} {his} {himself} {He} {His} the hero, the same with a 2 for
the friend, {O} {O1} {look} {use} {used} the thing, {P} {to_P} {at_P} {over_P} the place, and words to
vary: {home} {nature} {long_nature} {weather} {hidden} {shine} {moral}.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

ANIMALS = """fox dog cat bird bear rabbit mouse frog duck hedgehog owl squirrel turtle pig horse cow
sheep lion elephant monkey dragon bee goat wolf penguin snail kangaroo puppy kitten bunny chicken tiger
donkey crow beaver deer badger goose hamster pony lamb crab parrot zebra giraffe butterfly ant robot
ghost fish whale dolphin bat unicorn dinosaur mole otter raccoon caterpillar""".split()
HIS = "boy king prince knight wizard pirate farmer man".split()
HERS = "girl queen princess witch fairy woman mermaid".split()
ROLES = "sailor baker teacher doctor gardener painter giant clown child elf shepherd cook".split()
BIG = "bear dragon elephant lion wolf giant horse whale tiger dinosaur robot".split()
BOYS = """Tom Ben Max Sam Tim Jack Leo Finn Otto Paul Oscar Hugo Felix Bruno Emil Noah Peter Theo Milo
Rudi Carl Oliver Henry""".split()
GIRLS = """Lily Anna Mia Sara Lucy Emma Rosa Nina Ella Clara Ida Molly Daisy Ruby Luna Greta Tilda Zoe
Olive Bella Hannah Alice Flora""".split()

# noun: kinds, use, used, looks
THINGS = {}
for line in """
kite: toy skill: fly: flew: red, blue, yellow, big, colorful
ball: toy: play with: played with: red, blue, round, bouncy, green
doll: toy: play with: played with: little, pretty, old, wooden
toy: toy: play with: played with: little, new, colorful
car: toy: play with: played with: little, red, fast, shiny
train: toy: play with: played with: little, green, wooden
balloon: toy: play with: played with: red, yellow, big, round
boat: toy skill: sail: sailed: little, white, wooden, blue
drum: toy skill: play: played: big, round, red, loud
flute: toy skill: play: played: silver, wooden, long
violin: toy skill: play: played: old, brown, fine
piano: toy skill: play: played: little, black, old
guitar: toy skill: play: played: brown, old, little
trumpet: toy skill: play: played: golden, shiny, loud
bicycle: toy skill: ride: rode: red, blue, fast, new
bike: toy skill: ride: rode: red, green, fast, new
sled: toy skill: ride: rode: wooden, fast, red
wagon: toy: ride in: rode in: little, red, wooden
rope: toy skill: jump over: jumped over: long, strong, yellow
puzzle: toy: play with: played with: big, hard, colorful
puppet: toy skill: play with: played with: funny, little, wooden
block: toy: play with: played with: wooden, red, big
bubble: toy: play with: played with: big, round, shiny
book: thing: read: read: thick, old, big, blue
letter: thing: read: read: long, secret, little
map: thing: look at: looked at: old, secret, big
picture: thing: look at: looked at: pretty, old, colorful
mirror: thing: look at: looked at: silver, round, old
box: thing: look at: looked at: little, wooden, secret, blue
key: thing: look at: looked at: golden, little, old, silver
coin: thing: look at: looked at: golden, shiny, old
ring: thing: look at: looked at: golden, shiny, silver
crown: thing: look at: looked at: golden, shiny, little
stone: thing: look at: looked at: round, shiny, green, smooth
rock: thing: look at: looked at: round, shiny, smooth
shell: thing: look at: looked at: white, pretty, pink
feather: thing: look at: looked at: blue, soft, white, long
flower: thing: look at: looked at: red, yellow, pretty, white
rose: thing: look at: looked at: red, white, pretty
leaf: thing: look at: looked at: golden, red, big
star: thing: look at: looked at: bright, little, golden
lamp: thing: look at: looked at: bright, little, old
lantern: thing: look at: looked at: bright, old, red
candle: thing: look at: looked at: white, long, bright
clock: thing: look at: looked at: old, big, golden
watch: thing: look at: looked at: golden, little, old
bell: thing: ring: rang: little, golden, loud, silver
hat: thing: try on: tried on: tall, red, funny, warm
shoe: thing: try on: tried on: red, little, shiny
coat: thing: try on: tried on: warm, blue, long
scarf: thing: try on: tried on: warm, red, long, soft
sock: thing: try on: tried on: warm, blue, funny
umbrella: thing: look at: looked at: red, big, yellow
blanket: thing: sit on: sat on: warm, soft, blue
pillow: thing: sit on: sat on: soft, white, big
basket: thing: look at: looked at: little, big, brown
bag: thing: look at: looked at: brown, big, blue
cup: thing: look at: looked at: blue, little, white
spoon: thing: look at: looked at: silver, big, wooden
pencil: thing: draw with: drew with: red, long, blue
brush: thing: paint with: painted with: thin, long, new
camera: thing: look at: looked at: new, little, black
telescope: thing: look at: looked at: long, old, golden
tent: thing: sit in: sat in: green, big, little
button: thing: look at: looked at: golden, round, blue
seed: thing: look at: looked at: tiny, brown, round
egg: thing: look at: looked at: white, blue, big
computer: thing: look at: looked at: new, grey, old
wheel: thing: play with: played with: big, round, old
stick: thing: play with: played with: long, strong, straight
cake: food: eat: ate: sweet, big, chocolate, round
cookie: food: eat: ate: sweet, big, round
pie: food: eat: ate: warm, sweet, big
apple: food: eat: ate: red, sweet, big, green
pear: food: eat: ate: sweet, yellow, green
banana: food: eat: ate: yellow, sweet, long
orange: food: eat: ate: sweet, big, round
pumpkin: food: eat: ate: big, orange, round
carrot: food: eat: ate: long, sweet, orange
sandwich: food: eat: ate: big, fresh, fine
pancake: food: eat: ate: sweet, warm, round
cheese: food: eat: ate: yellow, big, fine
bread: food: eat: ate: warm, fresh, brown
melon: food: eat: ate: big, green, sweet
strawberry: food: eat: ate: red, sweet, big
nut: food: eat: ate: big, brown, fine
candy: food: eat: ate: sweet, red, sticky
""".strip().splitlines():
    noun, kinds, use, used, looks = (part.strip() for part in line.split(":"))
    THINGS[noun] = (kinds.split(), use, used, [look.strip() for look in looks.split(",")])
UNCOUNTED = {"cheese", "bread", "candy"}

# noun: in or at it
PLACES = {noun: where for where, nouns in {
    "in the": "garden forest park castle cave village barn meadow valley jungle desert town wood field zoo",
    "by the": "river lake sea pond stream waterfall fountain well",
    "on the": "hill beach mountain island farm bridge",
    "at the": "market school playground circus station"}.items() for noun in nouns.split()}

HOMES_ANIMAL = ["in a cozy hole under an old tree", "at the edge of a big forest", "near a quiet lake",
                "on a green hill", "in a small house under a bush", "behind an old mill"]
HOMES_PEOPLE = ["in a small house", "in a little town", "at the edge of a village", "in a house with a red door",
                "in a white house near the sea", "at the end of a long road"]
NATURES = ["kind", "brave", "clever", "cheerful", "gentle", "curious", "friendly", "merry"]
LONG_NATURES = ["cheerful", "curious", "careful", "honest", "playful", "polite"]
WEATHERS = ["sunny", "warm", "windy", "cold", "bright", "fine", "foggy", "quiet"]
HIDDEN = ["under a bush", "behind a big stone", "between two roots", "in the tall grass",
          "under a pile of leaves", "behind an old fence", "next to a hollow tree"]
SHINES = ["bright", "strange", "small", "odd"]


@dataclass
class Plot:
    fits: set[str]
    morals: list[str] = field(default_factory=list)
    slots: list[str] = field(default_factory=list)


def load(path: Path) -> list[Plot]:
    parts: dict[str, list[str]] = {}
    plots: list[Plot] = []
    slots: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("part "):
            slots = parts[line[5:]] = []
        elif line.startswith("plot "):
            plots.append(Plot(set(line.partition(":")[2].split())))
            slots = plots[-1].slots
        elif line.startswith("moral: "):
            plots[-1].morals = [m.strip() for m in line[7:].split("/")]
        elif line.startswith("use "):
            # A shared end begins a paragraph of its own.
            slots += ([""] if line == "use end" else []) + parts[line[4:]]
        else:
            slots.append(line.strip())
    return plots


def person(kind: str, rng: random.Random, mark: str, taken: str = "") -> dict[str, str]:
    her = kind in HERS or (kind not in HIS and rng.random() < 0.5)
    name = rng.choice([n for n in (GIRLS if her else BOYS) if n != taken])
    he, him, his = ("she", "her", "her") if her else ("he", "him", "his")
    words = {"kind": kind, "a_kind": f"a {kind}", "he": he, "him": him, "his": his,
             "himself": him + "self", "He": he.capitalize(), "His": his.capitalize()}
    return {k + mark: v for k, v in words.items()} | {"M" if mark else "N": name}


class Teller:
    """Draws one (subjects of the request, story) at a time."""

    def __init__(self, path: Path) -> None:
        self.plots = load(path)

    def tell(self, rng: random.Random) -> tuple[str, str]:
        """What to ask for ("a fox and a kite"; empty for any story) and the story."""
        plot = rng.choice(self.plots)
        kind = rng.choice(ANIMALS * 2 + HIS + HERS + ROLES + ["girl", "boy"] * 8)
        big = "giant" in "".join(plot.slots) or any("A huge" in s for s in plot.slots)
        kind2 = rng.choice([k for k in (BIG if big else ANIMALS) if k != kind])
        thing = rng.choice([t for t, (kinds, *_) in THINGS.items() if plot.fits & set(kinds)
                            and (plot.fits != {"toy"} or "skill" in kinds)])
        place = rng.choice(list(PLACES))
        words = person(kind, rng, "") | {"O": thing, "O1": thing}
        words |= person(kind2, rng, "2", words["N"])
        _, words["use"], words["used"], looks = THINGS[thing]
        words |= {"look": rng.choice(looks), "weather": rng.choice(WEATHERS), "P": f"the {place}",
                  "to_P": f"to the {place}", "at_P": f"{PLACES[place]} {place}",
                  "over_P": f"over the {place}", "nature": rng.choice(NATURES),
                  "long_nature": rng.choice(LONG_NATURES), "hidden": rng.choice(HIDDEN),
                  "shine": rng.choice(SHINES), "moral": rng.choice(plot.morals),
                  "home": rng.choice(HOMES_ANIMAL if kind in ANIMALS else HOMES_PEOPLE)}
        return self._subjects(words, place, rng), self._fill(plot, words, rng)

    @staticmethod
    def _fill(plot: Plot, words: dict[str, str], rng: random.Random) -> str:
        story = ""
        for slot in plot.slots:
            if not slot:
                story = story.rstrip() + "\n"
            elif not slot.startswith("?") or rng.random() < 0.5:
                story += rng.choice(slot.lstrip("? ").split(" | ")).format(**words) + " "
        story = re.sub(rf"\b[Aa] ({'|'.join(UNCOUNTED)})\b", r"some \1", story)
        story = re.sub(r"\b([Aa]) (?=[aeiou](?!nicorn))", r"\1n ", story)
        return re.sub(r" *\n+ *", "\n", story).strip()

    @staticmethod
    def _subjects(words: dict[str, str], place: str, rng: random.Random) -> str:
        hero, friend = words["a_kind"], words["a_kind2"]
        thing = words["O"] if words["O"] in UNCOUNTED else f"a {words['O']}"
        named = f"{hero} named {words['N']}"
        asked = rng.choice([hero, thing, thing, f"{hero} and {thing}", f"{hero} and {thing}", f"{hero} and {thing}",
                            f"{thing} and {hero}", f"{hero} and {friend}", named, f"{named} and {thing}",
                            f"{hero}, {friend} and {thing}", f"the {place}", f"{hero} and the {place}",
                            words["N"], f"{hero} with {thing}", "", "", ""])
        return re.sub(r"\ba (?=[aeiou](?!nicorn))", "an ", asked)
