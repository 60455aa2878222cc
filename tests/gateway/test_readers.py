"""Members that read one another behind the gateway: in the ensemble, and asked by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from browsing import OVERFLOW, Tab, browsing
from reading_pool import pool_file, says, trained
from serving import Served, serving, until

from rlfocal.checkpoint import load_checkpoint
from rlfocal.gateway.judged.judged_data import judged_dataset
from rlfocal.online.episodes import Episode
from rlfocal.pool.stub import Fault, Said, StubServer, StubThread, prompt_of

Ask = Callable[..., Any]
QUESTION = "3 + 4 ="
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


@contextmanager
def served(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    strategy: str = "plurality",
    *,
    settings: Mapping[str, Any] | None = None,
    answer: Callable[[Mapping[str, Any]], Any] = says,
    faults: Iterable[Fault | None] = (),
    priced: bool = True,
    folder: Path | None = None,
    **limits: Any,
) -> Iterator[tuple[Served, StubServer]]:
    folder = folder or trained(tmp_path_factory, strategy, settings)
    with StubThread(StubServer(answer, faults=faults)) as upstream:
        path = pool_file(tmp_path, upstream.base_url)
        models = set(re.findall(r'model = "(\w+)"', path.read_text()))
        prices = "".join(f'\n[prices."{m}"]\nprompt = 1.0\ncompletion = 2.0\n' for m in models)
        path.write_text(path.read_text() + prices * priced)
        with serving(folder, path, str(tmp_path / "gateway.db"), **limits) as found:
            yield found, upstream


def client(found: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{found.url}/v1", api_key=found.key, max_retries=0)


def models_asked(upstream: StubServer) -> list[str]:
    return sorted(str(body["model"]) for body in upstream.bodies)


def test_the_ensemble_asks_in_stages_and_tells_who_read_whom(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask
) -> None:
    with served(tmp_path, tmp_path_factory) as (found, _):
        reply = ask(found, QUESTION, extension={"explain": True}).json()["rlfocal"]
        assert reply["n_rounds"] > 1
        judge = next(one for one in reply["members"] if one["member"] == "judge")
        assert sorted(judge["read"][0]) == ["letters", "plain", "sampled"]
        assert judge["read"][1] == judge["read"][0][::-1]
        assert len(judge["verdict"]) == 2
        assert not any("read" in one for one in reply["members"] if one["member"] == "plain")
        assert reply["trace"]["readers"]["judge"]["reading"] == "judge"
        row = _row(found)
        assert row.n_rounds == reply["n_rounds"]
        kept = [call for part in row.trace["rounds"] for call in part["asked"]]
        assert next(c for c in kept if c["member"] == "judge")["read"] == judge["read"]
        assert not any("text" in call for call in kept)
        assert "That is 7" not in str(row.trace)
        text = ask_metrics(found)
        assert 'rlfocal_calls_total{member="judge",outcome="reply"} 1.0' in text
        assert 'rlfocal_usd_total{member="judge"}' in text


def test_a_reader_is_asked_by_its_name_after_those_it_reads(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with served(tmp_path, tmp_path_factory) as (found, upstream):
        reply = client(found).chat.completions.create(
            model="top", messages=[{"role": "user", "content": QUESTION}]
        )
        assert models_asked(upstream) == ["judge", "letters", "plain", "sampled", "top"]
        last = upstream.bodies[-1]
        assert str(last["model"]) == "top"
        assert prompt_of(last).count("Reply ") >= 2
        told = reply.model_extra["rlfocal"]
        assert told["n_calls"] == 5
        assert told["n_rounds"] == 3
        assert told["cost_usd"] == pytest.approx(sum(m["cost_usd"] for m in told["members"]))
        assert sorted(told["members"][-1]["read"][0]) == ["judge", "plain"]
        assert reply.choices[0].message.content == says(last).text
        assert reply.usage.total_tokens > 0
        listed = {model.id: model for model in client(found).models.list()}
        assert listed["top"].model_extra["rlfocal"] == {
            "reads": ["judge", "plain"], "reading": "aggregate", "n_calls": 5,
        }  # fmt: skip
        assert "rlfocal" not in (listed["plain"].model_extra or {})


def test_a_judge_asked_by_its_name_gives_the_reply_that_it_names(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        if body["model"] == "judge":
            return Said("Reply 1.")
        return Said(f"I am {body['model']}.")

    with served(tmp_path, tmp_path_factory, answer=answer) as (found, _):
        asked = client(found).chat.completions.create(
            model="judge", messages=[{"role": "user", "content": QUESTION}], n=2
        )
        one, two = [choice.message.content for choice in asked.choices]
        assert one != two  # the first of an order, and of that order reversed
        call = asked.model_extra["rlfocal"]["members"][-2:]
        assert [f"I am {c['verdict'][0]}." for c in call] == [one, two]
        assert call[0]["read"][0] == call[1]["read"][0][::-1]


def test_a_reader_alone_streams_and_those_it_reads_do_not(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with served(tmp_path, tmp_path_factory) as (found, upstream):
        pieces = client(found).chat.completions.create(
            model="top", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        said = [piece.choices[0].delta.content or "" for piece in pieces if piece.choices]
        assert "".join(said) == says(upstream.bodies[-1]).text
        streams = [body["model"] for body in upstream.bodies if body.get("stream")]
        assert streams == ["top"]


def test_the_ensemble_streams_a_reader_that_is_last(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = trained(tmp_path_factory, "best-single")
    with served(tmp_path, tmp_path_factory, folder=folder) as (found, upstream):
        pieces = list(
            client(found).chat.completions.create(
                model="rlfocal", messages=[{"role": "user", "content": QUESTION}], stream=True
            )
        )
        said = [piece.choices[0].delta.content or "" for piece in pieces if piece.choices]
        streams = [body["model"] for body in upstream.bodies if body.get("stream")]
        assert streams == [upstream.bodies[-1]["model"]]
        assert len(upstream.bodies) > 1
        assert "".join(said) == says(upstream.bodies[-1]).text


def test_tools_reach_a_reader_and_those_it_reads(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with served(tmp_path, tmp_path_factory) as (found, upstream):
        asked = client(found).chat.completions.create(
            model="mend", messages=[{"role": "user", "content": QUESTION}], tools=TOOLS
        )
        assert models_asked(upstream) == ["critic", "mend", "plain"]
        assert all(body["tools"] for body in upstream.bodies)
        assert asked.choices[0].message.content == says(upstream.bodies[-1]).text
        whole = client(found).chat.completions.create(
            model="rlfocal", messages=[{"role": "user", "content": QUESTION}], tools=TOOLS
        )
        assert whole.choices[0].message.content


def test_where_nobody_has_replied_a_reader_is_not_asked(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask
) -> None:
    with served(tmp_path, tmp_path_factory, faults=[Fault("500")] * 2) as (found, upstream):
        reply = ask(found, QUESTION, model="critic")
        assert reply.status_code == 502
        assert reply.json()["error"]["code"] == "member_server_error"
        assert "'plain'" in reply.json()["error"]["message"]
        assert models_asked(upstream) == ["plain"]
        until(lambda: _row(found).trace is not None)
        assert _row(found).trace["nothing_to_read"] == ["critic"]


def test_an_input_that_failed_is_absent(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask
) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        return Said("") if body["model"] in ("letters", "sampled") else says(body)

    with served(tmp_path, tmp_path_factory, answer=answer) as (found, upstream):
        reply = ask(found, QUESTION, model="judge")
        assert reply.status_code == 200, reply.text
        assert reply.json()["rlfocal"]["members"][-1]["read"] == [["plain"]]
        assert "No reply came from 2" in prompt_of(upstream.bodies[-1])


def test_the_bound_of_a_reader_counts_those_it_reads(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask
) -> None:
    with served(tmp_path, tmp_path_factory) as (found, upstream):
        low = ask(found, QUESTION, model="top", extension={"max_usd": 0.003})
        assert low.status_code == 400
        assert low.json()["error"]["code"] == "max_usd_too_low"
        assert not upstream.bodies
        key = found.add_key("team", usd=1.0)
        paid = ask(found, QUESTION, model="top", key=key)
        assert paid.status_code == 200
        assert 0 < paid.json()["rlfocal"]["cost_usd"] < 0.003
        assert ask(found, QUESTION, key=key).status_code == 200  # the ensemble, under a budget


def test_the_deadline_is_shared_by_the_stages(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask
) -> None:
    with served(tmp_path, tmp_path_factory, faults=[Fault("hang")]) as (found, upstream):
        reply = ask(found, QUESTION, model="top", extension={"deadline_ms": 6000})
        assert reply.status_code == 200, reply.text
        told = reply.json()["rlfocal"]
        assert [one["member"] for one in told["members"] if "failure" in one] != []
        assert told["members"][-1]["member"] == "top"
        assert upstream.bodies[-1]["model"] == "top"


def test_a_pool_whose_readers_changed_is_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from rlfocal.errors import ConfigError

    folder = trained(tmp_path_factory, "plurality")
    path = pool_file(tmp_path, "http://127.0.0.1:9/v1")
    path.write_text(path.read_text().replace('reads = ["second"]', 'reads = ["plain"]'))
    told = "member 'check' read second .as verify. in training, and reads plain"
    with pytest.raises(ConfigError, match=told), serving(folder, path, str(tmp_path / "g.db")):
        pass


def test_judged_requests_can_be_trained_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask
) -> None:
    import httpx2

    with served(tmp_path, tmp_path_factory, keep_prompts=True) as (found, _):
        for k in range(4):
            reply = ask(found, f"{k} + 4 =").json()
            httpx2.post(
                f"{found.url}/v1/feedback", headers=found.headers, timeout=60,
                json={"id": reply["id"], "answer": str(k + 4)},
            )  # fmt: skip
        data = judged_dataset(found.store, name="judged")
        assert set(data.info.readers["judge"].reads) == {"plain", "letters", "sampled"}
        table = load_checkpoint(trained(tmp_path_factory, "plurality")).table(data)
        assert table.reads is not None
        rows = data.responses.to_pylist()
        # Of several samples nobody kept which of them the answer is.
        assert [row["shown"] for row in rows if row["member"] == "judge"] == [None] * 4
        checked = [row for row in rows if row["member"] == "check"]
        assert checked  # where the others have settled it, it is not asked
        assert all(row["shown"] == [["second"]] for row in checked)
        assert all(row["verdicts"] in ([0], [-1]) for row in checked)


@pytest.mark.slow
def test_exploring_asks_readers_after_those_they_read(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask
) -> None:
    with served(tmp_path, tmp_path_factory, "rl-focal", explore=0.5) as (found, _):
        for k in range(30):
            assert ask(found, f"{k} + 4 =").status_code == 200
        until(lambda: len(_rows(found)) == 30)
        episodes = [Episode.of_json(row.episode) for row in _rows(found) if row.episode]
        assert episodes
        for episode in episodes:
            assert episode.states.ready is not None
            again = Episode.of_json(episode.as_json())
            assert (again.states.ready == episode.states.ready).all()
            reads = found.gateway.checkpoint.description.reads
            assert (reads.ready(episode.states.asked) == episode.states.ready).all()


def ask_metrics(found: Served) -> str:
    import httpx2

    return httpx2.get(f"{found.url}/metrics", headers=found.headers, timeout=60).text


def _rows(found: Served) -> list[Any]:
    from rlfocal.gateway.store.schema import requests

    with found.store.connections.read() as connection:
        ids = [row.id for row in connection.execute(requests.select()).all()]
        return [found.store.log.request(connection, one) for one in ids]


def _row(found: Served) -> Any:
    until(lambda: bool(_rows(found)))
    return _rows(found)[-1]


@pytest.mark.slow
@pytest.mark.chromium
def test_the_page_of_a_request_says_who_read_whom(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, ask: Ask, chromium: str
) -> None:
    with served(tmp_path, tmp_path_factory) as (found, _), browsing(chromium) as browser:
        tab = Tab(browser, found)
        reply = ask(found, QUESTION).json()
        until(lambda: bool(_rows(found)))
        page = tab.open(f"/requests/{reply['id']}", ".round")
        judge = next(one for one in reply["rlfocal"]["members"] if one["member"] == "judge")
        told = page.inner_text("#round-list")
        assert f"read {', '.join(judge['read'][0])} (named" in told
        assert "plain: read" not in told
        assert page.locator(".round").count() == reply["rlfocal"]["n_rounds"]
        assert page.evaluate(OVERFLOW) <= 0
