// Keys: who asks how much, what it came to, and what is left of a budget. Never a key itself.

import { named, picture, rect, text } from "./charts.js";
import { by, chart, say, show, table } from "./dom.js";
import { cost, count, dollars, moment, several } from "./format.js";

const ROW = 26;
const MOST = 8;

const nameOf = (key) => key.name ?? "without a key";

const drawSpending = ({ rows }, width) => {
  const drawing = picture(width, ROW * rows.length + 4,
    `Spending: ${rows.map((row) => `${row.name} ${dollars(row.usd)}`).join("; ")}`);
  const left = Math.min(200, 0.34 * width);
  const right = width - 76;
  const most = Math.max(...rows.map((row) => row.usd));
  rows.forEach(({ name, usd }, k) => {
    const y = ROW * k;
    drawing.append(
      named(0, y + 17, name, left - 12),
      rect(left, y + 5, right - left, 16, "track"),
      rect(left, y + 5, (usd / most) * (right - left), 16, "fill-second", `${name}: ${dollars(usd)}`),
      text(right + 8, y + 17, dollars(usd), { class: "value" }),
    );
  });
  return drawing;
};

// The dearest few, and the others together.
const spenders = (keys) => {
  const spent = keys.filter((key) => key.usd > 0).map((key) => ({ name: nameOf(key), usd: key.usd }));
  if (spent.length <= MOST) return spent;
  const others = spent.slice(MOST - 1);
  const sum = others.reduce((so, one) => so + one.usd, 0);
  return [...spent.slice(0, MOST - 1), { name: `${others.length} others`, usd: sum }];
};

const periods = { day: "a day", month: "a month", total: "in all" };

const state = (key) => {
  if (!key.name) return { text: "–", kind: "text" };
  if (key.state !== "active") return { text: key.state, kind: "text bad" };
  return { text: key.admin ? "active, admin" : "active", kind: "text" };
};

const budget = ({ budget_usd: usd, period }) =>
  usd === null || usd === undefined ? "none" : { text: dollars(usd), small: periods[period] };

const left = ({ budget_usd: usd, left_usd: rest }) => {
  if (usd === null || usd === undefined) return "–";
  return { text: dollars(rest), kind: rest <= 0.1 * usd ? "bad" : null };
};

const lastUsed = ({ last_at: at, last_day: day }) => (at ? moment(at) : (day ?? "never"));

export const keys = ({ keys: all, n_keys: n }) => {
  const rows = spenders(all);
  show(by("keys-figure"), rows.length > 1);
  if (rows.length > 1) chart(by("keys-plot"), { rows }, drawSpending);
  show(by("keys-more"), n > all.length);
  say(by("keys-more"), `${several(n, "key")} in all; those that spent most are shown.`);
  table(
    by("keys-table"),
    ["Key", { text: "State", kind: "text" }, "Requests", "Spent", "Budget", "Left", "Last used"],
    all.map((key) => ({
      key: key.id ?? "",
      cells: [
        { text: nameOf(key), title: key.id ? `id ${key.id}` : null }, state(key),
        count(key.n_requests), cost(key), budget(key), left(key), lastUsed(key),
      ],
    })),
  );
};
