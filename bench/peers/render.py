"""How tables of bench/peers/run are printed: Markdown, bars as SVG, a summary of all machines."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable

from report import INTEGER_PREFILL, REAL_PREFILL, SHORT, Row, Table

OURS, THEIRS, GOAL = "#1463a5", "#b0b0b0", "#c0392b"


def markdown(table: Table) -> str:
    """Every row, how many targets hold, and what did not run."""
    dated = any(row.version for row in table.rows.values())
    head = ["model", "type", "test", "target", "weir", "llama.cpp", "ratio",
            "share of ceiling (llama.cpp)", "holds"] + ["date, version, rounds × runs"] * dated
    about = {name: text for name, text in table.about.items() if name != "name"}
    lines = ["; ".join(f"{name}: {text}" for name, text in about.items()) + ".", "",
             f"| {' | '.join(head)} |", "|---|---|---|---|---:|---:|---:|---|---|" + "---|" * dated]
    lines += [_line(table, row, dated) for row in table.rows.values()]
    verdicts = [table.verdict(row).holds for row in table.rows.values()]
    failed = [row for row in table.rows.values() if row.error]
    lines += ["", f"{len(verdicts)} rows: {verdicts.count(True)} targets held, "
              f"{verdicts.count(False)} missed, {verdicts.count(None)} without a target; "
              f"{len(failed)} rows with a side that did not run."]
    lines += [f"- {row.model} {row.type} {row.isa} {row.test}: {row.error}" for row in failed]
    return "\n".join(lines) + "\n"


def _line(table: Table, row: Row, dated: bool) -> str:
    def side(figures: list[float]) -> str:
        if not figures:
            return "did not run" if row.error else "–"
        text = f"{statistics.median(figures):.1f}"
        if len(figures) > 1:
            text += f" ({min(figures):.1f}–{max(figures):.1f})"
        return text if row.unit == "tokens/s" else f"{text} {row.unit}"

    ratio, share, verdict = row.ratio(), "", table.verdict(row)
    if row.share:
        ours = table.share(row)
        share = f"{100 * ours:.0f} % of {row.ceiling}"
        if ratio:
            share += f" ({100 * ours / ratio:.0f} %)"
        if row.best:
            share += f", {100 * statistics.median(row.best):.0f} % of its best"
    mark = {True: "yes", False: "**no**", None: ""}[verdict.holds]
    if verdict.figure:
        mark = f"{mark} ({verdict.figure})"
    cells = [row.model, row.type, _name(row), verdict.target, side(row.weir), side(row.peer),
             f"{ratio:.2f}" if ratio else "", share, mark]
    run = f"{row.date} {row.version}" + (f", {len(row.weir)} × {row.runs}" if row.runs else "")
    return f"| {' | '.join(cells + [run] * dated)} |"


def _name(row: Row) -> str:
    return row.test if row.isa == "native" else f"{row.test}, {row.isa}"


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows that share a target."""
    work: str
    target: str
    has: Callable[[Row], bool]


def _native(test: str, goals: dict[str, float], goal: float) -> Callable[[Row], bool]:
    return lambda row: row.test == test and row.isa == "native" and goals.get(row.type) == goal


GROUPS = (
    Group("prompt of 512: Q4_K_M, Q4_0, Q8_0, Q5_K_M, Q6_K", "≥ 65 % of int8",
          _native("pp512", INTEGER_PREFILL, 0.65)),
    Group("prompt of 512: IQ4_NL, Q2_K, Q3_K", "≥ 55 % of int8",
          _native("pp512", INTEGER_PREFILL, 0.55)),
    Group("prompt of 512: F16, BF16, F32", "≥ 75 % of f32", _native("pp512", REAL_PREFILL, 0.75)),
    Group("prompt of 512: `bf16-dot`", "≥ 65 % of bf16",
          lambda row: row.test == "pp512" and row.isa == "bf16-dot"),
    Group("one token", "≥ 95 % of read", lambda row: row.test == "tg64" and row.isa != "avx2"),
    Group("prompts of 8, 16, 32", "≥ 60 % of the rate at 512", lambda row: row.test in SHORT),
    Group("4 sequences", "≥ 3.4 × one stream", lambda row: row.test == "tg64x4"),
    Group("16 sequences", "≥ 9 × one stream", lambda row: row.test == "tg64x16"),
    Group("prompt of 512 at depth", "≤ 1.1 × (matmul + KV read)",
          lambda row: row.test.startswith("pp512@")),
    Group("one token at depth", "≤ 1.1 × (matmul + KV read)",
          lambda row: row.test.startswith("tg64@")),
    Group("attention with a KV cache in Q8_0, Q4_0", "≥ 1.4, 1.8 × F16",
          lambda row: row.test.startswith("kv:")),
    Group("start to first token", "≤ 1.15 × prefill + 30 ms", lambda row: row.test == "start16"),
    Group("memory", "≤ file + KV + 64 MB + scratch", lambda row: row.test == "memory"),
    Group("AVX2, prompt of 512", "≥ 1.15 × llama.cpp",
          lambda row: row.test == "pp512" and row.isa == "avx2"),
    Group("AVX2, one token", "≥ 1 × llama.cpp",
          lambda row: row.test == "tg64" and row.isa == "avx2"),
)


def summary(tables: dict[str, Table]) -> str:
    """A line for each target: how many rows hold it, their figures, and those beside the peer."""
    lines = [f"| work | target | {' | '.join(tables)} |", "|---|---|" + "---|" * len(tables)]
    for group in GROUPS:
        cells = [_cell(table, group) for table in tables.values()]
        lines.append(f"| {group.work} | {group.target} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(table: Table, group: Group) -> str:
    rows = [row for row in table.rows.values()
            if group.has(row) and table.verdict(row).holds is not None]
    if not rows:
        return "not measured"
    held = sum(table.verdict(row).holds for row in rows)
    parts = [f"{'**' * (held < len(rows))}{held} of {len(rows)}{'**' * (held < len(rows))}"]
    figures = [figure for row in rows if (figure := _figure(table, row))]
    if figures:
        unit = figures[0][1]
        digits = 0 if unit == "%" else 2
        parts.append(f"{_range([number for number, _ in figures], digits)} {unit}")
    ratios = [ratio for row in rows if (ratio := row.ratio())]
    if ratios:
        parts.append(f"{_range(ratios, 1 if min(ratios) > 2 else 2)} × llama.cpp")
    return "; ".join(parts)


def _figure(table: Table, row: Row) -> tuple[float, str] | None:
    """What is held against the target, and its unit."""
    if text := table.verdict(row).figure:
        number, _, unit = text.partition(" ")
        return float(number), unit.replace("x", "×")
    share = table.share(row) if row.isa != "avx2" else None
    return (100 * share, "%") if share else None


def _range(figures: list[float], digits: int) -> str:
    low, high = f"{min(figures):.{digits}f}", f"{max(figures):.{digits}f}"
    return low if low == high else f"{low}–{high}"


def behind(table: Table) -> str:
    """The rows where the peer is ahead, those first where it is furthest."""
    rows = [(ratio, row) for row in table.rows.values() if (ratio := row.ratio()) and ratio < 1]
    rows.sort(key=lambda entry: entry[0])
    return ", ".join(f"{row.model} {row.type} {_name(row)} ({ratio:.2f})"
                     for ratio, row in rows) or "no row"


def svg(table: Table) -> str:
    """Bars: the share of the ceiling that both sides reach; a line is the target."""
    columns = [[row for row in table.rows.values()
                if row.test == test and row.share and row.isa != "avx2"]
               for test in ("pp512", "tg64")]
    width, left, step, top = 580, 190, 30, 64
    machine = table.about.get("name") or table.about.get("machine", "")
    height = top + step * max(map(len, columns)) + 24
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width} {height}" '
             'font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="#fff"/>',
             f'<text x="16" y="20" fill="#222">{machine}: share of the ceiling; '
             f'<tspan fill="{OURS}" font-weight="bold">weir</tspan>, '
             f'<tspan fill="#777" font-weight="bold">llama.cpp</tspan>, '
             f'<tspan fill="{GOAL}" font-weight="bold">target</tspan></text>']
    for i, (title, rows) in enumerate(zip(("a prompt of 512 tokens", "one token at a time"),
                                          columns)):
        parts.append(f'<text x="{i * width + left}" y="44" fill="#222" font-weight="bold">{title}'
                     '</text>')
        parts += _scale(i * width + left, top, height - 20)
        for j, row in enumerate(rows):
            parts += _bars(table, row, i * width + left, top + step * j)
    return "\n".join(parts) + "\n</svg>\n"


BAR = 330  # of 100 %, in the picture's units


def _scale(left: float, top: float, bottom: float) -> list[str]:
    return [f'<line x1="{left + BAR * percent / 100}" y1="{top - 8}" '
            f'x2="{left + BAR * percent / 100}" y2="{bottom}" stroke="#ddd"/>'
            f'<text x="{left + BAR * percent / 100}" y="{bottom + 14}" text-anchor="middle" '
            f'fill="#666">{percent} %</text>' for percent in (0, 25, 50, 75, 100)]


def _bars(table: Table, row: Row, left: float, top: float) -> list[str]:
    ours, ratio = table.share(row), row.ratio()
    label = f"{row.model} {row.type}" + ("" if row.isa == "native" else f" {row.isa}")
    bars = [(BAR * min(share, 1.1), top + down, share, colour) for down, share, colour in
            ((0, ours, OURS), (11, ours / ratio if ratio else 0, THEIRS)) if share]
    parts = [f'<text x="{left - 6}" y="{top + 15}" text-anchor="end" fill="#222">{label}</text>']
    parts += [f'<rect x="{left}" y="{y}" width="{length:.0f}" height="10" fill="{colour}"/>'
              for length, y, _, colour in bars]
    if goal := row.goal():
        x = left + BAR * goal
        parts.append(f'<line x1="{x}" y1="{top - 2}" x2="{x}" y2="{top + 23}" stroke="{GOAL}" '
                     'stroke-width="2"/>')
    # White around a number keeps it readable on the line.
    parts += [f'<text x="{left + length + 4:.0f}" y="{y + 9}" font-size="10" fill="#444" '
              f'stroke="#fff" stroke-width="3" paint-order="stroke">{100 * share:.0f}</text>'
              for length, y, share, _ in bars]
    return parts
