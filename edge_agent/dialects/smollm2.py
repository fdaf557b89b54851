"""Our own compact format, which the project's adapter for SmolLM2-135M-Instruct is trained in. ChatML turns.

System turn: two sentences, then one block per tool, each a signature, its description's first line, and a
line per documented parameter. Blocks do not depend on each other, so they may be encoded once and reused in
any selection.

Answer: one line per call, `name {json}` with minified JSON; or `none`; or `ask param, param`; or, a call by itself,
`need_tool {"description":"…"}`. The first token decides between calling, declining and asking. No thoughts: 135M
parameters were not taught any. Names that are `none` or `ask`, or have characters other than
letters, digits, `_`, `.` and `-`, stand in JSON quotes wherever they appear, so every name comes back
unchanged.

Source of marks and special tokens: the tokenizer inside SmolLM2-135M-Instruct.Q4_1.gguf.
"""

from __future__ import annotations

import re

from ..grammar.ir import Node, repeat, seq
from .base import Call, CallRules, Message, Reply, ToolSpec
from .calls import minified
from .chatml import CHATML_SPECIALS, ChatML
from .family import mark, one_of
from .reader import BLANKS, Reader
from .signature import documented, parameters, word

_RESERVED = ("none", "ask")
_WORD = re.compile(r"[\w.\-]+")


class SmolLM2(ChatML):
    name = "smollm2"
    specials = (
        *CHATML_SPECIALS,
        *("<repo_name>", "<reponame>", "<file_sep>", "<filename>", "<gh_stars>", "<empty_output>"),
        *("<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>"),
        *("<jupyter_code>", "<jupyter_output>", "<jupyter_script>"),
    )
    after_tool = "\n"
    between_calls = "\n"

    def preface(self, system: str) -> str:
        more = f"{system}\n" if system else ""
        return (
            "Answer with one line per tool call: the tool's name, then its arguments as JSON. "
            f"Write none if no tool fits, or ask and the names of missing parameters.\n{more}"
        )

    def describe(self, tool: ToolSpec) -> str:
        signature = f"{word(tool.name, _RESERVED)}({', '.join(parameters(tool.parameters, tool.parameters))})"
        first_line = next((line.strip() for line in tool.description.splitlines() if line.strip()), "")
        lines = [f"{signature} {first_line}".rstrip()]
        lines += [f"  {name}: {text}" for name, text in documented(tool.parameters)]
        return self.clean("\n".join(lines))

    def body(self, message: Message) -> str:
        return self.write(message.calls) or self.clean(message.content)

    def answer(self, reply: Reply) -> str:
        if reply.asks:
            return "ask " + ", ".join(self.clean_json(word(name)) for name in reply.asks)
        return self.write(reply.calls) or "none"

    def frame(self, name: str) -> tuple[str, str]:
        return f"{self.clean_json(word(name, _RESERVED))} ", ""

    def arguments(self, call: Call) -> str:
        return self.clean_json(minified(dict(call.arguments)))

    def declining(self, rules: CallRules) -> list[Node]:
        options: list[Node] = []
        if rules.askable:
            name = one_of([mark(self.clean_json(word(name))) for name in rules.askable])
            options.append(seq(mark("ask "), name, repeat(seq(mark(", "), name), 0, len(rules.askable) - 1)))
        return [*options, mark("none")] if rules.allow_none else options

    def parse_calls(self, text: str) -> Reply:
        reader = self.reader(text)
        reader.blanks()
        if reader.text[reader.pos :] == "none":
            return Reply()
        if re.match(r"ask[ \t]", reader.text[reader.pos :]):
            reader.pos += len("ask")
            return Reply(asks=self._read_asks(reader))
        at = reader.pos
        return self.reply(self.read(reader), reader, at, Reply())

    def read(self, reader: Reader) -> list[Call]:
        calls: list[Call] = []
        while True:
            start = reader.pos
            name = self._read_word(reader, "a tool name, none or ask")
            if name in _RESERVED and not reader.text.startswith('"', start):
                raise reader.refuse(f"{name} alone, or a tool name", start)
            reader.blanks()
            at = reader.pos
            arguments = reader.json()
            if not isinstance(arguments, dict):
                raise reader.refuse("a JSON object of arguments", at)
            calls.append(Call(name, arguments))
            end = reader.pos
            reader.blanks()
            if reader.pos == len(reader.text):
                return calls
            if "\n" not in reader.text[end : reader.pos]:
                raise reader.refuse("a new line before the next call")

    def _read_asks(self, reader: Reader) -> tuple[str, ...]:
        names = [self._read_word(reader, "a parameter name")]
        while reader.take(","):
            names.append(self._read_word(reader, "a parameter name"))
        if reader.text[reader.pos :].strip(BLANKS):
            raise reader.refuse("a comma or the end of the answer")
        return tuple(dict.fromkeys(names))

    def _read_word(self, reader: Reader, expected: str) -> str:
        reader.blanks()
        if reader.peek('"'):
            quoted: str = reader.json()  # a JSON value that starts with a quote is a string
            return quoted
        return reader.match(_WORD, expected)[0]


DIALECT = SmolLM2()
