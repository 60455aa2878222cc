#!/usr/bin/env bash
# openai 3.57.0 (Python client): a repeat cannot be told from a new request, and waits past `timeout`.
#
# The client makes an idempotency key for each request ("stainless-python-retry-...") so that its
# repeats could share it, and sends it in no header: a server that would answer a repeat with the
# reply that it has already been paid for finds nothing to know it by but X-Stainless-Retry-Count.
# `timeout` bounds one try: a Retry-After of up to two minutes is waited for whatever the time-out is.
# What a server can do is to say `x-should-retry: false`, a header that the client calls not standard.
#
# Seen: 503 with "Retry-After: 2" and timeout=0.5 takes over 2 s and makes 2 requests (retry counts 0
# and 1, no idempotency key in either); the same 503 with x-should-retry: false makes 1 at once.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet openai==3.57.0
cat > "$work/run.py" <<'PY'
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai

seen, more = [], {}


class Busy(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        seen.append({name.lower(): value for name, value in self.headers.items()})
        body = json.dumps({"error": {"message": "busy"}}).encode()
        self.send_response(503)
        for name, value in {"Content-Length": str(len(body)), "Retry-After": "2", **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def ask():
    seen.clear()
    began = time.monotonic()
    try:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    except openai.InternalServerError:
        return time.monotonic() - began
    raise AssertionError("an error was expected")


server = HTTPServer(("127.0.0.1", 0), Busy)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(
    api_key="k", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=1, timeout=0.5
)
took = ask()
counts = [headers["x-stainless-retry-count"] for headers in seen]
keys = [name for headers in seen for name in headers if "idempot" in name]
print(f"{len(seen)} requests, retry counts {counts}, idempotency keys {keys}, over 2 s: {took > 2}")
assert (counts, keys) == (["0", "1"], []) and took > 2
more["x-should-retry"] = "false"
took = ask()
print(f"x-should-retry: false: {len(seen)} request, over 2 s: {took > 2}")
assert len(seen) == 1 and took < 2
PY
"$work/venv/bin/python" "$work/run.py"
