// One request: who was asked when, what came back, and why nobody else was asked.

import { line, named, picture, rect, text } from "./charts.js";
import { by, chart, el, facts, say, show, svg, table } from "./dom.js";
import { figures } from "./door.js";
import {
  UNKNOWN, answer, cost, count, dollars, fixed, moment, percent, price, seconds, several,
} from "./format.js";

const ROW = 26;

// Time line -------------------------------------------------------------------------------------

const bars = (rounds) => {
  let at = 0;
  const found = [];
  rounds.forEach((part, number) => {
    const longest = Math.max(0, ...part.asked.map((said) => said.latency_s ?? 0));
    for (const said of part.asked) {
      found.push({ name: said.member, number, from: at, s: said.latency_s ?? null, failure: said.failure ?? null });
    }
    at += longest;
  });
  return found;
};

const drawTimes = ({ items }, width) => {
  const height = ROW * items.length + 24;
  const drawing = picture(width, height, items.map(
    (item) => `${item.name}: ${item.failure ?? seconds(item.s)}, round ${item.number + 1}`).join("; "));
  drawing.setAttribute("height", height);
  const left = Math.min(200, 0.34 * width);
  const right = width - 90;
  const most = Math.max(1e-9, ...items.map((item) => item.from + (item.s ?? 0)));
  const x = (s) => left + (s / most) * (right - left);
  const floor = ROW * items.length;
  drawing.append(line(left, floor, right, floor, "axis"), text(left, floor + 16, "0"));
  drawing.append(text(right, floor + 16, seconds(most), { "text-anchor": "middle" }));
  items.forEach((item, k) => {
    const y = ROW * k;
    drawing.append(named(0, y + 17, item.name, left - 12));
    const long = Math.max(2, x(item.from + (item.s ?? 0)) - x(item.from));
    const kind = item.s === null ? "hatch" : item.number % 2 ? "fill-second" : "fill-first";
    drawing.append(rect(x(item.from), y + 5, long, 15, kind));
    const said = item.failure ?? seconds(item.s);
    drawing.append(text(x(item.from) + long + 6, y + 17, said, { class: "value" }));
  });
  return drawing;
};

// Rounds ----------------------------------------------------------------------------------------

const support = (said) => (said.support === null || said.support === undefined ? "–" : fixed(said.support));

const usd = (said) => {
  if (said.failure) return "–";
  return said.cost_usd === undefined ? "unpriced" : dollars(said.cost_usd);
};

const reading = (one) => {
  if (!one.read) return null;
  const named = (k) => {
    const name = one.verdict?.[k];
    if (one.verdict === undefined) return "";
    return ` (named ${name === "" ? "none of them" : name ?? "nobody"})`;
  };
  return `read ${one.read.map((names, k) => `${names.join(", ")}${named(k)}`).join("; ")}`;
};

const said = (one, scores) => {
  const score = scores?.[one.member];
  const read = reading(one);
  const what = one.failure
    ? { text: one.failure, kind: "text wrap bad", title: one.detail }
    : { text: answer(one.answer), kind: "text wrap" };
  return {
    key: one.member,
    cells: [
      { text: read ? `${one.member}: ${read}` : one.member, title: read ?? one.member }, what, support(one),
      score === null || score === undefined ? "–" : fixed(score),
      one.latency_s === undefined ? "–" : seconds(one.latency_s),
      `${count(one.n_prompt_tokens ?? 0)} / ${count(one.n_completion_tokens ?? 0)}`,
      usd(one),
    ],
  };
};

const COLUMNS = [
  "Member", { text: "Answer", kind: "text" }, "Support", "Judged", "Latency", "Tokens in / out", "Cost",
];

const listing = (label, rows) => {
  const made = el("table");
  const box = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, made);
  table(made, COLUMNS, rows);
  return box;
};

const beliefs = (probabilities) => {
  const items = Object.entries(probabilities).map(([text, value]) =>
    el("li", {},
      el("span", { class: "answer", title: answer(text) }, answer(text)),
      svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
        rect(0, 0, 100, 8, "count"), rect(0, 0, 100 * value, 8, "fill-first")),
      el("span", { class: "much" }, percent(value)),
    ));
  return items.length ? el("ul", { class: "beliefs", "aria-label": "Probability of each answer" }, ...items) : null;
};

const round = (part, number, scores) => {
  const stop = part.probability_of_stopping;
  const after = [`Spent so far: ${Number(part.spent.toPrecision(4))}.`];
  if (stop !== undefined && stop !== null) after.push(`Probability of stopping here: ${percent(stop)}.`);
  return el("div", { class: "round" },
    el("h3", {}, `Round ${number + 1}`),
    listing(`Round ${number + 1}`, part.asked.map((one) => said(one, scores))),
    beliefs(part.probabilities),
    el("p", { class: "note" }, after.join(" ")));
};

// All of it -------------------------------------------------------------------------------------

const feedbackText = (given) => {
  if (!given) return "Nobody has judged this answer.";
  const how = given.score === null ? `The right answer is ${answer(given.answer)}` : `A score of ${fixed(given.score)}`;
  return `${how}; the answer was worth ${fixed(given.earned)}. Sent ${moment(given.at)}.`;
};

const INSTEAD = {
  confirm: "a confirmation was asked for",
  read: "a call that only reads was given",
  text: "a reply in words was given",
  error: "the request was refused",
};

const heldBackText = (held) => {
  const sure = held.confidence === null ? "nobody knows how sure they are" : `they are ${percent(held.confidence)} sure`;
  return `The call of ${held.tool} was held back (${sure}, ${percent(held.least_confidence)} are wanted): ${INSTEAD[held.instead] ?? UNKNOWN}.`;
};

const stoppedText = (trace) => {
  const parts = [];
  if (trace.stopped) parts.push(`Nobody else was asked: ${trace.stopped}.`);
  if (trace.not_asked?.length) parts.push(`Not asked: ${trace.not_asked.join(", ")}.`);
  if (trace.nothing_to_read?.length) {
    parts.push(`Nobody whom they read has replied: ${trace.nothing_to_read.join(", ")}.`);
  }
  if (trace.held_back) parts.push(heldBackText(trace.held_back));
  if (trace.circuit_open?.length) parts.push(`Left alone because they kept failing: ${trace.circuit_open.join(", ")}.`);
  return parts.join(" ");
};

const paint = (found) => {
  const trace = found.trace ?? { rounds: [] };
  const given = trace.answer === undefined ? null : trace.answer;
  const sure = found.confidence === null ? "" : `, ${percent(found.confidence)} sure`;
  say(by("lead"), found.status === 200
    ? `Answered ${given === null ? "in free words" : `“${answer(given)}”`}${sure}, ` +
      `after ${several(found.n_calls, "call")} in ${seconds(found.latency_s)}.`
    : `Ended with ${found.status} ${found.error ?? ""} after ${several(found.n_calls, "call")} in ${seconds(found.latency_s)}.`);
  const acting = trace.policy ? `; ${trace.policy} acts` : "";
  const dial = trace.price === null || trace.price === undefined ? "" : ` at price ${price(trace.price)}`;
  facts(by("facts"), [
    ["Id", found.id],
    ["Time", moment(found.at)],
    ["Model", found.model],
    ["Task", found.task || "none"],
    ["Key", found.key_id ?? "none: the door was open"],
    ["Decided by", `${trace.strategy ?? UNKNOWN}${dial}${acting} (policy ${found.policy})`],
    ...(trace.why ? [["Why", trace.why]] : []),
    ["Cost", `${cost(found)}${found.uncertain_cost_usd ? `, and up to ${dollars(found.uncertain_cost_usd)} for calls that failed or were abandoned` : ""}`],
    ["Latency", `${seconds(found.latency_s)}, of it ${seconds(found.overhead_s)} own time`],
    ["Tokens", `${count(found.n_prompt_tokens)} in, ${count(found.n_completion_tokens)} out`],
    ["Streamed", found.streamed ? "yes" : "no"],
  ]);
  show(by("wait"), false);
  show(by("figures"), true);
  const rounds = trace.rounds ?? [];
  const scores = found.feedback?.member_scores;
  chart(by("time-plot"), { items: bars(rounds) }, drawTimes);
  by("round-list").replaceChildren(...rounds.map((part, k) => round(part, k, scores)));
  if (trace.synthesis) {
    by("round-list").append(el("div", { class: "round" },
      el("h3", {}, "Synthesis"),
      listing("Synthesis", [said(trace.synthesis, null)])));
  }
  if (!rounds.length) by("round-list").append(el("p", {}, "Nobody was asked."));
  say(by("stopped"), stoppedText(trace));
  say(by("feedback"), feedbackText(found.feedback));
  const kept = found.prompt !== null;
  show(by("prompt"), kept);
  show(by("prompt-none"), !kept);
  if (kept) say(by("prompt"), found.prompt);
};

const look = async () => {
  const id = location.pathname.split("/").at(-1);
  try {
    paint(await figures(`/dashboard/requests/${id}`));
    show(by("trouble"), false);
  } catch (error) {
    show(by("wait"), false);
    say(by("trouble"), `${error.message} Load the page again to try once more.`);
    show(by("trouble"), true);
  }
};

look();
