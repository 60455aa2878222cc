"""Adaptation and robustness: measurements under changes of pool, tasks or labels."""

from rlfocal.bench.scenarios.catalogue import SCENARIOS, Case, Scenario, resolve_scenarios
from rlfocal.bench.scenarios.result import Adapted, ScenarioResult, ScenarioRow
from rlfocal.bench.scenarios.run import DEFAULT_STRATEGIES, run_scenarios
from rlfocal.bench.scenarios.stream import StreamSettings

__all__ = [
    "DEFAULT_STRATEGIES",
    "SCENARIOS",
    "Adapted",
    "Case",
    "Scenario",
    "ScenarioResult",
    "ScenarioRow",
    "StreamSettings",
    "resolve_scenarios",
    "run_scenarios",
]
