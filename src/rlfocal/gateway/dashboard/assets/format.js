// Figures in words. What is not known is never shown as 0.

export const UNKNOWN = "not known";

const known = (value) => value !== null && value !== undefined;

export const count = (n) => n.toLocaleString("en");

export const percent = (share, digits = 1) =>
  known(share) ? `${(100 * share).toFixed(digits)} %` : UNKNOWN;

export const dollars = (usd) => {
  if (!known(usd)) return UNKNOWN;
  if (usd === 0) return "$0";
  const size = Math.abs(usd);
  const digits = size >= 1 ? 2 : Math.min(12, 2 - Math.floor(Math.log10(size)));
  return `${usd < 0 ? "−" : ""}$${size.toFixed(digits)}`;
};

export const seconds = (s) => {
  if (!known(s)) return UNKNOWN;
  if (s >= 10) return `${s.toFixed(1)} s`;
  if (s >= 1) return `${s.toFixed(2)} s`;
  return `${(1000 * s).toFixed(s >= 0.1 ? 0 : 1)} ms`;
};

// On an axis: no more digits than it takes.
export const shortSeconds = (s) => {
  if (s === 0) return "0";
  return s >= 1 ? `${Number(s.toPrecision(3))} s` : `${Number((1000 * s).toPrecision(3))} ms`;
};

export const fixed = (value, digits = 2) => (known(value) ? value.toFixed(digits) : UNKNOWN);

const pad = (n) => String(n).padStart(2, "0");

export const clock = (at, withSeconds = true) => {
  const day = new Date(1000 * at);
  const short = `${pad(day.getHours())}:${pad(day.getMinutes())}`;
  return withSeconds ? `${short}:${pad(day.getSeconds())}` : short;
};

export const moment = (at) => {
  const day = new Date(1000 * at);
  return `${day.getFullYear()}-${pad(day.getMonth() + 1)}-${pad(day.getDate())} ${clock(at)}`;
};

export const interval = ({ n, low, high }) =>
  n ? `${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)} %` : "";

// "1 call", "2 calls".
export const several = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

// What a request came to: replies without a price make it a lower bound, or nothing at all.
export const cost = ({ usd, n_unpriced }) => {
  if (!n_unpriced) return dollars(usd);
  return usd > 0 ? `≥ ${dollars(usd)}` : "unpriced";
};

// A price of a call, as much as a right answer is worth.
export const price = (value) => (value === 0 ? "0" : String(Number(value.toPrecision(3))));

// Why something is not known, member by member: {"b": "unpriced", "c": "not asked"}.
export const why = (unknown) => {
  const words = { unpriced: "unpriced", "not asked": "never asked" };
  return Object.entries(unknown)
    .map(([name, reason]) => `${name}: ${words[reason] ?? reason}`)
    .join("; ");
};

// An answer as it is kept: of long ones only a digest is.
export const answer = (text) => {
  if (text === null || text === undefined) return "no answer";
  return text.startsWith("sha256:") ? `a long answer (${text.slice(7, 15)}…)` : text;
};
