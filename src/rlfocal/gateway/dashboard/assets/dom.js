// Builds and updates elements. Texts become text nodes, so that no name is ever markup.

const SVG = "http://www.w3.org/2000/svg";

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
};

export const el = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

export const by = (id) => document.getElementById(id);

// Touches nothing that stays as it is: selections and screen readers would notice.
export const say = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

export const show = (node, is) => {
  node.hidden = !is;
};

// A table's head and rows. A cell is a text, or {text, small, kind, href, title, parts}.
const cell = (tag, value, head) => {
  const given = typeof value === "string" ? { text: value } : value;
  const kind = [given.kind, given.small ? "two" : null].filter(Boolean).join(" ");
  const node = el(tag, { class: kind || null, scope: head, title: given.title });
  if (given.parts) {
    given.parts.forEach((part, k) => {
      if (k) node.append(", ");
      node.append(el("span", { class: part.kind, title: part.title }, part.text));
    });
  } else if (given.href) {
    node.append(el("a", { href: given.href }, given.text));
  } else {
    node.append(given.text);
  }
  if (given.small) node.append(" ", el("span", { class: "ci" }, given.small));
  return node;
};

const drawn = new WeakMap();

// Rows are kept by their keys, so that focus and scrolling survive an update.
export const table = (node, columns, rows) => {
  const heads = JSON.stringify(columns);
  let state = drawn.get(node);
  if (!state || state.heads !== heads) {
    const row = el("tr", {}, ...columns.map((column) => cell("th", column, "col")));
    const body = el("tbody");
    node.replaceChildren(el("thead", {}, row), body);
    state = { heads, body, rows: new Map() };
    drawn.set(node, state);
  }
  const next = new Map();
  for (const { key, cells } of rows) {
    const text = JSON.stringify(cells);
    const old = state.rows.get(key);
    if (old && old.text === text) {
      next.set(key, old);
      continue;
    }
    const made = cells.map((value, k) => cell(k ? "td" : "th", value, k ? null : "row"));
    const row = old ? old.row : el("tr");
    const hadFocus = row.contains(document.activeElement);
    row.replaceChildren(...made);
    if (hadFocus) row.querySelector("a")?.focus({ preventScroll: true });
    next.set(key, { row, text });
  }
  for (const [key, { row }] of state.rows) if (!next.has(key)) row.remove();
  let at = state.body.firstChild;
  for (const { row } of next.values()) {
    if (row === at) at = at.nextSibling;
    else state.body.insertBefore(row, at);
  }
  state.rows = next;
  const box = node.closest(".scroll");
  if (box) hint(box);
};

// A box that scrolls sideways shows that it does, as long as there is more to the right.
const hinted = new WeakSet();
const look = (box) =>
  box.classList.toggle("is-cut", box.scrollWidth - box.clientWidth - box.scrollLeft > 1);
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) look(target);
});

const hint = (box) => {
  if (!hinted.has(box)) {
    hinted.add(box);
    sizes.observe(box);
    box.addEventListener("scroll", () => look(box), { passive: true });
  }
  look(box);
};

// Terms and what is said of them: [[term, text], ...].
export const facts = (node, items) => {
  const text = JSON.stringify(items);
  if (drawn.get(node) === text) return;
  drawn.set(node, text);
  node.replaceChildren(...items.flatMap(([term, said]) => [el("dt", {}, term), el("dd", {}, said)]));
};

// Draws a chart in a box now, and again when the box's width or what is drawn changes.
const charts = new WeakMap();
const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) charts.get(target)?.();
});

export const chart = (node, data, draw) => {
  const text = JSON.stringify(data);
  const paint = () => {
    const width = Math.round(node.clientWidth);
    const same = charts.get(node);
    if (width === 0 || (same.text === text && same.width === width && same.painted)) return;
    same.width = width;
    same.painted = true;
    node.replaceChildren(draw(data, width));
  };
  const before = charts.get(node);
  if (before && before.text === text) return;
  const painted = () => paint();
  painted.text = text;
  charts.set(node, painted);
  if (!before) watch.observe(node);
  paint();
};
