"""What deploy/ holds is what the programs that read it accept, and names only what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from tools import package, passes

from rlfocal.cli.main import app
from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.metrics import Gauges, Metrics
from rlfocal.gateway.settings import GatewaySettings, read_settings
from rlfocal.gateway.store.keyfile import read_key_file
from rlfocal.gateway.store.keys import make_plaintext
from rlfocal.pool.settings import read_pool
from rlfocal.settings import read_toml

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
YAML = sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")])
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "rlfocal.json"
SPARE_S = 15
KUBERNETES = "1.31"


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def manifests() -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text("kubernetes/gateway.yaml")) if one]


def deployment() -> dict[str, Any]:
    (found,) = [one for one in manifests() if one["kind"] == "Deployment"]
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    return pod


def expressions() -> list[str]:
    groups = yaml.safe_load(text("prometheus/rules.yml"))["groups"]
    found = [rule["expr"] for group in groups for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    return found + [expr.replace("$__rate_interval", "5m") for expr in shown]


def exported() -> dict[str, set[str]]:
    """Sample → its labels, of a gateway that has served a request."""

    class Chat:
        member = "m"

    gauges = Gauges(0, 0, 0, 0, {"m": "open"})
    metrics = Metrics(lambda: gauges)
    metrics.refused.labels("x").inc()
    trace = Trace(strategy="s", members=("m",), kind="open", stopped="")
    metrics.ended(Chat(), trace, 200, None, 0.1)  # type: ignore[arg-type]
    metrics._of_call("m", "reply").inc()
    metrics._of_member("m").inc()
    found: dict[str, set[str]] = {}
    for line in metrics.text().decode().splitlines():
        if line.startswith("#") or not line.startswith("rlfocal_"):
            continue
        name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()  # type: ignore[union-attr]
        known = found.setdefault(name, {"job", "instance"})
        known |= set(re.findall(r'(\w+)="', labels or ""))
    return found


@pytest.fixture
def all_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio.all_tasks", set)  # no event loop runs here


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_yaml_is_tidy(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    assert documents
    assert all(documents)
    rules = "{extends: relaxed, rules: {line-length: {max: 110}}}"
    passes("yamllint", "--strict", "-d", rules, path)


@pytest.mark.usefixtures("all_tasks")
def test_rules_and_dashboard_name_metrics_that_a_gateway_exports() -> None:
    known = exported()
    for expr in expressions():
        named = set(re.findall(r"\brlfocal_\w+", expr))
        assert named <= known.keys(), expr
        assert named or "up{" in expr, expr
    # And nothing that it exports is shown nowhere, but for the moments at which counters began.
    shown = set(re.findall(r"\brlfocal_\w+", " ".join(expressions())))
    family = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in known}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == {
        name for name in family if f"{name}_total" not in family
    }


@pytest.mark.usefixtures("all_tasks")
def test_and_labels_that_those_metrics_have() -> None:
    promql = package("promql_parser")
    known = exported() | {"up": {"job", "instance"}}
    for expr in expressions():
        promql.parse(expr)
        selected = re.findall(r"(\w+)\{([^}]*)\}", expr)
        for name, matchers in selected:
            assert set(re.findall(r'(\w+)\s*[=!]~?"', matchers)) <= known[name], expr
        grouped = {word for by in re.findall(r"by \(([^)]*)\)", expr) for word in by.split(", ")}
        labels = set().union(*(known[name] for name in known if name in expr)) | {"le"}
        assert grouped <= labels, expr


def test_what_a_panel_shows_by_is_what_is_left_of_the_labels() -> None:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            by = re.search(r"by \(([^)]*)\)", target["expr"])
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            if by is not None:
                assert shown <= set(by[1].split(", ")), target
            elif shown:
                assert shown == {"instance"}
                assert not target["expr"].startswith(("sum", "max", "min")), target


def test_panels_have_places_of_their_own() -> None:
    found = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in found["panels"]}
    assert len(places) == len({p["id"] for p in found["panels"]}) == len(found["panels"])
    source = yaml.safe_load(text("grafana/provisioning/datasources/prometheus.yml"))
    assert {p["datasource"]["uid"] for p in found["panels"]} == {source["datasources"][0]["uid"]}


def test_prometheus_takes_rules_and_configuration(tmp_path: Path) -> None:
    passes("promtool", "test", "rules", DEPLOY / "prometheus" / "rules.test.yml")
    (tmp_path / "key").write_text("x")
    (tmp_path / "rules.yml").write_text(text("prometheus/rules.yml"))
    config = text("prometheus/prometheus.yml").replace("/run/secrets/metrics_key", "key")
    (tmp_path / "p.yml").write_text(config.replace("/etc/prometheus/", ""))
    assert "11 rules found" in passes("promtool", "check", "config", "p.yml", cwd=tmp_path)


def test_alerts_say_what_to_do() -> None:
    for group in yaml.safe_load(text("prometheus/rules.yml"))["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"].keys() == {"summary", "description"}


def test_haproxy_takes_its_configuration() -> None:
    passes("haproxy", "-c", "-f", DEPLOY / "balancer" / "haproxy.cfg")


def test_docker_takes_the_image_s_recipe() -> None:
    passes("hadolint", DEPLOY / "Dockerfile")
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text("Dockerfile"), re.M):
        kept = text("Dockerfile.dockerignore").splitlines()
        for word in source.split():
            assert (ROOT / word).exists()
            assert any(line == f"!{word}" or word in line for line in kept), word


def test_compose_takes_its_file() -> None:
    spec = package("compose_spec")
    found = spec.PyCompose.from_json(json.dumps(yaml.safe_load(text("compose.yaml")))).to_spec()
    assert found.services.keys() == {
        "gateway-1", "gateway-2", "balancer", "postgres", "prometheus", "grafana",
    }  # fmt: skip


def test_every_file_that_compose_mounts_is_there_and_every_image_pinned() -> None:
    found = yaml.safe_load(text("compose.yaml"))
    for service in found["services"].values():
        assert not service["image"].endswith(":latest")
        assert ":" in service["image"]
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            assert source in found["volumes"] or (DEPLOY / source).exists(), mount
    asked = set(re.findall(r"\$\{(\w+)", text("compose.yaml")))
    assert asked == set(re.findall(r"^(\w+)=", text("example.env"), re.M))


def test_manifests_are_what_kubernetes_knows() -> None:
    kubernetes = package("kubernetes_validate")
    for one in manifests():
        kubernetes.validate(one, KUBERNETES, strict=True)


def test_kustomize_puts_them_together() -> None:
    made = [one for one in yaml.safe_load_all(passes("kubectl", "kustomize", DEPLOY)) if one]
    assert {one["metadata"]["namespace"] for one in made} == {"rlfocal"}
    (config,) = [one for one in made if one["kind"] == "ConfigMap"]
    assert config["data"].keys() == {"pool.toml", "limits.toml", "keys.toml"}
    (gateway,) = [one for one in made if one["kind"] == "Deployment"]
    pod = gateway["spec"]["template"]["spec"]
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    kubernetes = package("kubernetes_validate")
    for one in made:
        kubernetes.validate(one, KUBERNETES, strict=True)


def commands() -> Iterator[list[str]]:
    (told,) = re.findall(r"^CMD (\[.*?\])", text("Dockerfile").replace("\\\n", ""), re.M | re.S)
    yield json.loads(told)
    (container,) = deployment()["containers"]
    yield container["args"]


@pytest.mark.parametrize("words", list(commands()), ids=["image", "kubernetes"])
def test_flags_and_files_are_there(words: list[str]) -> None:
    verb = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
    known = {option for parameter in verb.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known
    for path in re.findall(r"/etc/rlfocal/(\S+)", " ".join(words)):
        assert (DEPLOY / "config" / path).exists()


def test_variables_are_those_that_something_reads() -> None:
    verb = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    read = {parameter.envvar for parameter in verb.params if parameter.envvar}
    for name in ("pool.toml", "keys.toml"):
        read |= set(re.findall(r'key_env = "(\w+)"', text(f"config/{name}")))
    composed = yaml.safe_load(text("compose.yaml"))
    assert set(composed["x-gateway"]["environment"]) == read
    (container,) = deployment()["containers"]
    assert {variable["name"] for variable in container["env"]} == read


def test_configuration_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    config = DEPLOY / "config"
    monkeypatch.setenv("RLFOCAL_KEY_METRICS", make_plaintext())
    pool = read_pool(config / "pool.toml")
    assert all(pool.price_of(m.endpoint, m.model) for m in pool.members)
    (key,) = read_key_file(config / "keys.toml")
    assert key.key.admin
    assert read_settings(config / "limits.toml").notice_s > 0


def test_whoever_ends_a_gateway_waits_until_it_has_ended() -> None:
    limits = read_settings(DEPLOY / "config" / "limits.toml")
    assert limits.drain_s >= limits.most_deadline_s
    wanted = limits.notice_s + limits.drain_s + SPARE_S
    assert deployment()["terminationGracePeriodSeconds"] == wanted
    composed = yaml.safe_load(text("compose.yaml"))
    assert composed["x-gateway"]["stop_grace_period"] == f"{wanted:g}s"
    # It is noticed in time, and a reply is waited for as long as it may take.
    probe = deployment()["containers"][0]["readinessProbe"]
    noticed_s = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert noticed_s < limits.notice_s
    for timeout in re.findall(r"timeout (?:client|server) (\d+)s", text("balancer/haproxy.cfg")):
        assert int(timeout) > limits.most_deadline_s
    in_flight = read_toml(DEPLOY / "config" / "limits.toml").get("in_flight")
    assert f"of {in_flight or GatewaySettings().in_flight}" in text("prometheus/rules.yml")
