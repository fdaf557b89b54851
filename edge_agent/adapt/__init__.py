"""Adaptation: a small LoRA that teaches a model to call tools in the runtime's own words.

`rows` are sentences with their right answers; `compose` shows them among other tools; `encode` turns them into the
very tokens the runtime would send; `train` learns, `export` writes an adapter that llama.cpp loads. Needs the
extra `[adapt]` (torch, transformers, peft) only where it trains.
"""
