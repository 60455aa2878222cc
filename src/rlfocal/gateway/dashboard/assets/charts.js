// What charts share: scales, axes, dots with their intervals.

import { svg } from "./dom.js";

export const picture = (width, height, label) =>
  svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });

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

// A vertical axis of shares from top to bottom, with lines across.
export const shares = (drawing, low, high, { left, right, top, bottom }) => {
  const marks = steps(low, high);
  const [least, most] = [marks[0], Math.max(marks.at(-1), marks[0] + 0.01)];
  const y = (share) => bottom - ((share - least) / (most - least)) * (bottom - top);
  for (const mark of marks) {
    drawing.append(
      line(left, y(mark), right, y(mark), "grid"),
      text(left - 8, y(mark) + 4, `${Math.round(100 * mark)} %`, { "text-anchor": "end" }),
    );
  }
  return y;
};

// A name that fits a width; the whole of it is in the title.
export const shortened = (name, width) => {
  const most = Math.max(4, Math.floor(width / 7));
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
};

export const named = (x, y, name, width, attributes = {}) =>
  svg("text", { x, y, class: "name", ...attributes }, shortened(name, width),
    svg("title", {}, name));
