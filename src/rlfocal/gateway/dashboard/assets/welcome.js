// What to do first: an empty gateway shows how it is asked, at its own address.

import { by, say, show } from "./dom.js";
import { hasKey } from "./door.js";

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
  if (!isEmpty) return;
  show(by("welcome-key"), hasKey());
  say(by("curl"), curl(location.origin, hasKey()));
  say(by("python"), python(location.origin, hasKey()));
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
