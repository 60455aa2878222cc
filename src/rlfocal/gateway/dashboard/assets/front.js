// The front page: reads figures every two seconds while it is in view, and hands them round.

import { accuracy } from "./accuracy.js";
import { by, say, show } from "./dom.js";
import { figures } from "./door.js";
import { clock, price } from "./format.js";
import { frontier } from "./frontier.js";
import { drift, members } from "./members.js";
import { keys } from "./keys.js";
import { latest, savings, tiles } from "./overview.js";
import { traffic } from "./traffic.js";
import { labels, welcome } from "./welcome.js";

const EVERY_MS = 2000;
const TRAFFIC_EVERY_MS = 10000;
const FRONTIER_EVERY_MS = 30000;

const state = { at: 0, trafficAt: -Infinity, window: "", frontierAt: -Infinity, busy: false };

const paint = (found) => {
  const { policy, window: looked } = found;
  const dial = policy.price === null ? "" : ` at price ${price(policy.price)}`;
  const acting = policy.acting && policy.acting !== "learned" ? `, where ${policy.acting} acts` : "";
  const made = policy.synthetic ? " SYNTHETIC training data." : "";
  say(
    by("state"),
    `As of ${clock(found.at)}. Policy ${policy.id} decides: ${policy.strategy}${dial}${acting}.${made}`,
  );
  show(by("wait"), false);
  show(by("figures"), true);
  tiles(found);
  welcome(found.latest.length === 0);
  labels(found.labels);
  show(by("cut"), looked.is_cut);
  say(by("cut"), `Traffic and keys count every request that is kept; the other figures the latest ${looked.most}.`);
  accuracy(found.accuracy, looked);
  savings(found.savings, found.policy);
  members(found.members);
  drift(found.members, found.drift_over);
  latest(found.latest);
};

const trouble = (message) => {
  const since = state.at ? ` What you see is from ${clock(state.at)}.` : "";
  say(by("trouble"), message ? `${message}${since} It is tried again.` : "");
  show(by("trouble"), Boolean(message));
};

const look = async () => {
  if (state.busy || document.hidden) return;
  state.busy = true;
  try {
    const chosen = by("window").value;
    const found = await figures(`/dashboard/figures?window=${chosen}`);
    const isDue = chosen !== state.window || performance.now() - state.trafficAt > TRAFFIC_EVERY_MS;
    // Before anything is painted, so that nothing moves when it comes.
    const over = isDue ? await figures(`/dashboard/traffic?window=${chosen}`) : null;
    state.at = found.at;
    paint(found);
    if (over) {
      traffic(over);
      keys(over);
      state.trafficAt = performance.now();
      state.window = chosen;
    }
    if (performance.now() - state.frontierAt > FRONTIER_EVERY_MS) {
      frontier(await figures("/dashboard/frontier"));
      state.frontierAt = performance.now();
    }
    trouble("");
  } catch (error) {
    trouble(error.message);
  } finally {
    state.busy = false;
  }
};

by("window").addEventListener("change", look);
document.addEventListener("visibilitychange", look);
setInterval(look, EVERY_MS);
look();
