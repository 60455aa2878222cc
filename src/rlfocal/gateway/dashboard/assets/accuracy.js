// Accuracy by feedback over time.

import { dot, line, linePath, picture, rect, shares, text, timeAxis, when } from "./charts.js";
import { by, chart, say, svg, table } from "./dom.js";
import { UNKNOWN, count, interval, moment, percent, several } from "./format.js";

const HEIGHT = 240;

const draw = ({ bins }, width) => {
  const judged = bins.filter((bin) => bin.accuracy.n);
  const drawing = picture(width, HEIGHT, label(bins, judged));
  const box = { left: 52, right: width - 8, top: 10, bottom: HEIGHT - 74 };
  const low = Math.min(1, ...judged.map((bin) => bin.accuracy.low));
  const high = Math.max(0, ...judged.map((bin) => bin.accuracy.high));
  const y = judged.length ? shares(drawing, low, high, box) : shares(drawing, 0, 1, box);
  const each = (box.right - box.left) / bins.length;
  const x = (k) => box.left + (k + 0.5) * each;
  const most = Math.max(1, ...bins.map((bin) => bin.n_requests));
  const floor = HEIGHT - 24;
  bins.forEach((bin, k) => {
    const tall = (bin.n_requests / most) * 34;
    const said = `${when(bin)}: ${several(bin.n_requests, "request")}`;
    drawing.append(rect(x(k) - 0.35 * each, floor - tall, 0.7 * each, tall, "count", said));
  });
  drawing.append(line(box.left, floor, box.right, floor, "axis"));
  drawing.append(text(box.left, floor - 38, `requests, ${count(most)} at most`));
  const points = judged.map((bin) => ({ x: x(bins.indexOf(bin)), y: y(bin.accuracy.mean) }));
  bins.forEach((bin, k) => {
    const { n, mean, low: least, high: best } = bin.accuracy;
    if (!n) return;
    const said = `${when(bin)}: ${percent(mean)}, ${interval(bin.accuracy)}, ${n} judged`;
    drawing.append(line(x(k), y(least), x(k), y(best), "range"), dot(x(k), y(mean), "dot", said));
  });
  drawing.append(svg("path", { d: linePath(points) || "M0 0", class: "line" }));
  timeAxis(drawing, bins, x, HEIGHT - 6, box);
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
