"""The reference: Python's Jinja2 with the settings that Hugging Face transformers uses for chat
templates. Imported by make.py and vendor.py."""

import datetime
import functools
import json
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

CLOCK = datetime.datetime(2025, 7, 10, 12, 0, 0)


class Generation(Extension):
    """The generation tag: marks what the assistant said; renders its body."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.CallBlock:
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller: Any) -> str:
        return caller()


def raise_exception(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def environment() -> ImmutableSandboxedEnvironment:
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = CLOCK.strftime
    return env


@functools.lru_cache(maxsize=4)
def compiled(env: ImmutableSandboxedEnvironment, source: str) -> jinja2.Template:
    return env.from_string(source)


def render(env: ImmutableSandboxedEnvironment, source: str, context: dict[str, Any]) -> dict[str, Any]:
    """{"rendered", "error", "line"}: the text, or the exception and (syntax errors) its line."""
    try:
        return {"rendered": compiled(env, source).render(**context), "error": None}
    except jinja2.exceptions.TemplateSyntaxError as error:
        return {"rendered": None, "error": "syntax", "line": error.lineno}
    except SyntaxError:
        return {"rendered": None, "error": "syntax"}
    except Exception as error:  # the reference may raise anything
        return {"rendered": None, "error": f"{type(error).__name__}: {error}"}
