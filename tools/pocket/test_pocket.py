"""Checks of the recipe that need no corpus and no trained weights: python3 tools/pocket/test_pocket.py"""

from __future__ import annotations

import random
import unittest
from collections import Counter
from pathlib import Path

import jinja2
import torch

import corpus
import facts
import model
import stories
from dataset import DECIDE, LEARN, encode_document
from tokenizer import CHAT_TEMPLATE, PIECES, Tokenizer, learn_merges

HERE = Path(__file__).resolve().parent
TEXT = "the fox and the kite met the other fox; they're 12 years old. " * 3


def small_tokenizer() -> Tokenizer:
    return Tokenizer(learn_merges(Counter(PIECES.findall(TEXT)), 12))


def plain_loss(m: model.Pocket, ids: torch.Tensor, target: torch.Tensor, weight: torch.Tensor):
    """The published Llama formulas, written again without any of the model's shortcuts."""
    c, width = m.config, m.config.head_dim
    batch, length = ids.shape
    angle = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
    cos, sin = angle.cos()[None, :, None], angle.sin()[None, :, None]

    def norm(x, w):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w

    def heads(x, turn):
        x = x.view(batch, length, -1, width)
        if turn:
            a, b = x[..., 0::2], x[..., 1::2]
            x = torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(3)
        return x.repeat_interleave(c.heads // x.shape[2], 2).transpose(1, 2)

    x = m.embed[ids]
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    for layer in m.layers:
        q, k, v = (norm(x, layer.attn_norm) @ layer.qkv.t()).split(
            [c.heads * width, c.kv_heads * width, c.kv_heads * width], -1)
        score = heads(q, True) @ heads(k, True).transpose(2, 3) / width**0.5
        mixed = torch.softmax(score.masked_fill(future, float("-inf")), -1) @ heads(v, False)
        x = x + mixed.transpose(1, 2).flatten(2) @ layer.out.t()
        gate, up = (norm(x, layer.ffn_norm) @ layer.gate_up.t()).chunk(2, -1)
        x = x + (torch.nn.functional.silu(gate) * up) @ layer.down.t()
    logp = torch.log_softmax(norm(x, m.final_norm) @ m.embed.t(), -1)
    return -(logp.gather(2, target[..., None])[..., 0] * weight).sum() / weight.sum()


class Recipe(unittest.TestCase):
    def test_held_out_questions_are_not_trained(self):
        known = facts.load(HERE / "data")
        self.assertGreaterEqual(len(known), 50)
        builder = corpus.Builder([], known, seed=3)
        corpus.check([builder.conversation("weir") for _ in range(3000)], known)

    def test_a_leaked_question_is_found(self):
        known = facts.load(HERE / "data")
        leak = {"turns": [["user", known[0].held_out[0].upper() + "?"]]}
        with self.assertRaises(SystemExit):
            corpus.check([leak], known)

    def test_any_text_survives_the_tokenizer(self):
        tokenizer, rng = small_tokenizer(), random.Random(1)
        for _ in range(200):
            text = "".join(chr(rng.choice([rng.randrange(32, 127), 10, 233, 0x4E2D, 0x1F600]))
                           for _ in range(30))
            self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)

    def test_prompt_equals_the_chat_template(self):
        tokenizer = small_tokenizer()
        turns = [("system", "Be brief."), ("user", " the fox "), ("assistant", "the kite"), ("user", "old")]
        text = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(CHAT_TEMPLATE).render(
            messages=[{"role": r, "content": t} for r, t in turns], add_generation_prompt=True)
        ids = tokenizer.prompt(turns)
        self.assertEqual("".join(tokenizer.tokens[i] if tokenizer.tokens[i].startswith("<|")
                                 else tokenizer.decode([i]) for i in ids), text)

    def test_only_answers_are_learned(self):
        tokenizer = small_tokenizer()
        ids = encode_document(tokenizer, [["user", "the fox"], ["assistant", "the kite"]])
        learned = [i & (DECIDE - 1) for i in ids if i & LEARN]
        self.assertEqual(learned, tokenizer.encode("the kite") + [tokenizer.ids["<|end|>"]])

    def test_case_comes_back(self):
        case = stories.CaseModel(['One day Tom met Lily. "Hi," said Tom. They saw the dog. The end.'] * 5)
        self.assertEqual(case.restore('one day tom met lily. "hi," said tom. they saw the dog.'),
                         'One day Tom met Lily. "Hi," said Tom. They saw the dog.')

    def test_loss_and_gradients_equal_the_plain_formulas(self):
        torch.manual_seed(0)
        m = model.Pocket(model.Config(96, dim=64, layers=2, heads=4, kv_heads=2, ffn=64, context=300))
        for p in m.parameters():
            p.data.add_(torch.randn_like(p) * 0.1)
        ids, target = torch.randint(0, 96, (2, 2, 300))
        weight = (torch.rand(2, 300) > 0.4).float()
        loss = m.loss(ids, target, weight, torch.float32)
        loss.backward()
        grads = [p.grad.clone() for p in m.parameters()]
        m.zero_grad()
        oracle = plain_loss(m, ids, target, weight)
        oracle.backward()
        self.assertAlmostEqual(float(loss), float(oracle), places=5)
        for grad, p in zip(grads, m.parameters()):
            self.assertLess(float((grad - p.grad).norm() / p.grad.norm()), 1e-4)

    def test_cached_generation_equals_whole_passes(self):
        torch.manual_seed(1)
        m = model.Pocket(model.Config(96, dim=64, layers=2, heads=4, kv_heads=2, ffn=64, context=64))
        made = m.generate([5, 6, 7], set(), 12)
        whole = [5, 6, 7]
        with torch.no_grad():
            for _ in range(12):
                state = m.hidden(torch.tensor([whole]), torch.float32)
                whole.append(int((state[-1] @ m.embed.t()).argmax()))
        self.assertEqual(made, whole[3:])


if __name__ == "__main__":
    unittest.main()
