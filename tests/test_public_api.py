"""The public names, pinned: adding one is a decision, losing one breaks somebody."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from demo_pool import demo_pool

import rlfocal
from rlfocal.deliberation.registry import BUILT_IN

PUBLIC = {
    "rlfocal": """
        AdaptiveConsistency Advice Agreement Answer Base BenchResult BestAlone BestOf BestOfN
        BestSingle BestSinglePerTask CappedAgreement Checkpoint CheckpointError ConfidenceVote
        ConfigError Dataset Decision EarlyStoppingConsistency Ensemble EvalProtocol EvidenceCascade
        EvidenceStacking FailureCounts HashingEncoder HierShrinkRouter KMeansRouter KnnRouter Limits
        Listener LogisticRouter MatrixMeanSubsequence MeanProbability MemberError Memory Message
        MinCe NobodyAnswered NotApplicable OneCoin OneRound Oracle Outcome Picture Plurality Pool
        PosteriorThreshold RandomMember RecordError ResponseTable RlFocal RlFocalPaper RlFocalPrior
        RlfocalError RoutedVote ScoreCascade SelfConsistency Spec Stacking StaticSubset Strategy
        Topla View WeightedVote WeightedVotePerTask Wrapper __version__
        advise benchmark best_subsets build_table demo_dataset evaluate explain from_dataframe
        independence inspect load localpool localpool_readers picture read_dataset read_table replay
        run_bench train write_dataset write_report
    """,
    "rlfocal.api": """
        Ensemble Picture Pool benchmark evaluate explain from_dataframe independence inspect load
        picture read_table train
    """,
    "rlfocal.bench": """
        BenchResult BudgetCell EvalProtocol FrontierPoint History LeaderboardRow TaskHidden
        Verdict run_bench
    """,
    "rlfocal.checkpoint": """
        Checkpoint Description SCHEMA_VERSION load_checkpoint query_hashes read_description
        save_checkpoint
    """,
    "rlfocal.deliberation.base": "Acting Base OneRound",
    "rlfocal.deliberation.protocol": """
        Need Outcome Reference Resumable Run RunState Spec State Strategy unmet
    """,
    "rlfocal.deliberation.recorded": "Recorded candidates_of reveal worth_of",
    "rlfocal.deliberation.registry": "BUILT_IN GROUP create create_strategy kind_of names resolve",
    "rlfocal.deliberation.replay": "best_answer decided replay stages",
    "rlfocal.deliberation.trace": "CallRecord Deliberation Round Trace named_by",
    "rlfocal.deliberation.view": "Decision Labelled Memory View",
    "rlfocal.deliberation.wrapper": "Wrapper",
    "rlfocal.diversity": """
        ALIKE EnsembleMeasure Evolution FailureCounts MAX_ENUMERATED_MEMBERS MEASURES NearCopies
        Objective PAIRWISE PairCounts SubsetRanking best_subsets correlation
        disagreement double_fault entropy fleiss_kappa generalised_diversity kappa
        masks_from_codes mean_pairwise measures near_copies pair_counts q_statistic weighted_sum
    """,
    "rlfocal.errors": """
        CheckpointError ConfigError DatabaseError Failure MemberError NobodyAnswered
        NotApplicable NotInstalled RecordError RlfocalError nearest
    """,
    "rlfocal.executor": "Executor ProcessExecutor SerialExecutor executor_at",
    "rlfocal.features": "Encoder HashingEncoder Reach encoder encoder_names",
    "rlfocal.live": """
        Alternative Answer Answering CallRecord FREE_WORDS Limits Listener LiveEnsemble Question
        Round Trace members_for
    """,
    "rlfocal.plugins": "Registry user_function",
    "rlfocal.pool": """
        CircuitBreaker Circuits Endpoint Limited Message Metered OpenAIEndpoint Price Request
        Response Retrying StubServer ask_all
    """,
    "rlfocal.records": """
        BoolArray Calibration CandidateKind Dataset DatasetInfo Encode FloatArray IntArray
        PoolModel ResponseTable build_table calibrate demo_dataset simulate
    """,
    "rlfocal.records.built_in": "BUILT_IN localpool localpool_readers read_data",
    "rlfocal.records.folders": "check_target read_dataset read_queries write_dataset",
    "rlfocal.records.importers": """
        Importer ImporterOption Logged Record assemble document_digest find_importer
        import_logs importer importer_names
    """,
    "rlfocal.report": "cost_picture render write_report",
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


def test_every_built_in_strategy_is_a_public_class() -> None:
    for place in BUILT_IN.values():
        module, _, name = place.partition(":")
        assert getattr(rlfocal, name) is getattr(importlib.import_module(module), name)


def taking_paths() -> list[tuple[str, str, str]]:
    """Callable, parameter and annotation of whatever public takes a path."""
    found = []
    for name in rlfocal.__all__:
        thing = getattr(rlfocal, name)
        own = [(name, thing)] if callable(thing) else []
        if inspect.isclass(thing):
            members = inspect.getmembers(thing, callable)
            own += [(f"{name}.{n}", method) for n, method in members if not n.startswith("_")]
        for label, one in own:
            try:
                parameters = inspect.signature(one).parameters.values()
            except ValueError:  # of a class written in C
                continue
            found += [(label, p.name, str(p.annotation)) for p in parameters]
    return [entry for entry in found if re.search(r"\bPath\b", entry[2])]


def test_a_path_may_be_a_text_everywhere() -> None:
    takers = taking_paths()
    assert {
        "BenchResult.read", "BenchResult.write", "Ensemble", "Pool", "evaluate", "explain", "load",
        "read_dataset", "train", "write_dataset", "write_report",
    } <= {name for name, _, _ in takers}  # fmt: skip
    assert [entry for entry in takers if not re.search(r"\bstr\b", entry[2])] == []


def test_texts_as_paths_are_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rlfocal.write_dataset(rlfocal.demo_dataset(), "data")
    checkpoint = rlfocal.train("data", "plurality", output="ens")
    assert rlfocal.load("ens").description.settings == checkpoint.description.settings
    rlfocal.evaluate("ens", "data", include_trained=True)
    query = str(rlfocal.read_dataset("data").queries["query_id"][0])
    assert rlfocal.explain("ens", "data", query).query == query
    result = rlfocal.benchmark("data", "plurality", folds=2)
    result.write("result")
    assert rlfocal.BenchResult.read("result").leaderboard() == result.leaderboard()
    command = result.leaderboard()["command"].to_pylist()[1]
    assert command.startswith("rlfocal train data --strategy plurality")
    rlfocal.write_report(result, rlfocal.read_table("data"), "report")
    assert (tmp_path / "report/index.html").exists()
    with demo_pool(tmp_path) as (path, _):
        assert rlfocal.Ensemble("ens", str(path)).members == rlfocal.Pool(str(path)).members


def test_dir_lists_the_public_names() -> None:
    assert set(rlfocal.__all__) <= set(dir(rlfocal))
