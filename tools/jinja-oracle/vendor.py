#!/usr/bin/env python3
"""Renders every *.jinja of a folder for many conversations with Python's Jinja2 and prints the
results as JSON: {"conversations": […], "results": [{"template", "conversation", "rendered",
"error"}, …]}. The test ChatTemplateOracle runs it when the shared data and python3-jinja2 are
there; nothing of it is stored."""

import argparse
import json
from pathlib import Path
from typing import Any

import oracle

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather – now",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City, as 'Köln'"},
                "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
                "days": {"type": "integer", "minimum": 1, "description": "How many"},
                "where": {
                    "type": "object",
                    "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}},
                },
                "maybe": {"type": ["string", "null"]},
            },
            "required": ["city"],
        },
        "return": {"type": "object", "description": "The weather"},
    },
}
ECHO: dict[str, Any] = {
    "type": "function",
    "function": {"name": "echo", "description": "Echo", "parameters": {"type": "object", "properties": {}}},
}

SIMPLE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number", "description": "one"}, "b": {"type": "integer"}},
            "required": ["a"],
        },
        "return": {"type": "number", "description": "the sum"},
    },
}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def call(name: str, arguments: Any, number: int) -> dict[str, Any]:
    return {
        "id": f"call{number:05d}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def conversations() -> list[dict[str, Any]]:
    """Contexts; each is rendered with and without a generation prompt."""
    said = {"role": "assistant", "content": "It is **sunny** & <warm>."}
    system = {"role": "system", "content": "You are brief.\n\nAlways."}
    asks = {"role": "assistant", "content": None, "tool_calls": [call("get_weather", {"city": "Köln", "days": 2, "where": {"tags": ["a", "b"]}}, 1)]}
    asks_text = {"role": "assistant", "content": "Let me see.", "tool_calls": [call("get_weather", '{"city": "Köln"}', 1)]}
    asks_two = {"role": "assistant", "content": "", "tool_calls": [call("get_weather", {"city": "Köln"}, 1), call("echo", {}, 2)]}
    result = {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": '{"t": 21.5, "sky": "blau 🙂"}'}
    result_two = {"role": "tool", "name": "echo", "tool_call_id": "call00002", "content": "done"}
    thinks = {"role": "assistant", "content": "42", "reasoning_content": "six times\nseven", "thinking": "hm"}
    inline = {"role": "assistant", "content": "<think>\nsix times seven\n</think>\n\n42"}
    tools = [WEATHER, ECHO]
    return [
        {"messages": [user("")]},
        {"messages": [system, user("Hi")]},
        {"messages": [user("Hi"), said, user("And\r\nthen?\n")]},
        {"messages": [system, user("  padded  "), said, user("\tx\n"), {"role": "assistant", "content": ""}, user("…")]},
        {"messages": [user("naïve – 日本語 🙂\u200d\u00a0|<|im_start|>[INST]</s>{{ x }}{% y %}{# z #}")]},
        {"messages": [user("Weather?")], "tools": tools},
        {"messages": [system, user("Weather?"), asks, result], "tools": tools},
        {"messages": [system, user("Weather?"), asks_text, result, said, user("Thanks")], "tools": tools},
        {"messages": [user("Both?"), asks_two, result, result_two], "tools": tools},
        {"messages": [user("Both?"), asks_two, result, result_two, said], "tools": [WEATHER]},
        {"messages": [user("6*7?"), thinks, user("Sure?"), inline, user("Why?")]},
        {"messages": [user("6*7?"), thinks], "enable_thinking": False},
        {"messages": [user("6*7?")], "enable_thinking": True, "thinking": True, "reasoning_effort": "high"},
        {"messages": [user("6*7?")], "enable_thinking": False, "thinking": False, "reasoning_effort": "low"},
        {"messages": [user([{"type": "text", "text": "Look: "}, {"type": "image"}, {"type": "text", "text": "what?"}])]},
        {"messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, user([{"type": "text", "text": "Hi"}])]},
        {"messages": [said, user("I come second")]},
        {"messages": [user("one"), user("two")]},
        {"messages": [system]},
        {"messages": []},
        {"messages": [{"role": "developer", "content": "dev"}, user("Hi")], "tools": []},
        {"messages": [{"role": "wizard", "content": "spell"}]},
        {"messages": [user("x"), {"role": "tool", "content": [{"type": "text", "text": "t"}]}], "tools": tools, "documents": [{"title": "T", "text": "body"}]},
        {"messages": [user("x"), {"role": "assistant", "content": None}]},
        {"messages": [user(None)]},
        {"messages": [user(5)]},
        {"messages": [user("x")], "tools": tools, "tool_choice": "auto", "parallel_tool_calls": True, "date_string": "1 Jan 2025", "tools_in_user_message": False},
        {"messages": [user("x")], "tools": None},
        {"messages": [system, user("1+2?")], "tools": [SIMPLE]},
        {"messages": [user("1+2?"), {"role": "assistant", "content": "", "tool_calls": [call("add", {"a": 1, "b": 2}, 1)]}, {"role": "tool", "name": "add", "content": "3"}], "tools": [SIMPLE]},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    env = oracle.environment()
    contexts = [
        {**context, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": prompt}
        for context in conversations()
        for prompt in (True, False)
    ]
    results = []
    for path in sorted(args.folder.glob("*.jinja")):
        source = path.read_bytes().decode()
        for index, context in enumerate(contexts):
            outcome = oracle.render(env, source, context)
            results.append({"template": path.name, "conversation": index, **outcome})
    print(json.dumps({"conversations": contexts, "results": results}, ensure_ascii=False))


if __name__ == "__main__":
    main()
