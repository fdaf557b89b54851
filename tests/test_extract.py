from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from agent_fixture import make_agent, prompts
from pydantic import BaseModel, Field, field_validator

from edge_agent.engine import Engine
from edge_agent.errors import InputError
from edge_agent.extract import extract


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int = Field(ge=0, le=150)
    role: Literal["guest", "host"] = "guest"


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


def test_text_becomes_a_model(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['{"name":"Ann Lee","age":41,"role":"host"}'], tools=[])
    assert extract("Ann Lee, 41, our host", Person, agent=agent) == Person(name="Ann Lee", age=41, role="host")
    (prompt,) = prompts(agent)
    assert "Ann Lee, 41, our host" in prompt
    assert "name, age, role" in prompt


def test_what_the_model_says_is_always_a_value_of_the_schema(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['{"name":"Ann","age":999,"role":"queen"}'], tools=[])
    person = extract("Ann", Person, agent=agent)
    assert 0 <= person.age <= 150


def test_what_the_grammar_cannot_hold_is_checked_afterwards(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['{"number":41}'], tools=[])
    with pytest.raises(InputError, match="Even: number: Value error, must be even"):
        extract("forty-one", Even, agent=agent)


def test_an_endless_answer_is_an_error(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['{"name":"' + "a" * 2000], tools=[])
    with pytest.raises(InputError, match="more than 1024 tokens"):
        extract("Ann", Person, agent=agent)


@pytest.mark.parametrize("text", ["", " \n ", "\ud800"])
def test_unusable_text_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        extract(text, Person, agent=make_agent(tmp_path, ["{}"], tools=[]))


def test_the_agent_goes_on_answering_requests(tmp_path: Path) -> None:
    agent = make_agent(tmp_path, ['{"number":2}', 'jot {"text":"milk"}', '{"number":4}'])
    assert extract("two", Even, agent=agent).number == 2
    assert agent.ask("jot down milk").answer == "Noted: milk."
    assert extract("four", Even, agent=agent).number == 4


@pytest.mark.model
def test_real_weights_write_valid_json(tmp_path: Path, engine: Engine) -> None:
    agent = make_agent(tmp_path, ["x"], tools=[])
    from edge_agent.decode import Session

    loaded = agent.loaded()
    loaded.engine, loaded.session = engine, Session(engine)
    person = extract("Ann Lee is 41 years old and our host tonight.", Person, agent=agent)
    assert isinstance(person, Person)
    assert person.age == 41
