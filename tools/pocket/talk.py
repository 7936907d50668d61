"""Small talk, sums and questions that the model cannot answer, all made by rules."""

from __future__ import annotations

import random

from facts import expand

# Pattern of the question | answers. Patterns as in facts.py.
SMALL_TALK = """
{hello|hi|hey|hi there|hello there|good day|howdy|hey there|greetings}|Hello! How can I help you?|Hi! Nice to meet you.|Hello! What would you like to talk about?
good morning|Good morning! I hope you slept well.
good {evening|afternoon}|Hello! I hope you had a good day.
good night|Good night! Sleep well.
{hello|hi|hey} {|pocket} how are you|I am well, thank you. How are you?
{how are you|how are you doing|how do you do|how is it going|how are you today|are you well|how do you feel}|I am well, thank you. How are you?
{i am|i'm} {fine|well|good|great|okay|happy} {|too|today|thanks|thank you}|I am glad to hear that!
{i am|i'm} {sad|unhappy|not well|lonely|upset}|I am sorry to hear that. Would you like a happy story?
{i am|i'm} {bored|very bored}|Then let me tell you a story. Just ask for one!
{i am|i'm} {tired|sleepy}|Then rest a little. A good sleep helps.
{i am|i'm} {hungry|thirsty}|Then have a little snack and a glass of water.
{i am|i'm} {angry|mad}|Take a deep breath and count to ten. Then it may feel better.
{thanks|thank you|thank you very much|many thanks|thanks a lot|thank you so much}|You are welcome!
{bye|goodbye|see you|see you later|bye bye|i have to go|farewell}|Goodbye! Come back soon.
{nice|great|good|cool|wow|wonderful|very nice|that was nice|that is great|well done|good job|good answer}|Thank you! I am glad you like it.
{i like you|you are nice|you are great|you are funny|you are good|i love you}|Thank you! You are very kind.
{you are wrong|that is wrong|that was wrong|no that is wrong|wrong}|I am sorry. I am a small model and I can be wrong.
{you are bad|you are stupid|i do not like you|you are silly}|I am sorry. I am small, but I will try to do better.
{yes|ok|okay|sure|alright|right|fine}|Good! What shall we do now?
{no|nope|not now}|All right. Tell me if you need something.
{sorry|i am sorry}|No problem at all!
{tell me a joke|do you know a joke|make me laugh|say something funny|a joke please}|Why did the bird sit on the computer? It wanted to see the web!|What does a cloud wear under its coat? Thunderwear!|Why was the river so rich? It had two banks!
{what is your favourite|what is your favorite|which is your favourite} {colour|color}|I like blue, like the water of a river.
{what is your favourite|what is your favorite|which is your favourite} {animal|pet}|I like foxes, because they are clever.
{what is your favourite|what is your favorite} {food|meal}|I do not eat, but I like the word pancake.
{what is your favourite|what is your favorite} {story|book}|I like stories with a happy end.
{what is your favourite|what is your favorite} {number}|I like sixteen. It is a fine size for a page.
do you like {cats|dogs|animals|stories|music|the sea|trees|birds|children|flowers|rain|snow|books|games|people}|Yes, I do! And you?
{do you eat|do you sleep|are you hungry|are you tired|do you drink|can you see|can you hear|can you walk}|No, I am only a program.
{are you alive|do you have feelings|do you think|do you dream|are you happy|can you think}|I am only a program, but I like to help.
{how old are you|what is your age|when were you born}|I am a program, so I do not have an age.
{where are you|where do you live|where are you from}|I live inside the program Weir, on your computer.
my name is {tom|lily|anna|ben|mia|sam|max|sara|tim|john|lucy|emma|jack|leo}|Nice to meet you! How can I help you?
{i am|i'm} {tom|lily|anna|ben|mia|sam|max|sara|tim|john|lucy|emma|jack|leo}|Nice to meet you! How can I help you?
{what is new|what is up|what's up|sup|what are you doing}|I am waiting for your questions. Ask me something!
{say something|talk to me|tell me something|entertain me|let us talk|can we talk|let's chat}|Gladly! I can tell you a story, do a small sum or tell you about Weir.
{can you sing|sing a song|sing for me|sing me a song}|La la la, the river flows, and where it goes, the water knows.
{can you|do you} {count|calculate|do maths|do math|do sums|add numbers}|Yes, I can do small sums. Try me!
{write|tell me|make|do you know} a {poem|rhyme} {|please}|The moon is bright, the night is long, the little river sings a song.
{are you there|are you awake|anybody there|test|testing|hello are you there}|Yes, I am here. How can I help you?
{i do not understand|what do you mean|i don't understand|what|huh|pardon}|I am sorry. Please ask again with other words.
{happy birthday|it is my birthday|today is my birthday}|Happy birthday! I wish you a wonderful day.
{do you like me|are you my friend|can we be friends|be my friend|will you be my friend}|Yes, I would like to be your friend.
{what do you like|what do you like to do|do you have a hobby|what makes you happy}|I like to tell stories and to answer questions about Weir.
{that is all|nothing|nothing else|that was all|i have no question}|All right. Have a nice day!
{merry christmas|happy new year|happy easter|happy holidays}|Thank you! The same to you.
{will you take over the world|are you dangerous|are you evil}|No. I am very small and I only tell stories.
{are you|are you like|do you know} {chatgpt|siri|alexa|a big model}|No, I am Pocket, a very small model inside Weir.
"""

UNKNOWN = """
what is the capital of {france|germany|spain|italy|england|japan|china|poland|egypt|india|canada}
who is the {president|king|queen|chancellor|prime minister} of {france|germany|america|england|spain|japan}
{what is|how is} the weather {|today|tomorrow|like}
what {time|day} is it {|now|today}
{who wrote|who painted} {hamlet|faust|the mona lisa|the bible|moby dick|don quixote}
how {far|big|old|hot} is {the moon|the sun|mars|the earth|the sea}
when {was|did} {the war|napoleon born|rome founded|einstein live|the war end|columbus sail}
write {a program|code|a python script|an essay|a letter|an email|a function} {|for me}
translate {this|hello|good morning|this sentence} {into|to} {french|german|spanish|latin}
what is {love|the meaning of life|gravity|an atom|a black hole|democracy|electricity|chemistry|money|history}
how do i {cook rice|bake bread|fix my car|learn piano|get rich|lose weight|tie a tie|plant a tree}
who {won|wins} the {world cup|match|election|race|game}
{tell me|what is} the news {|today}
explain {quantum physics|relativity|evolution|photosynthesis|the stock market|blockchain}
what is the {largest|highest|longest|biggest|fastest} {mountain|river|animal|city|country|ocean}
who {was|is} {napoleon|einstein|mozart|shakespeare|newton|cleopatra|gandhi}
how many {people|countries|stars|oceans|languages} are there
{which|what} {film|movie|song|book|phone} should i {watch|buy|hear|read}
"""
UNKNOWN_ANSWER = "I do not know that. I can tell stories, do small sums and answer questions about Weir."

WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
         "sixteen seventeen eighteen nineteen twenty").split()
NAMES = "Tom Lily Anna Ben Mia Sam Max Sara Tim Lucy Emma Jack".split()
THINGS = "apples balls books cookies cars toys flowers eggs stones kites pencils shells".split()


class Talker:
    """Draws one (question in lower case, answer) at a time."""

    def __init__(self) -> None:
        self.small = []
        for line in SMALL_TALK.strip().splitlines():
            depth, parts, part = 0, [], ""
            for sign in line:
                depth += (sign == "{") - (sign == "}")
                if sign == "|" and depth == 0:
                    parts.append(part)
                    part = ""
                else:
                    part += sign
            parts.append(part)
            self.small.append((expand(parts[0]), parts[1:]))
        self.unknown = [expand(line) for line in UNKNOWN.strip().splitlines()]

    def talk(self, rng: random.Random) -> tuple[str, str]:
        if rng.random() < 0.15:
            return rng.choice(rng.choice(self.unknown)), UNKNOWN_ANSWER
        questions, answers = rng.choice(self.small)
        return rng.choice(questions), rng.choice(answers)

    @staticmethod
    def sum(rng: random.Random) -> tuple[str, str]:
        kind = rng.random()
        if kind < 0.40:
            a, b, sign, names = rng.randint(0, 20), rng.randint(0, 20), "+", ["plus", "and"]
            if rng.random() < 0.5:
                a, b = a // 2, b // 2
            value = a + b
        elif kind < 0.65:
            b, value = rng.randint(0, 10), rng.randint(0, 10)
            a, sign, names = b + value, "-", ["minus", "take away"]
        elif kind < 0.82:
            a, b, sign, names = rng.randint(0, 10), rng.randint(0, 10), "*", ["times"]
            value = a * b
        else:
            return Talker._problem(rng)
        if rng.random() < 0.15 and max(a, b) <= 20:
            core = f"{WORDS[a]} {names[0]} {WORDS[b]}"
        else:
            core = rng.choice([f"{a} {sign} {b}", f"{a}{sign}{b}", f"{a} {rng.choice(names)} {b}",
                               f"{a} {sign} {b}"])
        if sign == "*" and "*" in core and rng.random() < 0.3:
            core = core.replace("*", "x")
        ask = rng.choice(["what is {}", "how much is {}", "{}", "{} =", "can you tell me {}", "compute {}",
                          "calculate {}", "what's {}", "what does {} make", "please add up {}"
                          if sign == "+" else "work out {}"])
        return ask.format(core), f"{a} {sign} {b} = {value}."

    @staticmethod
    def _problem(rng: random.Random) -> tuple[str, str]:
        name, thing = rng.choice(NAMES), rng.choice(THINGS)
        kind = rng.randrange(6)
        if kind == 0:
            a, b = rng.randint(1, 10), rng.randint(1, 10)
            return (f"{name} has {a} {thing} and gets {b} more. how many {thing} does {name} have",
                    f"{a} + {b} = {a + b}. {name} has {a + b} {thing}.")
        if kind == 1:
            b, left = rng.randint(1, 8), rng.randint(1, 10)
            return (f"{name} has {b + left} {thing} and gives away {b}. how many are left",
                    f"{b + left} - {b} = {left}. {name} has {left} {thing} left.")
        if kind == 2:
            a, b = rng.sample(range(0, 51), 2)
            return (rng.choice([f"which is bigger, {a} or {b}", f"is {a} bigger than {b}",
                                f"what is more, {a} or {b}"]),
                    f"{max(a, b)} is bigger than {min(a, b)}.")
        if kind == 3:
            a = rng.randint(0, 40)
            return rng.choice([f"what comes after {a}", f"which number comes after {a}"]), f"After {a} comes {a + 1}."
        if kind == 4:
            a = rng.randint(1, 20)
            word, value = rng.choice([("half of", a), ("double", 4 * a)])
            return f"what is {word} {2 * a}", f"{'Half of' if value == a else 'Double'} {2 * a} is {value}."
        a = rng.randint(3, 15)
        return (rng.choice([f"count to {a}", f"count from 1 to {a}", f"can you count to {a}"]),
                ", ".join(str(i) for i in range(1, a + 1)) + ".")
