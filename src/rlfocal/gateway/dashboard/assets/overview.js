// Tiles, savings, and the latest requests.

import { by, el, say, table } from "./dom.js";
import {
  UNKNOWN, clock, cost, count, dollars, fixed, interval, percent, seconds, several, why,
} from "./format.js";

const tile = (name, big, small) => ({ name, big, small });

const paintTiles = (items) => {
  const node = by("tiles");
  if (node.children.length !== items.length) {
    node.replaceChildren(
      ...items.map((item) =>
        el("div", {}, el("dt", {}, item.name), el("dd", { class: "big" }), el("dd", { class: "small" })),
      ),
    );
  }
  items.forEach(({ big, small }, k) => {
    say(node.children[k].children[1], big);
    say(node.children[k].children[2], small);
  });
};

const spentText = ({ usd, n_unpriced }) => cost({ usd, n_unpriced });

export const tiles = ({ live, accuracy, savings, window: looked }) => {
  const { everybody, n, n_calls } = savings;
  const calls = n ? fixed(n_calls / n) : "none";
  const share = everybody.n_calls ? everybody.calls_saved / everybody.n_calls : null;
  const usd = everybody.usd ? everybody.usd_saved / everybody.usd : null;
  paintTiles([
    tile("In flight", count(live.in_flight), "in the process that answers"),
    tile("Requests, last minute", count(live.per_minute),
      `${several(looked.n_requests, "request")} looked back on, ${count(live.n_failed)} failed`),
    tile("Latency", live.latency.n ? seconds(live.latency.p50_s) : UNKNOWN,
      live.latency.n ? `median; 95 % < ${seconds(live.latency.p95_s)}` : "nothing answered yet"),
    tile("Accuracy by feedback", accuracy.n ? percent(accuracy.mean) : UNKNOWN,
      accuracy.n ? `${interval(accuracy)}, ${count(accuracy.n)} judged` : "no feedback yet"),
    tile("Calls a request", calls,
      share === null ? "nothing to compare yet" : `${percent(share)} fewer than asking everybody`),
    tile("Spent", n ? spentText(savings) : dollars(0),
      usd === null ? "" : `${percent(usd)} less than asking everybody`),
  ]);
};

const saved = (value) => {
  if (value === null) return UNKNOWN;
  return value < 0 ? `−${dollars(-value)}` : dollars(value);
};

const usdCell = (value, unknown) => {
  const reasons = why(unknown);
  if (value !== null) return dollars(value);
  const all = Object.values(unknown);
  const text = all.length && all.every((reason) => reason === "unpriced") ? "unpriced" : UNKNOWN;
  return { text, title: reasons };
};

const savedCell = (side) => {
  if (side.usd_saved !== null) return saved(side.usd_saved);
  return usdCell(null, side.unknown);
};

export const savings = (found, policy) => {
  const { everybody, single } = found;
  const perRequest = (n) => (found.n ? fixed(n / found.n) : UNKNOWN);
  const rows = [
    { key: "served", cells: ["As served", perRequest(found.n_calls), found.n ? cost(found) : dollars(0), "", ""] },
    { key: "everybody", cells: [
      "Everybody asked", perRequest(everybody.n_calls), usdCell(everybody.usd, everybody.unknown),
      count(everybody.calls_saved), savedCell(everybody),
    ] },
  ];
  if (single) {
    rows.push({ key: "single", cells: [
      `The best alone: ${single.member}`, perRequest(single.n_calls), usdCell(single.usd, single.unknown),
      count(single.calls_saved).replace("-", "−"), savedCell(single),
    ] });
  }
  const columns = ["", "Calls a request", "Dollars", "Calls saved", "Dollars saved"];
  table(by("savings-table"), columns, rows);
  const parts = [`${several(found.n, "request")} to the ensemble that had an answer.`];
  if (found.n_unpriced) parts.push(`${several(found.n_unpriced, "reply").replace("replys", "replies")} without a price.`);
  if (found.unpriced.length) parts.push(`Unpriced in the pool file: ${found.unpriced.join(", ")}.`);
  if (found.uncertain_cost_usd) {
    parts.push(`Failed and abandoned calls may cost up to ${dollars(found.uncertain_cost_usd)} more.`);
  }
  const reasons = why({ ...everybody.unknown, ...(single?.unknown ?? {}) });
  if (reasons) parts.push(`Not known because of ${reasons}.`);
  say(by("savings-text"), parts.join(" "));
  say(by("savings-single"), single ? alone(single) : "");
};

const alone = ({ member, accuracy: its, ensemble_accuracy: ours }) => {
  if (!its.n) return `How right ${member} would have been alone is not known: no judged request asked it.`;
  return (
    `On the ${several(its.n, "judged request")} on which ${member} was asked it was right in ` +
    `${percent(its.mean)} (${interval(its)}), the ensemble in ${percent(ours.mean)} (${interval(ours)}).`
  );
};

const memberParts = (members) =>
  members.map(({ name, failure }) => ({
    text: name,
    kind: failure ? "failed" : null,
    title: failure,
  }));

const status = ({ status: code, error }) =>
  code === 200 ? "ok" : { text: `${code} ${error ?? ""}`.trim(), kind: "text bad" };

export const latest = (requests) => {
  // Few clients send tasks.
  const tasks = requests.some((one) => one.task);
  const columns = [
    "Time", { text: "Model", kind: "text" }, ...(tasks ? [{ text: "Task", kind: "text" }] : []),
    { text: "Members asked", kind: "text" }, "Calls", "Cost", "Latency", "Own time", "Judged", "Status",
  ];
  table(
    by("requests-table"),
    columns,
    requests.map((one) => ({
      key: one.id,
      cells: [
        { text: clock(one.at), href: `/requests/${encodeURIComponent(one.id)}` },
        { text: one.model, kind: "text" },
        ...(tasks ? [{ text: one.task || "none", kind: "text" }] : []),
        { parts: memberParts(one.members), kind: "text wrap" },
        count(one.n_calls),
        cost(one),
        seconds(one.latency_s),
        seconds(one.overhead_s),
        one.earned === null ? "–" : fixed(one.earned),
        status(one),
      ],
    })),
  );
};
