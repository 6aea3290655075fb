"""An assistant whose prompt, model and temperature are a flag's value, and whose answers are
measured.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from examples.wsgi import Application, application
from experiments.core.types import FlagType
from experiments.sdk import AssayClient

FLAG = "assistant"
DEFAULTS: dict[str, Any] = {
    "model": "small-1",
    "temperature": 0.2,
    "prompt": "Answer in one sentence.",
}
FALLBACK = "Sorry, I cannot answer that now. A person will write to you."
MICROS_PER_TOKEN = {"small-1": 2, "large-1": 15}


@dataclass(frozen=True)
class Completion:
    """What a model came back with."""

    text: str
    tokens_in: int
    tokens_out: int


Model = Callable[[str, str, str, float], Completion]
"""(model, prompt, question, temperature) → completion; raises when the provider fails."""


def assistant(assay: AssayClient, model: Model) -> Application:
    """``POST /ask`` {user, question} and ``POST /feedback`` {user, request_id, label, experiment,
    variant}.
    """

    def ask(body: dict[str, Any]) -> tuple[int, object]:
        user, request_id = body["user"], uuid.uuid4().hex
        found = assay.evaluate(FLAG, FlagType.OBJECT, DEFAULTS, user)
        config = {**DEFAULTS, **found.value}
        stamp = (
            {"experiment": found.experiment, "variant": found.variant}
            if found.variant is not None
            else {}
        )
        started = time.perf_counter()
        try:
            completion = model(
                config["model"], config["prompt"], body["question"], config["temperature"]
            )
        except OSError as error:
            _tell(
                assay,
                user,
                request_id,
                "ai_fallback",
                started,
                stamp,
                {"error": type(error).__name__},
            )
            return 200, {"answer": FALLBACK, "request_id": request_id, **stamp}
        cost = _cost(config["model"], completion)
        _tell(
            assay, user, request_id, "ai_request", started, stamp, {"model": config["model"]}, cost
        )
        tokens = {"tokens_in": completion.tokens_in, "tokens_out": completion.tokens_out}
        assay.tell("costs", request_id=request_id, model=config["model"], cost_micro=cost, **tokens)
        return 200, {"answer": completion.text, "request_id": request_id, **stamp}

    def feedback(body: dict[str, Any]) -> tuple[int, object]:
        stamp = {name: body[name] for name in ("experiment", "variant") if body.get(name)}
        return 200, {
            "taken": assay.tell(
                "feedback",
                body["user"],
                label=body["label"],
                request_id=body["request_id"],
                **stamp,
            )
        }

    return application({("POST", "/ask"): ask, ("POST", "/feedback"): feedback})


def _tell(
    assay: AssayClient,
    user: str,
    request_id: str,
    event_type: str,
    started: float,
    stamp: dict[str, str | None],
    payload: dict[str, str],
    cost: int | None = None,
) -> None:
    latency = round((time.perf_counter() - started) * 1000)
    spent = {} if cost is None else {"cost_micro": cost}
    assay.track(
        event_type,
        user,
        request_id=request_id,
        latency_ms=latency,
        payload=payload,
        **stamp,
        **spent,
    )


def _cost(model: str, completion: Completion) -> int:
    return MICROS_PER_TOKEN.get(model, 10) * (completion.tokens_in + completion.tokens_out)


def echo(model: str, prompt: str, question: str, temperature: float) -> Completion:
    """A stand-in for a provider: the size of its answer depends on the model, so that variants
    differ.
    """
    words = f"[{model}] {question}" + " indeed" * (8 if model.startswith("large") else 2)
    return Completion(words, len(prompt.split()) + len(question.split()), len(words.split()))
