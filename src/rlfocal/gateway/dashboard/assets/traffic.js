// Requests over time: how many and what came of them, how long they took, and each member.

import {
  amounts, hovers, legend, line, medianBand, named, picture, rect, roundSteps, text, timeAxis, when,
} from "./charts.js";
import { by, chart, say, show, table } from "./dom.js";
import { UNKNOWN, cost, count, moment, seconds, several, shortSeconds } from "./format.js";

const OUTCOMES = [
  ["answered", "fill-second", "answered"],
  ["failed", "fill-bad", "failed"],
  ["refused", "fill-other", "refused"],
  ["left", "count", "client hung up"],
];
const HEIGHT = 190;

const of = (bin, outcome) => bin.outcomes[outcome] ?? 0;
const total = (bin) => OUTCOMES.reduce((sum, [name]) => sum + of(bin, name), 0);
const span = (bin) => `${when(bin)} to ${when({ start: bin.end, end: 2 * bin.end - bin.start })}`;

const outcomesText = (bin) =>
  OUTCOMES.filter(([name]) => of(bin, name)).map(([name, , said]) => `${count(of(bin, name))} ${said}`).join(", ") ||
  "no requests";

const places = (bins, box) => {
  const each = (box.right - box.left) / bins.length;
  return [(k) => box.left + (k + 0.5) * each, each];
};

// Requests ----------------------------------------------------------------------------------------

const drawRequests = ({ bins }, width) => {
  const most = Math.max(0, ...bins.map(total));
  const drawing = picture(width, HEIGHT, `Requests in ${several(bins.length, "interval")} of time, ` +
    `${count(most)} in the busiest; the table below has all figures`);
  const box = { left: 44, right: width - 8, top: 26, bottom: HEIGHT - 26 };
  const y = amounts(drawing, Math.max(4, most), count, box);
  const [x, each] = places(bins, box);
  const there = OUTCOMES.filter(([name], k) => !k || bins.some((bin) => of(bin, name)));
  bins.forEach((bin, k) => {
    let below = 0;
    for (const [name, kind] of there) {
      const n = of(bin, name);
      if (n) drawing.append(rect(x(k) - 0.4 * each, y(below + n), 0.8 * each, y(below) - y(below + n), kind));
      below += n;
    }
  });
  drawing.append(line(box.left, box.bottom, box.right, box.bottom, "axis"));
  legend(drawing, there.map(([, kind, said]) => [kind, said]), box.left, 12);
  timeAxis(drawing, bins, x, HEIGHT - 6, box);
  hovers(drawing, bins, x, each, box.top, box.bottom, (bin) => `${span(bin)}: ${outcomesText(bin)}`);
  return drawing;
};

// Latency -----------------------------------------------------------------------------------------

const latencyText = ({ n, p50_s, p95_s }) =>
  n ? `median ${seconds(p50_s)}, 95 % below ${seconds(p95_s)} (${count(n)})` : "none";

const drawLatency = ({ bins }, width) => {
  const latencies = bins.map((bin) => bin.latency);
  const most = Math.max(0, ...latencies.map((one) => one.p95_s ?? 0));
  const known = latencies.filter((one) => one.n);
  const drawing = picture(width, HEIGHT, known.length
    ? `Latency of answered requests: median ${seconds(known[0].p50_s)} at first, ${seconds(known.at(-1).p50_s)} at last; the table below has all figures`
    : "Latency: no request was answered");
  const box = { left: 52, right: width - 8, top: 26, bottom: HEIGHT - 26 };
  const y = amounts(drawing, most, shortSeconds, box);
  const [x, each] = places(bins, box);
  medianBand(drawing, latencies, x, y);
  legend(drawing, [["dot", "median"], ["band", "up to what 95 % stay below"]], box.left, 12);
  timeAxis(drawing, bins, x, HEIGHT - 6, box);
  hovers(drawing, bins, x, each, box.top, box.bottom, (bin) => `${span(bin)}: ${latencyText(bin.latency)}`);
  return drawing;
};

// Members, each in a small chart of its own, from 0 to a number that stands at its top ---------------

const [PANEL, GAP, TALL, HEAD, FOOT] = [155, 28, 64, 24, 26];
const NONE = { n: 0, p50_s: null, p95_s: null };

const latencyOf = (bin, name) => bin.members[name] ?? NONE;

const drawMembers = ({ bins, names }, width) => {
  const columns = Math.max(1, Math.min(names.length, Math.floor((width + GAP) / (PANEL + GAP))));
  const rows = Math.ceil(names.length / columns);
  const each = (width - (columns - 1) * GAP) / columns;
  const drawing = picture(width, rows * (HEAD + TALL + FOOT) + 4, `Latency of ${several(names.length, "member")} over time: ` +
    names.map((name) => `${name} ${latencyText(bins.map((bin) => latencyOf(bin, name)).findLast((one) => one.n) ?? NONE)} at last`).join("; "));
  names.forEach((name, k) => {
    const left = (k % columns) * (each + GAP);
    const top = Math.floor(k / columns) * (HEAD + TALL + FOOT) + HEAD;
    const box = { left, right: left + each, top, bottom: top + TALL };
    const latencies = bins.map((bin) => latencyOf(bin, name));
    const most = roundSteps(Math.max(0, ...latencies.map((one) => one.p95_s ?? 0)), 3).at(-1);
    const y = (value) => box.bottom - (value / most) * TALL;
    const last = latencies.findLast((one) => one.n);
    const said = last ? seconds(last.p50_s) : "no replies";
    drawing.append(
      named(left, top - 8, name, each - 7 * said.length - 20),
      text(box.right, top - 8, said, { "text-anchor": "end" }),
      line(left, top, box.right, top, "grid"), line(left, box.bottom, box.right, box.bottom, "axis"),
    );
    const [x, wide] = places(bins, box);
    medianBand(drawing, latencies, x, y);
    drawing.append(
      text(left + 2, top + 12, shortSeconds(most), { class: "onto" }),
      text(left, box.bottom + 14, when(bins[0])),
      text(box.right, box.bottom + 14, when(bins.at(-1)), { "text-anchor": "end" }),
    );
    hovers(drawing, bins, x, wide, top, box.bottom, (bin) => `${name}, ${span(bin)}: ${latencyText(latencyOf(bin, name))}`);
  });
  return drawing;
};

// Tables and texts ----------------------------------------------------------------------------------

const turnedAway = (codes) => {
  const kinds = Object.entries(codes);
  if (!kinds.length) return "";
  const n = kinds.reduce((sum, [, k]) => sum + k, 0);
  const each = kinds.map(([code, k]) => `${count(k)} ${code}`).join(", ");
  return `Since this process started ${several(n, "request")} did not pass the door (${each}); the log has none of them.`;
};

const inTable = ({ p50_s, p95_s, n }) => (n ? `${seconds(p50_s)} / ${seconds(p95_s)}` : "–");

export const traffic = (found) => {
  const { intervals: bins, members: names } = found;
  chart(by("requests-plot"), { bins: bins.map(({ start, end, outcomes }) => ({ start, end, outcomes })) }, drawRequests);
  chart(by("latency-plot"), { bins: bins.map(({ start, end, latency }) => ({ start, end, latency })) }, drawLatency);
  const asked = names.filter((name) => bins.some((bin) => latencyOf(bin, name).n));
  show(by("latency-members"), asked.length > 0);
  if (asked.length) {
    const shown = bins.map(({ start, end, members }) => ({ start, end, members }));
    chart(by("latency-members-plot"), { bins: shown, names: asked }, drawMembers);
  }
  const part = found.n_read ? ` Of a busy interval about ${count(found.n_read)} requests are looked at.` : "";
  say(by("latency-members-note"), `Replies of each member: the median, which stands above as of late, and what 95 % stay below. Each has a scale of its own, from 0.${part}`);
  say(by("turned-away"), turnedAway(found.turned_away));
  table(
    by("traffic-table"),
    ["From", "Answered", "Failed", "Refused", "Hung up", "Median / 95 % below", "Dollars", ...asked],
    [...bins].reverse().map((bin) => ({
      key: bin.start,
      cells: [
        moment(bin.start), ...OUTCOMES.map(([name]) => count(of(bin, name))), inTable(bin.latency),
        total(bin) ? cost(bin) : UNKNOWN, ...asked.map((name) => inTable(latencyOf(bin, name))),
      ],
    })),
  );
};
