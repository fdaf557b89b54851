"""What runs a model. `base.Engine` is the seam; `llama` is llama.cpp in-process, `scripted` answers for tests."""

from .base import Engine, EngineInfo, open_engine

__all__ = ["Engine", "EngineInfo", "open_engine"]
