"""`pool.toml`: which LLMs there are, how each is asked, what it costs, who reads whom.

Keys never stand in it: it names an environment variable or a file that holds one. Knows names and
ranges only; `prompting` turns a question into messages, `building` turns settings into endpoints.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlfocal.errors import ConfigError, nearest
from rlfocal.pool.endpoints import KINDS, BlendSettings, EndpointSettings, LlamaCppSettings
from rlfocal.pool.member import OWN_SAMPLERS, MemberSettings
from rlfocal.pool.mistakes import kind_hint, misplaced
from rlfocal.pool.own_signals import OwnSignals
from rlfocal.pool.prices import PriceSettings, read_price, remark_prices
from rlfocal.pool.reading.checks import check_reads, check_room, with_first
from rlfocal.pool.reading.panels import with_panels
from rlfocal.pool.servers import OpenAISettings, no_inline_key
from rlfocal.settings import Settings, read_toml

__all__ = ["PoolSettings", "read_pool"]

_TABLES = ("endpoints", "members", "panels", "prices", "signals")
_MOST_LOGPROBS = 1000
"""First tokens that llama.cpp tells of where a member does not say how many: option letters are
seldom beyond them, and a reply takes 60 kB."""


class PoolSettings(Settings):
    """A whole pool, checked."""

    endpoints: Mapping[str, EndpointSettings]
    members: tuple[MemberSettings, ...]
    prices: Mapping[str, PriceSettings] = {}
    """By model, or by "ENDPOINT/MODEL", which counts before that."""
    signals: Mapping[str, str] = {}
    """The user's own numbers about replies: name → "module:function"."""
    signals_folder: Path | None = None
    """In which their modules may lie."""

    def price_of(self, endpoint: str, model: str) -> PriceSettings | None:
        """What a model costs at an endpoint; None where nobody has told.

        Args:
            endpoint: its name.
            model: as the server calls it.
        """
        return self.prices.get(f"{endpoint}/{model}") or self.prices.get(model)

    def endpoint_of(self, member: MemberSettings) -> EndpointSettings:
        """The endpoint that serves a member."""
        return self.endpoints[member.endpoint]

    def select(self, names: Sequence[str] | None) -> tuple[MemberSettings, ...]:
        """Some of the members, in the pool's order; None for all.

        Raises:
            ConfigError: a name is unknown.
        """
        known = [member.name for member in self.members]
        for name in names or ():
            if name not in known:
                raise ConfigError(f"unknown member '{name}'; {nearest(name, known)}")
        return tuple(m for m in self.members if names is None or m.name in names)


def read_pool(path: Path) -> PoolSettings:
    """Read a pool file.

    Args:
        path: a TOML file with [endpoints.NAME] tables, [[members]] and perhaps [[panels]],
            [prices."MODEL"] or [prices."ENDPOINT/MODEL"], and [signals].

    Returns:
        The pool; paths in it are relative to the file.

    Raises:
        ConfigError: it cannot be read, a key is unknown or missing, a value out of range, a member
            names an unknown endpoint, two have one name, one reads itself or who is not there or
            more than its model can, or a signal's function is not there.
    """
    found = read_toml(path)
    for name in found:
        if name not in _TABLES:
            raise ConfigError(f"{path}: unknown key '{name}'; {nearest(name, _TABLES)}")
    endpoints = {
        name: _endpoint(values, where=f"{path}: endpoints.{name}", base=path.parent)
        for name, values in _tables(found, "endpoints", path).items()
    }
    endpoints = {
        name: _with_files(served, endpoints, where=f"{path}: endpoints.{name}")
        for name, served in endpoints.items()
    }
    prices = {
        model: read_price(model, values, str(path), endpoints)
        for model, values in _tables(found, "prices", path).items()
    }
    raw = found.get("members", [])
    if not isinstance(raw, list) or not raw or not all(isinstance(m, dict) for m in raw):
        raise ConfigError(f"{path}: no members; add a [[members]] table for each LLM")
    members = tuple(
        _member(
            values,
            endpoints,
            where=f"{path}: member {number} ({values.get('name', 'no name')})",
            base=path.parent,
        )
        for number, values in enumerate(raw, start=1)
    )
    panels = found.get("panels", [])
    if not isinstance(panels, list) or not all(isinstance(panel, dict) for panel in panels):
        raise ConfigError(f"{path}: 'panels' should be tables: [[panels]]")
    members = with_first(members)
    names = [member.name for member in members]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: two members are called '{name}'; rename one")
    members = with_panels(members, panels, where=str(path))
    check_reads(members, where=str(path))
    check_room(members, endpoints, where=str(path))
    remark_prices(prices, [(m.endpoint, m.model) for m in members], where=str(path))
    signals = found.get("signals", {})
    if not isinstance(signals, dict):
        raise ConfigError(f"{path}: 'signals' should be a table: [signals]")
    OwnSignals.load(signals, source=str(path), folder=path.parent)  # they are there, or it says so
    return PoolSettings(
        endpoints=endpoints, members=members, prices=prices,
        signals=signals, signals_folder=path.parent,
    )  # fmt: skip


def _tables(found: dict[str, Any], name: str, path: Path) -> dict[str, dict[str, Any]]:
    tables = found.get(name, {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise ConfigError(f"{path}: '{name}' should hold tables, such as [{name}.example]")
    return tables


def _endpoint(values: dict[str, Any], *, where: str, base: Path) -> EndpointSettings:
    no_inline_key(values, where)
    kind = values.get("kind", "openai")
    if not isinstance(kind, str) or kind not in KINDS:
        hint = kind_hint(kind) or nearest(str(kind), KINDS)
        raise ConfigError(f"{where}: kind = {kind!r}: {hint}")
    for name in ("path", "key_file", "policy"):
        if isinstance(values.get(name), str):
            values = {**values, name: base / Path(values[name]).expanduser()}
    _in_its_place(values, KINDS[kind], where, (MemberSettings, "members"))
    return KINDS[kind].of(values, source=where)


def _with_files(
    served: EndpointSettings, endpoints: Mapping[str, EndpointSettings], *, where: str
) -> EndpointSettings:
    """A blend with the endpoints that it names; any other as it is."""
    if not isinstance(served, BlendSettings):
        return served
    if "files" in served.model_fields_set:
        raise ConfigError(f"{where}: unknown key 'files'; name endpoints in 'parts'")
    files = {}
    for name in (*served.parts, *([served.verifier] if served.verifier is not None else [])):
        part = endpoints.get(name)
        local = [other for other, found in endpoints.items() if isinstance(found, LlamaCppSettings)]
        if not isinstance(part, LlamaCppSettings):
            what = "unknown endpoint" if part is None else "no llama-cpp endpoint:"
            raise ConfigError(f"{where}: {what} '{name}'; {nearest(name, local)}")
        files[name] = part
    return served.model_copy(update={"files": files})


def _in_its_place(
    values: Mapping[str, Any],
    settings: type[Settings],
    where: str,
    other: tuple[type[Settings], str],
) -> None:
    """Say of a setting that stands in the wrong table where it belongs."""
    for name in values:
        typed = difflib.get_close_matches(name, settings.model_fields, n=1, cutoff=0.8)
        if name not in settings.model_fields and not typed:
            said = misplaced(name, elsewhere=other[0].model_fields, place=other[1])
            if said is not None:
                raise ConfigError(f"{where}: unknown key '{name}'; it {said}")


def _member(
    values: dict[str, Any],
    endpoints: Mapping[str, EndpointSettings],
    *,
    where: str,
    base: Path,
) -> MemberSettings:
    no_inline_key(values, where)
    if "shots_file" in values:
        values = _with_shots(values, where=where, base=base)
    _in_its_place(values, MemberSettings, where, (OpenAISettings, "endpoints"))
    member = MemberSettings.of(values, source=where)
    if member.endpoint not in endpoints:
        raise ConfigError(
            f"{where}: unknown endpoint '{member.endpoint}'; {nearest(member.endpoint, endpoints)}"
        )
    member.over(endpoints[member.endpoint], source=where)  # they go together, or it says so
    return _as_served(member, endpoints[member.endpoint], where)


def _as_served(member: MemberSettings, endpoint: EndpointSettings, where: str) -> MemberSettings:
    """The member with what follows from who serves it."""
    if isinstance(endpoint, LlamaCppSettings):
        wanted = member.n_logprobs or _MOST_LOGPROBS
        scored = member.answers == "option-scores"
        return member.model_copy(update={"n_logprobs": wanted}) if scored else member
    if isinstance(endpoint, BlendSettings):
        if member.answers == "option-scores" and endpoint.weights in ("spans", "values"):
            raise ConfigError(
                f'{where}: answers = "option-scores": weights = "{endpoint.weights}" of endpoint '
                f"'{member.endpoint}' gives no distribution over first tokens; leave it out"
            )
        if given := [name for name in ("drop", "extra_body") if getattr(member, name)]:
            raise ConfigError(f"{where}: {given[0]}: is of members on servers; leave it out")
    for name in OWN_SAMPLERS:
        if getattr(member, name) is not None:
            raise ConfigError(
                f"{where}: {name}: is a setting of members on llama-cpp endpoints; leave it out, "
                f"or send it by extra_body = {{ {name} = ... }}"
            )
    return member


def _with_shots(values: dict[str, Any], *, where: str, base: Path) -> dict[str, Any]:
    """Worked examples out of a file of their own, which several members may share."""
    if "shots" in values:
        raise ConfigError(f"{where}: 'shots' and 'shots_file' exclude each other; leave one out")
    if not isinstance(values["shots_file"], str):
        raise ConfigError(f"{where}: shots_file = {values['shots_file']!r}: should be a path")
    path = base / Path(values["shots_file"]).expanduser()
    found = read_toml(path)
    for name in found:
        if name != "shots":
            raise ConfigError(f"{path}: unknown key '{name}'; {nearest(name, ['shots'])}")
    rest = {name: value for name, value in values.items() if name != "shots_file"}
    return {**rest, "shots": found.get("shots", [])}
