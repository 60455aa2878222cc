"""What schemathesis makes of /openapi.json: replies are as described, and nothing is a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode, checks
from serving import Served, serving
from spy_upstream import SpyUpstream
from stub_pool import pool_file

OPERATIONS = [
    ("/v1/chat/completions", "POST"), ("/v1/models", "GET"), ("/v1/models/{name}", "GET"),
    ("/v1/feedback", "POST"), ("/healthz", "GET"), ("/readyz", "GET"),
    ("/v1/completions", "POST"), ("/v1/responses", "POST"), ("/v1/messages", "POST"),
]  # fmt: skip
WANTED: list[Any] = [
    checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance, checks.response_headers_conformance,
    checks.negative_data_rejection,
]  # fmt: skip
MODELS = ("rlfocal", "plain", "rlfocal:0", "rlfocal:0.5")
OUR_FAULT = {500, 502, 503}
"""Its members answer, so none of these is due; 504 is where it asks for a millisecond."""


@pytest.fixture(scope="module")
def described(trained_folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("described")
    with SpyUpstream(lambda _: "That is 7.") as spy:
        path = pool_file(folder, spy.base_url)
        with (
            serving(trained_folder, path, str(folder / "gateway.db")) as served,
            requests.Session() as session,
        ):
            schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
            yield served, schema, session


def _related(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turns as they must follow on each other, which no schema can say; the last one asks."""
    answered = [
        turn | ({"tool_call_id": "c"} if turn["role"] in ("tool", "function") else {})
        for turn in turns
    ]
    return [*answered, {"role": "user", "content": "3 + 4 ="}]


def _asks_for_what_nobody_says(case: Any) -> bool:
    """Made-up options, or a date: the members' reply is neither."""
    extension = case.body.get("rlfocal") if isinstance(case.body, dict) else None
    asked = extension if isinstance(extension, dict) else {}
    return bool(asked.get("choices") or asked.get("answers"))


def check(
    described: tuple[Served, Any, requests.Session], path: str, method: str,
    mode: GenerationMode, n_examples: int, start: int = 0,
) -> None:  # fmt: skip
    served, schema, session = described
    seen: Counter[int] = Counter()

    @seed(start)
    @settings(
        max_examples=n_examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        if path.endswith("completions") and mode is GenerationMode.POSITIVE:
            # Else a name that is made up is refused, and little but that.
            case.body["model"] = MODELS[sum(seen.values()) % len(MODELS)]
            if path == "/v1/chat/completions":
                case.body["messages"] = _related(case.body["messages"])
        reply = case.call(session=session, headers=served.headers, timeout=20)
        seen[reply.status_code] += 1
        if _asks_for_what_nobody_says(case) and reply.status_code == 502:
            assert reply.json()["error"]["code"] == "no_answer"
            return
        assert reply.status_code not in OUR_FAULT, reply.text
        # A body that is too large is refused, too, by a status that the check does not know.
        other = [c for c in WANTED if c is not checks.negative_data_rejection]
        case.validate_response(reply, checks=other if reply.status_code == 413 else WANTED)

    run()
    if mode is GenerationMode.POSITIVE and path in ("/v1/chat/completions", "/v1/models"):
        assert seen[200]
    assert served.gateway.places.n == 0


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_replies_are_as_described(described: Any, path: str, method: str) -> None:
    check(described, path, method, GenerationMode.POSITIVE, 40)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), [o for o in OPERATIONS if o[1] == "POST"])
def test_what_is_not_as_described_is_refused(described: Any, path: str, method: str) -> None:
    check(described, path, method, GenerationMode.NEGATIVE, 40)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), [o for o in OPERATIONS if o[1] == "POST"])
def test_many_more_of_both(described: Any, path: str, method: str, mode: GenerationMode) -> None:
    check(described, path, method, mode, 400, start=1)
