#!/usr/bin/env bash
# polars 2.1.0 with pyarrow 26.0.1: a column of categories that pyarrow can show and not use.
#
# A table of models' answers has its models as Categorical or Enum. pyarrow.table(frame), which asks
# by the Arrow interchange protocol, gets dictionary<values=string_view>; frame.to_arrow() gives
# dictionary<values=large_string> of the same frame. The first can be printed and turned into a list,
# but neither cast to string nor decoded: "array_take has no kernel". What works is to cast the
# dictionary's values, chunk by chunk, and look them up by the indices; or frame.to_arrow().
#
# Seen: both types as above; cast to string and large_string, and dictionary_decode, raise
# ArrowNotImplementedError on the first, and work on the second.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
"$work/venv/bin/python" - <<'PY'
import polars as pl
import pyarrow as pa

MODELS = ["mini", "large", "mini"]
for kind in (pl.Categorical, pl.Enum(["mini", "large"])):
    frame = pl.DataFrame({"model": pl.Series(MODELS, dtype=kind)})
    asked, given = pa.table(frame)["model"], frame.to_arrow()["model"]
    assert asked.type.value_type == pa.string_view(), asked.type
    assert given.type.value_type == pa.large_string(), given.type
    assert asked.to_pylist() == given.to_pylist() == MODELS
    for what, act in {
        "cast to string": lambda column: column.cast(pa.string()),
        "cast to large_string": lambda column: column.cast(pa.large_string()),
        "decode": lambda column: column.combine_chunks().dictionary_decode(),
    }.items():
        assert act(given).to_pylist() == MODELS, what
        try:
            act(asked)
        except pa.ArrowNotImplementedError as error:
            print(f"{kind}: {what}: {error}")
        else:
            raise AssertionError(f"{what} works now")
    chunk = asked.chunk(0)
    looked_up = chunk.dictionary.cast(pa.string()).take(chunk.indices)
    assert looked_up.to_pylist() == MODELS
PY
