#!/usr/bin/env python3
"""Makes sentencepiece_vectors.json: the ids that the SentencePiece library itself gives.

Needs Debian's python3-sentencepiece. The texts are those of the shared .inp file; the models are the
shared Mistral and SentencePiece test models. Run from the repository root:

    tests/unit/text/make_sentencepiece_vectors.py ../shared/data > tests/unit/text/sentencepiece_vectors.json
"""

import argparse
import json
import pathlib

import sentencepiece

MODELS = [
    "mistral/tokenizer.model.v1",
    "mistral/mistral_instruct_tokenizer_240216.model.v2",
    "mistral/mistral_instruct_tokenizer_240323.model.v3",
    "mistral/mistral_instruct_tokenizer_241114.model.v7",
    "mistral/mistral_instruct_tokenizer_241114.model.v7m1",
    "sentencepiece/python/test/test_model.model",
    "sentencepiece/python/test/test_ja_model.model",
]


def main() -> None:
    """Writes the vectors to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=pathlib.Path, help="the shared data folder")
    folder = parser.parse_args().data / "tokenizers"
    inp = folder / "ggml-vocab" / "ggml-vocab-llama-spm.gguf.inp"
    texts = inp.read_bytes().decode().split("\n__ggml_vocab_test__\n")[:46]
    vectors = {}
    for model in MODELS:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / model))
        vectors[model] = [processor.encode(text) for text in texts]
    made_by = f"make_sentencepiece_vectors.py with sentencepiece {sentencepiece.__version__}"
    print(json.dumps({"made_by": made_by, "ids": vectors}, separators=(",", ":")))


if __name__ == "__main__":
    main()
