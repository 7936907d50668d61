#!/usr/bin/env python3
"""Prints src/text/jinja/case_table.cc: the code points whose upper or title case is not one code
point (Unicode SpecialCasing), as Python's str.upper and str.title map them."""

import argparse


def rows(mapping: str) -> list[str]:
    """C++ rows {code point, "bytes"} for every code point that maps to more than one."""
    out = []
    for point in range(0x110000):
        if 0xD800 <= point < 0xE000:
            continue
        mapped = getattr(chr(point), mapping)()
        if len(mapped) > 1:
            text = "".join(f"\\x{byte:02x}" for byte in mapped.encode())
            out.append(f'{{0x{point:x}, "{text}"}},')
    return out


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print("// Owns the case mappings of one code point to several (Unicode SpecialCasing), sorted by code")
    print("// point. Made by tools/jinja-oracle/case_table.py; do not edit.")
    print('#include "text/jinja/case_table.h"\n\nnamespace weir::jinja {\n')
    for name, mapping in (("kSpecialUpper", "upper"), ("kSpecialTitle", "title")):
        print("// clang-format off")
        print(f"const std::vector<SpecialCase> {name} = {{")
        lines = rows(mapping)
        for start in range(0, len(lines), 3):
            print("    " + " ".join(lines[start : start + 3]))
        print("};")
        print("// clang-format on")
    print("\n}  // namespace weir::jinja")


if __name__ == "__main__":
    main()
