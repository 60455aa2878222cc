// Accuracy by feedback over time.

import { dot, line, picture, rect, shares, text } from "./charts.js";
import { by, chart, say, svg, table } from "./dom.js";
import { UNKNOWN, clock, count, interval, moment, percent, several } from "./format.js";

const HEIGHT = 240;

const draw = ({ bins }, width) => {
  const judged = bins.filter((bin) => bin.accuracy.n);
  const drawing = picture(width, HEIGHT, label(bins, judged));
  const box = { left: 44, right: width - 8, top: 10, bottom: HEIGHT - 74 };
  const low = Math.min(1, ...judged.map((bin) => bin.accuracy.low));
  const high = Math.max(0, ...judged.map((bin) => bin.accuracy.high));
  const y = judged.length ? shares(drawing, low, high, box) : shares(drawing, 0, 1, box);
  const each = (box.right - box.left) / bins.length;
  const x = (k) => box.left + (k + 0.5) * each;
  const most = Math.max(1, ...bins.map((bin) => bin.n_requests));
  const floor = HEIGHT - 24;
  bins.forEach((bin, k) => {
    const tall = (bin.n_requests / most) * 34;
    const said = `${clock(bin.start, false)}: ${several(bin.n_requests, "request")}`;
    drawing.append(rect(x(k) - 0.35 * each, floor - tall, 0.7 * each, tall, "count", said));
  });
  drawing.append(line(box.left, floor, box.right, floor, "axis"));
  drawing.append(text(box.left, floor - 38, `requests, ${count(most)} at most`));
  const path = [];
  bins.forEach((bin, k) => {
    const { n, mean, low: least, high: best } = bin.accuracy;
    if (!n) return;
    const said = `${clock(bin.start, false)}: ${percent(mean)}, ${interval(bin.accuracy)}, ${n} judged`;
    path.push(`${path.length ? "L" : "M"}${x(k)} ${y(mean)}`);
    drawing.append(line(x(k), y(least), x(k), y(best), "range"), dot(x(k), y(mean), "dot", said));
  });
  drawing.append(svg("path", { d: path.join("") || "M0 0", class: "line" }));
  const every = Math.max(1, Math.ceil(bins.length / Math.floor((box.right - box.left) / 56)));
  bins.forEach((bin, k) => {
    if (k % every) return;
    const long = bins[0].end - bins[0].start >= 86400;
    const said = long ? moment(bin.start).slice(5, 10) : clock(bin.start, bin.end - bin.start < 60);
    drawing.append(text(x(k), HEIGHT - 6, said, { "text-anchor": "middle" }));
  });
  return drawing;
};

const label = (bins, judged) =>
  judged.length
    ? `Accuracy in ${several(judged.length, "span")} of time, from ${percent(judged[0].accuracy.mean)} ` +
      `to ${percent(judged.at(-1).accuracy.mean)} at last; the table below has all figures`
    : `No feedback in the time looked back on; ${bins.reduce((sum, b) => sum + b.n_requests, 0)} requests`;

export const accuracy = (found) => {
  say(
    by("accuracy-text"),
    found.n
      ? `${percent(found.mean)} of ${several(found.n, "judged answer")} (95 % interval ${interval(found)}).`
      : "No answer was judged yet in this time. Clients send feedback to POST /v1/feedback.",
  );
  const bins = found.over_time;
  chart(by("accuracy-plot"), { bins }, draw);
  table(
    by("accuracy-table"),
    ["From", "Requests", "Judged", "Accuracy", "95 % interval"],
    bins.map((bin) => ({
      key: bin.start,
      cells: [
        moment(bin.start), count(bin.n_requests), count(bin.accuracy.n),
        bin.accuracy.n ? percent(bin.accuracy.mean) : UNKNOWN, interval(bin.accuracy),
      ],
    })),
  );
};
