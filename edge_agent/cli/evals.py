"""`edge-agent eval`: suites that end in one JSON line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import build, render

if TYPE_CHECKING:
    from ..evals.suite import Suite

FOLDER = click.option(
    "--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="The suite's folder."
)
OUT = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep results here, and go on from it."
)
LINES = click.option(
    "--data", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON lines."
)
SCHEMAS = click.option("--limit", type=click.IntRange(1), help="First so many schemas.")
EVERY = click.option("--every", type=click.IntRange(1), default=1, help="Each so many-th schema only.")
CASES = click.option("--limit", type=click.IntRange(1), help="So many cases of each category, evenly spaced.")
CATEGORY = click.option("--category", "categories", metavar="C", multiple=True, help="Only this one (repeatable).")
MATCHER = click.option("--matcher", help="What holds answers to the grammar: none, llguidance, llama.cpp.")
FAILURES = click.option("--failures", is_flag=True, help="List what came out wrong as well.")


@click.group(cls=render.Group)
def evals() -> None:
    """Measure how well a model, or the grammars, do."""


@evals.command()
@build.options(build.MODEL, build.DIALECT, build.NO_ADAPTER)
@click.option("--limit", type=click.IntRange(1), help="First so many cases of each kind.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind: single, two_step, missing, impossible.")
@OUT
@render.json_option
def everyday(
    options: build.Options, limit: int | None, kinds: tuple[str, ...], out: Path | None, as_json: bool
) -> None:
    """Everyday sentences, run in a throw-away home and judged by what became of it.

    Prints a table and, as its last line, all figures as JSON.

    \b
    edge-agent eval everyday --limit 5
    edge-agent eval everyday --model qwen3-0.6b --out qwen.jsonl --json
    """
    from ..evals.everyday import run

    with build.make_agent(options) as agent:
        figures = run(agent, limit=limit, kinds=kinds, out=out, progress=render.progress)
    _report(figures, [figures.pop("table", [])], as_json)


@evals.command()
@LINES
@SCHEMAS
@EVERY
@click.option(
    "--skip", multiple=True, type=click.Choice(["llguidance", "llama.cpp"]), help="Leave out this engine (repeatable)."
)
@click.option(
    "--llamacpp-every", type=click.IntRange(1), default=1, help="llama.cpp, slow, at each so many-th of them."
)
@OUT
@FAILURES
@render.json_option
def maskbench(
    data: Path,
    limit: int | None,
    every: int,
    skip: tuple[str, ...],
    llamacpp_every: int,
    out: Path | None,
    failures: bool,
    as_json: bool,
) -> None:
    """MaskBench: our grammars beside llguidance's and llama.cpp's, right or wrong and how fast.

    DATA is a file of guidance-ai/jsonschemabench rows, `{id, set, schema, tests: [{valid, data}]}`, gzipped or not.
    Prints tables and, as its last line, all figures as JSON.

    \b
    edge-agent eval maskbench --data dev.jsonl.gz --every 100 --failures
    edge-agent eval maskbench --data dev.jsonl.gz --out rows.jsonl --llamacpp-every 10
    """
    from ..evals.maskbench import run

    figures = run(
        data=data, limit=limit, every=every, skip=skip, llamacpp_every=llamacpp_every, out=out, progress=render.progress
    )
    _report(figures, figures.pop("tables"), as_json, failures=failures)


@evals.command()
@FOLDER
@click.option("--optional", is_flag=True, help="The optional cases as well.")
@FAILURES
@render.json_option
def json_schema_suite(data: Path, optional: bool, failures: bool, as_json: bool) -> None:
    """The official JSON Schema test suite (draft 2020-12), keyword by keyword.

    DATA is a copy of json-schema-org/JSON-Schema-Test-Suite, with `tests` and `remotes` in it. Prints a table and, as
    its last line, all figures as JSON.

    \b
    edge-agent eval json-schema-suite --data JSON-Schema-Test-Suite --optional --failures
    """
    from ..evals.json_suite import run

    figures = run(data=data, optional=optional, progress=render.progress)
    _report(figures, figures.pop("tables"), as_json, failures=failures)


@evals.command()
@LINES
@click.option("--pairs", type=click.IntRange(0), default=1000, help="So many texts, judged by llama.cpp and by us.")
@SCHEMAS
@EVERY
@FAILURES
@render.json_option
@click.pass_context
def gbnf(
    ctx: click.Context, data: Path, pairs: int, limit: int | None, every: int, failures: bool, as_json: bool
) -> None:
    """Whether llama.cpp reads our GBNF, and takes by it what our matcher takes.

    DATA is as for `maskbench`. Prints tables and, as its last line, all figures as JSON. Exit code 1 when a grammar
    was refused or ended llama.cpp, or a text was judged differently.

    \b
    edge-agent eval gbnf --data dev.jsonl.gz --every 100 --pairs 50 --failures
    """
    from ..evals.gbnf import run

    figures = run(data=data, pairs=pairs, limit=limit, every=every, progress=render.progress)
    _report(figures, figures.pop("tables"), as_json, failures=failures)
    ctx.exit(int(figures["wrong"] > 0))


@evals.command()
@LINES
@click.option("--together", type=click.IntRange(1), default=25, help="So many tools in one grammar.")
@FAILURES
@render.json_option
@click.pass_context
def tool_schemas(ctx: click.Context, data: Path, together: int, failures: bool, as_json: bool) -> None:
    """Real tools, compiled one by one and then many as one grammar.

    DATA has a tool a line, `{name, parameters}`, gzipped or not. Prints tables and, as its last line, all figures as
    JSON. Exit code 1 when something failed.

    \b
    edge-agent eval tool-schemas --data tools.jsonl.gz --failures
    """
    from ..evals.tool_schemas import run

    figures = run(data=data, together=together, progress=render.progress)
    _report(figures, figures.pop("tables"), as_json, failures=failures)
    ctx.exit(int(figures["wrong"] > 0))


def suite_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every suite that asks a model; `_run_suite` takes them."""
    made = build.options(build.MODEL, build.DIALECT, build.NO_ADAPTER)(command)
    for option in reversed((FOLDER, CASES, CATEGORY, MATCHER, OUT, FAILURES, render.json_option)):
        made = option(made)
    return made


def suite_command(name: str, suite: str, about: str, *more: Callable[..., Any]) -> None:
    """Adds `edge-agent eval NAME`, which runs a suite over a model.

    suite: `module:Class` in `edge_agent.evals`. about: the help text. more: options, whose values the class gets as
    keywords when it is made.
    """

    def command(**given: Any) -> None:
        shared = {key: given.pop(key) for key in _RUN_SUITE if key in given}
        module, _, kind = suite.partition(":")
        _run_suite(getattr(import_module(f"edge_agent.evals.{module}"), kind)(**given), **shared)

    made = suite_options(command)
    for option in reversed(more):
        made = option(made)
    evals.command(name, help=about)(made)


def _run_suite(
    suite: Suite,
    *,
    options: build.Options,
    data: Path,
    limit: int | None,
    categories: tuple[str, ...],
    matcher: str | None,
    out: Path | None,
    failures: bool,
    as_json: bool,
) -> None:
    from dataclasses import replace

    from ..evals.suite import identify, run
    from ..predict import Predictor

    with build.make_agent(options) as agent:
        agent.settings = replace(agent.settings, matcher=matcher or agent.settings.matcher)
        figures = run(
            suite,
            Predictor(agent),
            data,
            limit=limit,
            out=out,
            categories=categories,
            identity=identify(agent),
            price_per_kwh=agent.settings.price_per_kwh,
            progress=render.progress,
        )
    _report(figures, figures.pop("tables"), as_json, failures=failures)


_RUN_SUITE = ("options", "data", "limit", "categories", "matcher", "out", "failures", "as_json")


def _report(
    figures: dict[str, Any], tables: Iterable[list[Mapping[str, Any]]], as_json: bool, *, failures: bool = False
) -> None:
    """Tables for people, then all figures in one line; for programs only that. Failures if wanted."""
    wrong = figures.pop("failures", [])
    if as_json and failures:
        figures["failures"] = wrong
    for rows in () if as_json else (*tables, wrong if failures else []):
        if rows:
            headings = list(rows[0])
            numbers = [name for name in headings[1:] if not isinstance(rows[0][name], str)]
            render.table(headings, [[_cell(value) for value in row.values()] for row in rows], right=numbers)
            click.echo()
    render.emit(figures)


def _cell(value: object) -> object:
    return f"{value:.3f}" if isinstance(value, float) else value


@evals.command()
@suite_options
@click.option("--conformance", is_flag=True, help="No model: how many of upstream's own verdicts our judge reproduces.")
@click.pass_context
def bfcl(ctx: click.Context, /, conformance: bool, **given: Any) -> None:
    """Berkeley Function Calling Leaderboard v4: single turn, Python.

    DATA is upstream's folder with BFCL_v4_….json and possible_answer in it, or the one above, where it is called bfcl.
    Prints tables and, as its last line, all figures as JSON. With --conformance the exit code is 1 when a verdict
    differs.

    \b
    edge-agent eval bfcl --data data --limit 20 --category simple --failures
    edge-agent eval bfcl --data data --conformance
    """
    from ..evals import bfcl

    if not conformance:
        _run_suite(bfcl.Bfcl(), **given)
        return
    figures = bfcl.conformance(given["data"])
    _report(figures, figures.pop("tables"), given["as_json"], failures=True)
    ctx.exit(int(figures["agree"] < figures["vectors"]))


@evals.command()
@click.argument("first", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("second", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@FAILURES
@render.json_option
def compare(first: Path, second: Path, failures: bool, as_json: bool) -> None:
    """What SECOND gains over FIRST, two --out files of one suite.

    Paired by case: difference with a 95% bootstrap interval, McNemar's exact p, time and energy as ratios. Prints
    tables and, as its last line, all figures as JSON.

    \b
    edge-agent eval compare before.jsonl after.jsonl --failures
    """
    from ..evals.compare import compare

    figures = compare(first, second)
    _report(figures, figures.pop("tables"), as_json, failures=failures)


@evals.command()
@FOLDER
@click.option(
    "--set", "sets", multiple=True, type=click.Choice(["seal-tools", "livemcp", "metatool"]), help="Only this one."
)
@click.option("--limit", type=click.IntRange(1), help="So many queries of each set, evenly spaced.")
@FAILURES
@render.json_option
def retrieval(data: Path, sets: tuple[str, ...], limit: int | None, failures: bool, as_json: bool) -> None:
    """Whether the tools that a sentence needs are ranked among the first; no model is asked.

    DATA is a folder with NAME.tools.jsonl.gz and NAME.queries.jsonl.gz of each set, or the one above, where it is
    called retrieval. Failures are queries of which a request would not keep every tool. Prints tables and, as its last
    line, all figures as JSON.

    \b
    edge-agent eval retrieval --data data --set metatool --failures
    """
    from ..evals.retrieval import run

    figures = run(data=data, sets=sets, limit=limit, progress=render.progress)
    _report(figures, figures.pop("tables"), as_json, failures=failures)


suite_command(
    "home-assistant",
    "home_assistant:HomeAssistant",
    """Commands to a home, as Home Assistant's own tests have them: the intent and its slots.

    DATA is a folder with sentences.jsonl.gz, intents.json and fixtures_en.json, or the one above, where it is called
    home-assistant. A category is an intent. Prints tables and, as its last line, all figures as JSON.

    \b
    edge-agent eval home-assistant --data data --category HassTurnOn --failures
    """,
)
suite_command(
    "when2call",
    "when2call:When2Call",
    """When2Call: whether to call, to ask, or to do neither.

    DATA is a folder with when2call.jsonl.gz, or the one above, where it is called gate. Categories: tool_call,
    request_for_info, cannot_answer. Prints tables and, as its last line, all figures as JSON.

    \b
    edge-agent eval when2call --data data --limit 20 --failures
    """,
)
suite_command(
    "clinc",
    "clinc:Clinc",
    """CLINC150: whether it is noticed that no tool fits.

    DATA is a folder with clinc.jsonl.gz, or the one above, where it is called gate. Categories: in_scope, oos. Prints
    tables and, as its last line, all figures as JSON.

    \b
    edge-agent eval clinc --data data --tools 5 --limit 200
    """,
    click.option("--tools", type=click.IntRange(1, 149), default=10, help="So many intents are shown with a request."),
)
suite_command(
    "nestful",
    "nestful:Nestful",
    """NESTFUL: plans, whose later calls use results of earlier ones.

    DATA is a folder with nestful.jsonl and the specifications beside it, or the one above, where it is called plans. A
    category is a specification. Prints tables and, as its last line, all figures as JSON.

    \b
    edge-agent eval nestful --data data --limit 10 --failures
    """,
)
