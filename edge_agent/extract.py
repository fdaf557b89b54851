"""Text to a pydantic model: the model's JSON Schema becomes the grammar, so the result is always valid JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from .errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .agent import Agent

    Extracted = TypeVar("Extracted", bound=BaseModel)


def extract(text: str, model: type[Extracted], *, agent: Agent | None = None) -> Extracted:
    """Reads `text` into `model`: `extract("Ann Lee, 41, from Leeds", Person)`.

    Constraints that the grammar cannot hold are checked afterwards; raises InputError naming the field. An
    `agent` given keeps its model loaded; without one the model is loaded and freed (about half a second).
    """
    from pydantic import ValidationError

    from .agent import Agent
    from .config import clean_text
    from .decode import decode
    from .dialects.base import Message
    from .grammar import compile_schema
    from .tools import clean_schema

    own = agent or Agent(tools=())
    schema = clean_schema(model.model_json_schema())
    fields = ", ".join(schema.get("properties", {}))
    try:
        question = Message("user", f"{clean_text(text)}\n\nWrite this as JSON with: {fields}.")
        grammar = compile_schema(schema, name=model.__name__, call=True).grammar
        with own._lock:  # the sequence is shared with the agent's requests
            loaded = own.loaded()
            prompt = loaded.dialect.render([question], []).text
            logits, _ = loaded.session.prefill(loaded.engine.tokenize(prompt))
            decoding = decode(loaded.session, logits, grammar, max_tokens=1024)
        if not decoding.ended:
            raise InputError(f"{model.__name__}: the text needs more than 1024 tokens of JSON")
        return model.model_validate_json(decoding.text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "value"
        raise InputError(f"{model.__name__}: {where}: {first['msg']}") from error
    finally:
        if agent is None:
            own.close()
