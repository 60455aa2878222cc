// What charts share: scales, axes, bars, lines with bands, dots with their intervals.

import { svg } from "./dom.js";
import { clock, moment } from "./format.js";

export const picture = (width, height, label) => {
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  drawing.setAttribute("height", height);
  return drawing;
};

export const text = (x, y, said, attributes = {}) => svg("text", { x, y, ...attributes }, said);

export const line = (x1, y1, x2, y2, kind) => svg("line", { x1, y1, x2, y2, class: kind });

export const rect = (x, y, width, height, kind, said = null) =>
  svg("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height), class: kind },
    said ? svg("title", {}, said) : null);

export const dot = (x, y, kind, said = null, r = 4) =>
  svg("circle", { cx: x, cy: y, r, class: kind }, said ? svg("title", {}, said) : null);

// Round steps that cover [low, high] in [0, 1].
export const steps = (low, high) => {
  const step = [0.01, 0.02, 0.05, 0.1, 0.25].find((size) => (high - low) / size <= 5) ?? 0.25;
  const first = Math.max(0, Math.floor(low / step + 1e-9) * step);
  const last = Math.min(1, Math.ceil(high / step - 1e-9) * step);
  const found = [];
  for (let at = first; at <= last + 1e-9; at += step) found.push(at);
  return found;
};

// Round steps from 0 that cover an amount: 1, 2 or 5 times a power of ten, at most so many.
export const roundSteps = (most, n = 4) => {
  if (!(most > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / n));
  const step = [1, 2, 5, 10].map((part) => part * power).find((size) => most / size <= n);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, k) => k * step);
};

const across = (drawing, marks, said, { left, right, top, bottom }) => {
  const [least, most] = [marks[0], marks.at(-1)];
  const y = (value) => bottom - ((value - least) / (most - least)) * (bottom - top);
  for (const mark of marks) {
    drawing.append(
      line(left, y(mark), right, y(mark), "grid"),
      text(left - 8, y(mark) + 4, said(mark), { "text-anchor": "end" }),
    );
  }
  return y;
};

// A vertical axis of shares from top to bottom, with lines across.
export const shares = (drawing, low, high, box) => {
  const marks = steps(low, high);
  if (marks.length === 1) marks.push(marks[0] + 0.01);
  return across(drawing, marks, (mark) => `${Math.round(100 * mark)} %`, box);
};

// A vertical axis of amounts from 0; `said` writes one.
export const amounts = (drawing, most, said, box, n = 4) =>
  across(drawing, roundSteps(most, n), said, box);

// Colours and what they stand for, in a line from x on.
export const legend = (drawing, items, x, y) => {
  let at = x;
  for (const [kind, said] of items) {
    drawing.append(rect(at, y - 9, 10, 10, kind), text(at + 15, y, said));
    at += 15 + 6.3 * said.length + 14;
  }
};

// When a span of time began, as exactly as its length needs.
export const when = ({ start, end }) => {
  const width = end - start;
  if (width >= 86400) return moment(start).slice(5, 10);
  if (width > 3600) return moment(start).slice(5, 16);
  return clock(start, width < 60);
};

// Times below bars at the places x(k), as many as there is room for.
export const timeAxis = (drawing, bins, x, y, { left, right }) => {
  if (!bins.length) return;
  const room = 6.5 * when(bins[0]).length + 18;
  const every = Math.max(1, Math.ceil(bins.length / Math.max(1, Math.floor((right - left) / room))));
  bins.forEach((bin, k) => {
    const beyond = x(k) + room / 2 - 9 > right + 8;
    if (k % every || beyond) return;
    drawing.append(text(x(k), y, when(bin), { "text-anchor": "middle" }));
  });
};

// Lines through the points that are known: {x, y} or null; a gap stays a gap.
export const linePath = (points) => {
  let pen = "M";
  return points.map((point) => {
    if (point === null) {
      pen = "M";
      return "";
    }
    const part = `${pen}${point.x.toFixed(1)} ${point.y.toFixed(1)}`;
    pen = "L";
    return part;
  }).join("");
};

// A median as a line, below a band up to what 95 % stay below; one point alone is a dot.
export const medianBand = (drawing, bins, x, y) => {
  const known = (bin) => bin.n > 0;
  const runs = [];
  bins.forEach((bin, k) => {
    if (!known(bin)) return;
    if (k && known(bins[k - 1])) runs.at(-1).push(k);
    else runs.push([k]);
  });
  for (const run of runs) {
    const upper = run.map((k) => ({ x: x(k), y: y(bins[k].p95_s) }));
    const lower = run.map((k) => ({ x: x(k), y: y(bins[k].p50_s) }));
    if (run.length === 1) {
      drawing.append(line(upper[0].x, upper[0].y, lower[0].x, lower[0].y, "range"), dot(lower[0].x, lower[0].y, "dot", null, 2.5));
      continue;
    }
    const band = linePath([...upper, ...[...lower].reverse()]);
    drawing.append(
      svg("path", { d: `${band}Z`, class: "band" }),
      svg("path", { d: linePath(lower), class: "line" }),
    );
  }
};

// Columns that nothing is seen of until one points at them: their titles say what is there.
export const hovers = (drawing, bins, x, each, top, bottom, said) => {
  bins.forEach((bin, k) => {
    drawing.append(rect(x(k) - each / 2, top, each, bottom - top, "hover", said(bin)));
  });
};

// A name that fits a width; the whole of it is in the title.
export const shortened = (name, width) => {
  const most = Math.max(4, Math.floor(width / 7));
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
};

export const named = (x, y, name, width, attributes = {}) =>
  svg("text", { x, y, class: "name", ...attributes }, shortened(name, width),
    svg("title", {}, name));
