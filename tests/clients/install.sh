#!/usr/bin/env bash
# Install the real clients that the gateway is tried with: install.sh FOLDER
# Each environment stands alone, since the clients disagree on the version of what they share.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="${1:?name a folder}"
mkdir -p "$folder/node"
folder="$(cd "$folder" && pwd)"
for name in newest llamaindex; do
    wanted="$here/python/$name.txt" installed="$folder/$name/installed.txt"
    cmp -s "$wanted" "$installed" && continue
    "${PYTHON:-python3}" -m venv "$folder/$name"
    "$folder/$name/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$installed"
done
if ! cmp -s "$here/node/package-lock.json" "$folder/node/package-lock.json"; then
    cp "$here/node/package.json" "$here/node/package-lock.json" "$folder/node/"
    (cd "$folder/node" && npm ci --silent --no-audit --no-fund)
fi
