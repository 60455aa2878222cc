"""The public names, pinned: adding one is a decision, losing one breaks somebody."""

from __future__ import annotations

import importlib

import pytest

import rlfocal

PUBLIC = {
    "rlfocal": """
        BenchResult CheckpointError ConfigError Dataset EvalProtocol FailureCounts HashingEncoder
        NotApplicable Outcome RecordError ResponseTable RlfocalError Strategy View __version__
        best_subsets build_table demo_dataset localpool read_dataset run_bench write_dataset
        write_report
    """,
    "rlfocal.errors": """
        CheckpointError ConfigError DatabaseError Failure MemberError NobodyAnswered
        NotApplicable RecordError
        RlfocalError nearest
    """,
    "rlfocal.executor": "Executor ProcessExecutor SerialExecutor",
    "rlfocal.records": """
        BoolArray Calibration CandidateKind Dataset DatasetInfo Encode FloatArray IntArray PoolModel
        ResponseTable build_table calibrate demo_dataset simulate
    """,
    "rlfocal.records.built_in": "BUILT_IN localpool",
    "rlfocal.records.folders": "check_target read_dataset read_queries write_dataset",
    "rlfocal.records.importers": """
        Importer ImporterOption Logged Record assemble document_digest find_importer
        import_lm_eval import_logs importer importer_names
    """,
    "rlfocal.pool": """
        CircuitBreaker Circuits Endpoint Limited Message Metered OpenAIEndpoint Price Request
        Response
        Retrying StubServer ask_all
    """,
    "rlfocal.features": "Encoder HashingEncoder encoder",
    "rlfocal.diversity": """
        MAX_ENUMERATED_MEMBERS MEASURES PAIRWISE EnsembleMeasure Evolution FailureCounts Objective
        PairCounts SlidingFailureCounts SubsetRanking best_subsets correlation disagreement
        double_fault entropy fleiss_kappa generalised_diversity kappa masks_from_codes mean_pairwise
        pair_counts q_statistic weighted_sum
    """,
    "rlfocal.deliberation.protocol": """
        Base Dialled Labelled Memory Need Outcome Reference Strategy View unmet
    """,
    "rlfocal.live": """
        Answer Answering Ensemble FREE_WORDS Limits Listener LiveQuery Round Said Trace members_for
    """,
    "rlfocal.deliberation.recorded": "candidates_of replay reveal worth_of",
    "rlfocal.bench": """
        GROUPS STRATEGIES BenchResult BudgetCell EvalProtocol FrontierPoint History LeaderboardRow
        Verdict create resolve run_bench
    """,
    "rlfocal.report": "render write_report",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_as_pinned_and_exist(module: str) -> None:
    found = importlib.import_module(module)
    assert sorted(found.__all__) == sorted(PUBLIC[module].split())
    for name in found.__all__:
        assert getattr(found, name) is not None


def test_the_package_gives_the_very_objects_of_its_parts() -> None:
    from rlfocal.bench import run_bench
    from rlfocal.records.folders import read_dataset

    assert rlfocal.run_bench is run_bench
    assert rlfocal.read_dataset is read_dataset


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rlfocal.nothing  # noqa: B018
    with pytest.raises(ImportError):
        importlib.import_module("rlfocal.nothing")


def test_dir_lists_the_public_names() -> None:
    assert set(rlfocal.__all__) <= set(dir(rlfocal))
