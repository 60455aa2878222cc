// What to do first: an empty gateway shows how it is asked, at its own address.

import { by, say, show } from "./dom.js";
import { hasKey } from "./door.js";
import { count, several } from "./format.js";

const QUESTION = "What is 17 times 23?";

const curl = (origin, key) => `curl -s ${origin}/v1/chat/completions \\
${key ? '  -H "Authorization: Bearer $KEY" \\\n' : ""}  -H "Content-Type: application/json" \\
  -d '{"model": "rlfocal", "messages": [{"role": "user", "content": "${QUESTION}"}]}'`;

const python = (origin, key) => `from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=${key ? "KEY" : '"none"'})
reply = client.chat.completions.create(
    model="rlfocal", messages=[{"role": "user", "content": "${QUESTION}"}]
)
print(reply.choices[0].message.content)`;

export const welcome = (isEmpty) => {
  show(by("welcome"), isEmpty);
  show(by("rest"), !isEmpty);
  show(by("contents"), !isEmpty);
  if (!isEmpty) return;
  show(by("welcome-key"), hasKey());
  say(by("curl"), curl(location.origin, hasKey()));
  say(by("python"), python(location.origin, hasKey()));
};

// Where a pool was started without labels: what was judged so far, and when to train.
const advice = ({ n_judged, n_with_prompt, enough, keeps_prompts, is_enough }) => {
  if (is_enough) return "That is enough to train a policy on your own traffic:";
  if (!keeps_prompts) {
    return "Prompts are not kept, so nothing can be trained on what is judged: set keep_prompts = true in the " +
      "gateway's settings (rlfocal serve --config).";
  }
  const lost = n_judged - n_with_prompt;
  const without = lost ? `; of ${count(lost)} more the prompts were not kept` : "";
  return `Training a policy of your own pays from ${count(enough)} judged answers on. ` +
    `So far there are ${count(n_with_prompt)}${without}.`;
};

const heading = ({ n_judged: n, is_enough }) => {
  if (is_enough) return "Enough is judged to train";
  return n ? `Started without labels: ${several(n, "answer")} judged` : "Started without labels: no answer judged yet";
};

export const labels = (found) => {
  show(by("labels"), found !== null);
  if (found === null) return;
  say(by("h-labels"), heading(found));
  say(by("labels-text"), advice(found));
  by("labels-bar").max = found.enough;
  by("labels-bar").value = Math.min(found.n_with_prompt, found.enough);
  show(by("labels-command-box"), found.is_enough);
  say(by("labels-command"), found.is_enough ? found.next : "");
};

// Only pages from this machine or by TLS may write to the clipboard.
for (const button of document.querySelectorAll("button[data-copies]")) {
  show(button, Boolean(navigator.clipboard));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(by(button.dataset.copies).textContent);
      say(button, "Copied");
    } catch {
      say(button, "Not allowed");
    }
    setTimeout(() => say(button, "Copy"), 1500);
  });
}
