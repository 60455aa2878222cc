// Members: who is asked, who fails, who has drifted.

import { dot, legend, line, named, picture, rect, steps, text } from "./charts.js";
import { by, chart, say, show, table } from "./dom.js";
import { UNKNOWN, count, dollars, interval, percent, seconds, several } from "./format.js";

const ROW = 30;
const TOP = 26;

const nameWidth = (width) => Math.min(200, 0.34 * width);

const drawShares = ({ rows }, width) => {
  const height = TOP + ROW * rows.length + 4;
  const drawing = picture(
    width, height,
    `Shares of requests: ${rows.map((r) => `${r.name} asked in ${percent(r.asked)}, first in ${percent(r.first)}`).join("; ")}`,
  );
  const left = nameWidth(width);
  const right = width - 64;
  const x = (share) => left + share * (right - left);
  legend(drawing, [["fill-first", "in the first round"], ["fill-second", "at all"]], left, 14);
  rows.forEach(({ name, asked, first }, k) => {
    const y = TOP + k * ROW;
    drawing.append(
      named(0, y + 17, name, left - 12),
      rect(left, y + 6, right - left, 16, "track"),
      rect(left, y + 6, x(asked ?? 0) - left, 16, "fill-second", `${name}: asked in ${percent(asked)}`),
      rect(left, y + 6, x(first ?? 0) - left, 16, "fill-first", `${name}: first in ${percent(first)}`),
      text(right + 8, y + 18, asked === null ? "–" : percent(asked), { class: "value" }),
    );
  });
  return drawing;
};

const circuit = (state) =>
  state === "closed" ? "closed" : { text: state, kind: state === "open" ? "bad" : null };

// Kinds of failures, in words, by colour.
const KINDS = [
  ["late", "timed out", ["timeout"]],
  ["limited", "rate limited", ["rate-limited"]],
  ["server", "server's fault", ["server-error", "unreachable"]],
  ["refused", "refused", ["bad-request", "unauthorised", "unknown-model", "out-of-credit", "filtered"]],
  ["unread", "no reply to read", ["malformed", "empty"]],
];
const OTHER = ["other", "not sent, or other"];

const sorted = (failures) => {
  const found = Object.fromEntries([...KINDS, OTHER].map(([kind]) => [kind, 0]));
  for (const [name, n] of Object.entries(failures)) {
    const [kind] = KINDS.find(([, , names]) => names.includes(name)) ?? OTHER;
    found[kind] += n;
  }
  return found;
};

const failuresText = (failures) =>
  Object.entries(failures).map(([name, n]) => `${count(n)} ${name}`).join(", ") || "none";

const drawFailures = ({ rows }, width) => {
  const drawing = picture(width, TOP + ROW * rows.length + 4,
    `Failed calls by kind: ${rows.map((r) => `${r.name} ${failuresText(r.failures)}`).join("; ")}`);
  const left = nameWidth(width);
  const right = width - 56;
  const most = Math.max(...rows.map((r) => r.n));
  const all = rows.map((r) => sorted(r.failures));
  const there = [...KINDS, OTHER].filter(([kind]) => all.some((found) => found[kind]));
  legend(drawing, there.map(([kind, said]) => [`fail-${kind}`, said]), left, 14);
  rows.forEach(({ name, n, failures }, k) => {
    const y = TOP + k * ROW;
    drawing.append(named(0, y + 17, name, left - 12), rect(left, y + 6, right - left, 16, "track"));
    let at = left;
    for (const [kind, said] of there) {
      const wide = (all[k][kind] / most) * (right - left);
      if (wide) drawing.append(rect(at, y + 6, wide, 16, `fail-${kind}`, `${name}: ${count(all[k][kind])} ${said} (${failuresText(failures)})`));
      at += wide;
    }
    drawing.append(text(right + 8, y + 18, count(n), { class: "value" }));
  });
  return drawing;
};

const failures = ({ n_failed, failure_rate: rate, failures: kinds, n_calls }) => {
  if (!n_calls) return "no calls";
  return n_failed ? { text: percent(rate), title: failuresText(kinds) } : "none";
};

const meanCost = ({ usd, why }) => {
  if (why === "known") return dollars(usd);
  return why === "unpriced" ? "unpriced" : UNKNOWN;
};

export const members = (all) => {
  const rows = all.filter((member) => member.in_ensemble);
  by("members-plot").setAttribute("data-rows", rows.length);
  chart(
    by("members-plot"),
    { rows: rows.map((m) => ({ name: m.name, asked: m.share_asked, first: m.share_first })) },
    drawShares,
  );
  const failed = all.filter((m) => m.n_failed);
  show(by("failures-figure"), failed.length > 0);
  if (failed.length) {
    const each = failed.map((m) => ({ name: m.name, n: m.n_failed, failures: m.failures }));
    chart(by("failures-plot"), { rows: each }, drawFailures);
  }
  table(
    by("members-table"),
    ["Member", "Circuit", "Asked first", "Asked at all", "Calls", "Failures", "No answer", "Median", "95 % below", "Dollars a reply"],
    all.map((m) => ({
      key: m.name,
      cells: [
        { text: m.name, small: m.in_ensemble ? "" : "by name only", title: m.name },
        circuit(m.circuit),
        m.in_ensemble ? percent(m.share_first) : "–",
        m.in_ensemble ? percent(m.share_asked) : "–",
        { text: count(m.n_calls), small: m.n_not_waited_for ? `+ ${count(m.n_not_waited_for)} not waited for` : "" },
        failures(m),
        count(m.n_without_answer),
        seconds(m.p50_s),
        seconds(m.p95_s),
        meanCost(m.mean_usd),
      ],
    })),
  );
};

// Drift ---------------------------------------------------------------------------------------

const drawDrift = ({ rows }, width) => {
  const height = ROW * rows.length + 26;
  const drawing = picture(
    width, height,
    rows.map((r) => `${r.name}: ${r.lately.n ? percent(r.lately.mean) : UNKNOWN} lately, ${percent(r.expected)} in training, ${r.verdict}`).join("; "),
  );
  const left = nameWidth(width);
  const right = width - 24;
  const known = rows.filter((r) => r.lately.n);
  const marks = steps(
    Math.min(...rows.map((r) => r.expected), ...known.map((r) => r.lately.low)),
    Math.max(...rows.map((r) => r.expected), ...known.map((r) => r.lately.high)),
  );
  const [least, most] = [marks[0], Math.max(marks.at(-1), marks[0] + 0.01)];
  const x = (share) => left + ((share - least) / (most - least)) * (right - left);
  const floor = ROW * rows.length;
  for (const mark of marks) {
    drawing.append(
      line(x(mark), 0, x(mark), floor, "grid"),
      text(x(mark), floor + 17, `${Math.round(100 * mark)} %`, { "text-anchor": "middle" }),
    );
  }
  rows.forEach((row, k) => {
    const y = ROW * (k + 0.5);
    drawing.append(named(0, y + 4, row.name, left - 12));
    if (row.lately.n) {
      const marked = ["worse", "better"].includes(row.verdict) ? row.verdict : "";
      const said = `${row.name}: ${percent(row.lately.mean)}, ${interval(row.lately)}, ${row.lately.n} judged`;
      drawing.append(
        line(x(row.lately.low), y, x(row.lately.high), y, `range ${marked}`),
        dot(x(row.lately.mean), y, `dot ${marked}`, said, 5),
      );
    }
    drawing.append(line(x(row.expected), y - 9, x(row.expected), y + 9, "mark"));
  });
  return drawing;
};

const verdicts = {
  worse: { text: "worse", kind: "text bad" },
  better: { text: "better", kind: "text good" },
  "as in training": { text: "no difference", kind: "text" },
  unknown: { text: UNKNOWN, kind: "text" },
};

export const drift = (all, over) => {
  const rows = all.filter((m) => m.drift).map((m) => ({ name: m.name, ...m.drift }));
  const marked = rows.filter((r) => r.verdict === "worse").map((r) => r.name);
  let said = `The latest ${several(over, "judged answer")}.`;
  if (!rows.length) said = "This checkpoint does not say how accurate its members were in training.";
  else if (!over) said = "No answer was judged yet, so nothing is known of drift.";
  else if (marked.length) said += ` Worse than in training: ${marked.join(", ")}.`;
  else said += " No member is shown to be worse than in training.";
  say(by("drift-text"), said);
  if (!rows.length) return;
  chart(by("drift-plot"), { rows }, drawDrift);
  table(
    by("drift-table"),
    ["Member", "Judged", "Lately", "In training, same tasks", { text: "Verdict", kind: "text" }],
    rows.map((r) => ({
      key: r.name,
      cells: [
        { text: r.name, title: r.name }, count(r.lately.n),
        r.lately.n ? { text: percent(r.lately.mean), small: interval(r.lately) } : UNKNOWN,
        { text: percent(r.expected), small: `${percent(r.training)} on all` }, verdicts[r.verdict],
      ],
    })),
  );
};
