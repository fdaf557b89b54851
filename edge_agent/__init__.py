"""An agent that lives on your own machine: small language models, verified tool calls, no cloud.

    from edge_agent import Agent
    print(Agent().ask("remind me to water the plants in 20 minutes").answer)

The house; a request goes through the numbered rooms in order (a test holds this map true):

    agent        the eight steps of a request, `Agent.run`
    request      one request as data: `Result`, `Conversation`
    events       what a request reports while it runs; every surface shares them
    predict      what would be called for rows of messages and tools, without doing it
    extract      text to a pydantic model, without tools
    tools        @tool, Tool, Registry: signature, pydantic model or JSON Schema become one Tool
    toolpacks    the built-in tools: clock, calendar, contacts, notes, mail, files, system, text, web ...
    retrieve     1  which few tools may this sentence need
    clauses      1  several wishes in one sentence, for untuned models
    prompt       2  what the model is shown, and everything it may say
    dialects     2  one file per model family: render tools, write calls, parse calls
    grammar      3  JSON Schema to grammar to GBNF; GBNF parser and linter; matcher
    choose       4  which tool an untuned model means, pooled with retrieval
    decode       4  the constrained loop: masks, forced runs, probabilities
    loading      4  a model found, prepared and opened
    engine       4  what runs a model: llama.cpp in-process, a scripted one for tests
    verify       5  is this a call that could be meant: schema, types, sources
    provenance   5  where each argument comes from: spans of the person's own words
    confidence   5  how sure, from the probabilities of the choices
    gate         6  act, ask, retry or decline: the one decision
    execute      7  the gateway, the only place where a tool runs
    workspace    7  what a tool may touch, and how each touch is taken back
    journal      7  intent before effect, undo
    host         7  the machine's facilities: clipboard, sound, screen, programs
    ledger       8  one row per request: tokens, milliseconds, joules, decision
    database     SQLite as ledger and journal use it
    power        meters: joules with source and bounds
    models       which models are here: store, verified download, choice
    catalogue    models.toml, read and checked
    download     one verified file from the network, resumable
    gguf         what a model file says of itself, checked before native code sees it
    merge        an adapter worked into its model's weights
    adapt        a small LoRA that teaches a model to call tools: rows, prompts as trained, training, export
    prepare      the weight format that is fastest on this CPU
    when         words for moments, durations and numbers
    recurrence   words for repetition
    amounts      words for quantities
    evals        suites that are judged by outcome
    config       folders and settings
    errors       every error a person may meet, with its exit code
    cli          surface: the command line
    __main__     `python -m edge_agent`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazily: module and function share the name, and the import of the module would shadow the function.
from .extract import extract

if TYPE_CHECKING:
    from .agent import Agent
    from .request import Conversation, Result
    from .tools import Effect, Example, Registry, Tool, ToolResult, copied, tool
    from .workspace import Context

    __version__: str

_HOMES = {
    "agent": ("Agent",),
    "request": ("Conversation", "Result"),
    "tools": ("Effect", "Example", "Registry", "Tool", "ToolResult", "copied", "tool"),
    "workspace": ("Context",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Agent", "Context", "Conversation", "Effect", "Example", "Registry", "Result", "Tool", "ToolResult", "__version__",
    "copied", "extract", "tool",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("edge-agent")
        except PackageNotFoundError:  # a checkout that was never installed
            return "0+unknown"
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
