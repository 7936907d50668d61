#!/usr/bin/env python3
"""Writes tests/unit/text/data/jinja-golden.json: what Python's Jinja2 makes of the templates in
cases.py. Needs python3-jinja2 (3.1). Run it again when cases.py changes."""

import argparse
import json
from pathlib import Path

import jinja2

import cases
import oracle


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o", "--output", type=Path, default=root / "tests/unit/text/data/jinja-golden.json"
    )
    args = parser.parse_args()
    env = oracle.environment()
    results = []
    for group, sources in cases.CASES.items():
        for source in sources:
            source, extra = source if isinstance(source, tuple) else (source, {})
            context = {**cases.CONTEXT, **extra}
            entry = {"group": group, "template": source}
            if extra:
                entry["context"] = extra
            entry.update(oracle.render(env, source, context))
            results.append(entry)
    document = {
        "note": f"made by tools/jinja-oracle/make.py with jinja2 {jinja2.__version__}",
        "context": cases.CONTEXT,
        "cases": results,
    }
    args.output.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    failures = sum(entry["error"] is not None for entry in results)
    print(f"{len(results)} cases, {failures} of them errors")


if __name__ == "__main__":
    main()
