// Who may look: asks for an administrator's key where one is needed, and fetches with it.

import { by, say, show } from "./dom.js";

const KEPT = "rlfocal-key";

class Refused extends Error {}

const read = async (path) => {
  const key = sessionStorage.getItem(KEPT);
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const reply = await fetch(path, { headers, cache: "no-store", credentials: "omit" });
  if (reply.ok) return reply.json();
  const body = await reply.json().catch(() => ({}));
  if (reply.status === 401) {
    throw new Refused(key ? "That key is not known here, or it is over. Give another." : "");
  }
  if (reply.status === 403 && body.error?.code === "admin_key_needed") {
    throw new Refused("That key is no administrator's. Give one made with --admin.");
  }
  if (body.error?.code === "database_unavailable") {
    throw new Error("The gateway's database is away.");
  }
  throw new Error(body.error?.message ?? `The gateway answers with status ${reply.status}.`);
};

const askForKey = (reason) =>
  new Promise((resolve) => {
    const form = by("door");
    const field = by("key");
    say(by("refused"), reason);
    show(by("wait"), false);
    show(by("figures"), false);
    show(form, true);
    field.value = "";
    field.focus();
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEPT, field.value.trim());
      field.value = "";
      show(form, false);
      show(by("wait"), true);
      resolve();
    };
  });

// Whether a key was needed to look.
export const hasKey = () => sessionStorage.getItem(KEPT) !== null;

// Fetches figures; asks for a key until one fits. Other errors are thrown.
export const figures = async (path) => {
  for (;;) {
    try {
      return await read(path);
    } catch (error) {
      if (!(error instanceof Refused)) {
        throw error instanceof TypeError ? new Error("The gateway does not answer.") : error;
      }
      sessionStorage.removeItem(KEPT);
      await askForKey(error.message);
    }
  }
};
