// The slider: what another price of a mistake, or another setting, would have cost and earned.

import { dot, line, picture, rect, shares, text } from "./charts.js";
import { by, chart, facts, say, show, table } from "./dom.js";
import { UNKNOWN, count, dollars, fixed, interval, percent, price, several } from "./format.js";

const HEIGHT = 240;
const state = { found: null, at: null };

// Prices of a call from dear to free: the dearer a call, the less a mistake counts.
const order = (found) => found.dials.map((value, k) => ({ value, k })).reverse();

const mistake = (value) => {
  if (value === 0) return "more than any number of calls";
  const calls = 1 / value;
  return `${calls >= 10 ? Math.round(calls).toLocaleString("en") : calls.toFixed(1)} calls`;
};

const played = (found, value) => found.replay.prices.find((p) => p.price === value) ?? null;

// Training judged at some prices only; of others it has the nearest one's figures.
const near = (judged, value) =>
  Math.abs(judged - value) <= 1e-4 * value ? "" : `at ${price(judged)}, the nearest price judged: `;

const share = (estimate) =>
  estimate.n ? `${percent(estimate.mean)} (${interval(estimate)}, ${count(estimate.n)} judged)` : UNKNOWN;

const replayText = (found, value) => {
  const { replay } = found;
  if (!replay.possible) return "this strategy cannot be played through";
  if (!replay.n) return "no request has left what this needs; they do where the setting keep_decisions is on";
  if (!replay.n_as_served) return `none of ${several(replay.n, "request")} is decided today as it was`;
  const one = played(found, value);
  const part = `${count(one?.n ?? 0)} of ${several(replay.n_as_served, "request")}`;
  if (!one || !one.n) return `${part} could be played through`;
  return `${part} could be played through (${percent(one.n / replay.n_as_served, 0)})`;
};

const isPrice = (found) => found.dial === "price";

const change = (now, other, said) => {
  const by = other ? Math.round(100 * (now / other - 1)) : 0;
  if (by === 0) return "the same";
  return `${Math.abs(by)} % ${by < 0 ? said[0] : said[1]}`;
};

// The row of a table: what it came to as served, what it would have come to, and the change.
const rightRow = ({ accuracy, served_accuracy: served, difference }) => {
  if (!accuracy.n) return ["Right answers", "none judged", "", ""];
  const points = (share) => `${Math.abs(100 * share).toFixed(1)} points`;
  let said = "no difference shown";
  if (difference.low > 0 || difference.high < 0) {
    said = `${points(difference.mean)} ${difference.mean > 0 ? "more" : "fewer"}`;
  } else if (difference.mean === 0 && difference.high === 0) said = "the same";
  return ["Right answers", percent(served.mean), percent(accuracy.mean),
    { text: said, small: `of ${count(accuracy.n)} judged` }];
};

const asText = (said) => (typeof said === "string" ? { text: said, kind: "text" } : { kind: "text", ...said });

const comparison = (one) => {
  const dear = (usd) => (usd === null ? "unpriced" : dollars(1000 * usd));
  return [
    ["Calls a request", fixed(one.served_n_calls), fixed(one.n_calls), change(one.n_calls, one.served_n_calls, ["fewer", "more"])],
    ["Dollars for 1,000 requests", dear(one.served_usd), dear(one.usd),
      one.usd === null ? "" : change(one.usd, one.served_usd, ["less", "more"])],
    rightRow(one),
  ];
};

// What the slider means, in words for who decides what may be spent.
const meaning = (found, value) => {
  if (!isPrice(found)) return `Clients that ask for a price get the setting of ${found.dial} that suits it.`;
  if (value === 0) return "Calls count for nothing: everybody is asked who could still change the answer.";
  const points = Number((100 * value).toPrecision(2));
  return `Another member is asked only while that is expected to make a right answer at least ${points} ` +
    `percentage ${points === 1 ? "point" : "points"} likelier.`;
};

const evidence = (found, value) => {
  const { replay } = found;
  const one = played(found, value);
  if (value === found.own && one?.n) return `This is the setting now. On ${several(one.n, "request")} that could be played again:`;
  if (one?.n) {
    return `Had it been set for the latest ${several(replay.n_as_served, "request")}: on the ${count(one.n)} of ` +
      `which that can be told (the others would have asked members whose answers nobody knows),`;
  }
  if (!replay.possible) return "What it would have changed cannot be told: this strategy cannot be played again.";
  if (!replay.n) {
    return "What it would have changed cannot be told yet: requests are played again where the gateway's " +
      "settings say keep_decisions = true (rlfocal serve --config).";
  }
  return "What it would have changed cannot be told: it would have asked members whose answers nobody knows.";
};

const servedText = (found, place) => {
  const { value, k } = order(found)[place];
  const served = found.served[k];
  const name = isPrice(found) ? `rlfocal:${price(value)}` : "that setting";
  if (!served.n) return isPrice(found) ? `Clients get it by the model name ${name}; so far nobody asked for it.` : "";
  const who = value === found.own ? "Served at this setting" : `Clients asked for it as ${name}`;
  const money = served.usd === null ? "unpriced" : `${dollars(1000 * served.usd)} for 1,000 requests`;
  const right = served.accuracy.n ? `, ${percent(served.accuracy.mean)} right of ${count(served.accuracy.n)} judged` : "";
  return `${who}: ${several(served.n, "request")}, ${fixed(served.n_calls)} calls each, ${money}${right}.`;
};

const factsAt = (found, place) => {
  const { value, k } = order(found)[place];
  const items = [isPrice(found)
    ? ["Price of a call", `${price(value)} of a right answer; clients ask for it as rlfocal:${price(value)}`]
    : [found.dial, `${price(value)}; clients ask for a price of a call, as rlfocal:0.02, which chooses it`]];
  const trained = found.training[k];
  items.push([
    "Training",
    trained
      ? `${near(trained.price, value)}${trained.acting} acts; worth ${fixed(trained.worth, 3)} a query (${trained.other}: ` +
        `${fixed(trained.other_worth, 3)}; difference ± ${Number(trained.standard_error.toPrecision(2))})`
      : UNKNOWN,
  ]);
  items.push(["Played through", replayText(found, value)]);
  const one = played(found, value);
  if (one?.n) items.push(["… accuracy", `${share(one.accuracy)}; as served: ${one.served_accuracy.n ? percent(one.served_accuracy.mean) : UNKNOWN}`]);
  const served = found.served[k];
  items.push(["Served", served.n ? `${several(served.n, "request")}, accuracy ${share(served.accuracy)}` : "nothing was served at this setting"]);
  return items;
};

const drawReplay = ({ points, chosen, own }, width) => {
  const known = points.filter((p) => p.accuracy.n);
  const drawing = picture(width, HEIGHT, points.map(
    (p) => `price ${price(p.value)}: ${p.n ? `${fixed(p.n_calls)} calls` : "not played through"}, accuracy ${percent(p.accuracy.mean)}`,
  ).join("; "));
  const box = { left: 52, right: width - 8, top: 24, bottom: HEIGHT - 86 };
  const each = (box.right - box.left) / points.length;
  const x = (k) => box.left + (k + 0.5) * each;
  const lows = known.flatMap((p) => [p.accuracy.low, p.served_accuracy.mean]);
  const highs = known.flatMap((p) => [p.accuracy.high, p.served_accuracy.mean]);
  const y = known.length ? shares(drawing, Math.min(...lows), Math.max(...highs), box) : shares(drawing, 0, 1, box);
  axis(drawing, points, { x, chosen, own, box });
  const most = Math.max(1, ...points.map((p) => Math.max(p.n_calls ?? 0, p.served_n_calls ?? 0)));
  const floor = HEIGHT - 24;
  const tall = (n) => (n / most) * 40;
  points.forEach((p, k) => {
    if (!p.n) return;
    const said = `price ${price(p.value)}: ${fixed(p.n_calls)} calls, as served ${fixed(p.served_n_calls)}`;
    drawing.append(
      rect(x(k) - 0.3 * each, floor - tall(p.n_calls), 0.6 * each, tall(p.n_calls), "fill-second", said),
      line(x(k) - 0.42 * each, floor - tall(p.served_n_calls), x(k) + 0.42 * each, floor - tall(p.served_n_calls), "axis"),
    );
    if (!p.accuracy.n) return;
    const right = `price ${price(p.value)}: ${share(p.accuracy)}`;
    drawing.append(
      dot(x(k), y(p.served_accuracy.mean), "ghost", null, 5),
      line(x(k), y(p.accuracy.low), x(k), y(p.accuracy.high), "range"),
      dot(x(k), y(p.accuracy.mean), "dot", right),
    );
  });
  drawing.append(line(box.left, floor, box.right, floor, "axis"));
  drawing.append(text(box.left - 8, floor - 32, most.toFixed(1), { "text-anchor": "end" }));
  drawing.append(text(box.left, 12, "accuracy ● (○ as served)"));
  drawing.append(text(box.left, HEIGHT - 72, "calls a request (line: as served)"));
  return drawing;
};

const drawTraining = ({ points, chosen, own }, width) => {
  const known = points.filter((p) => p.worth !== null);
  const drawing = picture(width, HEIGHT, known.map(
    (p) => `price ${price(p.value)}: worth ${fixed(p.worth, 3)}`).join("; "));
  const box = { left: 52, right: width - 8, top: 24, bottom: HEIGHT - 34 };
  const each = (box.right - box.left) / points.length;
  const x = (k) => box.left + (k + 0.5) * each;
  const worths = known.map((p) => p.worth);
  const y = shares(drawing, Math.max(0, Math.min(1, ...worths)), Math.max(0, ...worths), box);
  axis(drawing, points, { x, chosen, own, box });
  points.forEach((p, k) => {
    if (p.worth === null) return;
    drawing.append(dot(x(k), y(p.worth), "dot", `price ${price(p.value)}: worth ${fixed(p.worth, 3)}`));
  });
  drawing.append(text(box.left, 12, "worth of a query in training"));
  return drawing;
};

const axis = (drawing, points, { x, chosen, own, box }) => {
  const every = Math.max(1, Math.ceil(points.length / Math.floor((box.right - box.left) / 50)));
  points.forEach((p, k) => {
    if (k === chosen) drawing.append(line(x(k), 16, x(k), HEIGHT - 22, "chosen"));
    if (k % every === 0) {
      const bold = p.value === own ? { class: "value", "font-weight": 600 } : {};
      drawing.append(text(x(k), HEIGHT - 6, price(p.value), { "text-anchor": "middle", ...bold }));
    }
  });
};

const paint = () => {
  const { found, at } = state;
  const places = order(found);
  const { value } = places[at];
  const said = isPrice(found) ? mistake(value) : price(value);
  say(by("dial-text"), `${said}${value === found.own ? ", as now" : ""}`);
  by("dial").setAttribute("aria-valuetext", isPrice(found) ? `${said}; price of a call ${price(value)}` : said);
  say(by("price-says"), meaning(found, value));
  say(by("price-evidence"), evidence(found, value));
  const one = played(found, value);
  show(by("price-change-box"), Boolean(one?.n));
  if (one?.n) {
    // As it stands now nothing would change.
    const n = value === found.own ? 2 : 4;
    table(
      by("price-change"), ["", "As served", "At this setting", { text: "Change", kind: "text" }].slice(0, n),
      comparison(one).map((cells) => ({ key: cells[0], cells: [...cells.slice(0, 3), asText(cells[3])].slice(0, n) })),
    );
  }
  say(by("price-served"), servedText(found, at));
  facts(by("price-facts"), factsAt(found, at));
  const replays = found.replay.prices.some((p) => p.n);
  if (replays) {
    const none = { n: 0, accuracy: { n: 0, mean: null }, served_accuracy: { n: 0 } };
    const points = places.map((p) => ({ value: p.value, ...(played(found, p.value) ?? none) }));
    chart(by("price-plot"), { points, chosen: at, own: found.own }, drawReplay);
    say(by("price-caption"),
      "By price of a call, from dear to free. Every price is about the requests that could be played through at it, so compare it with the same requests as served, not with its neighbours.");
  } else {
    const points = places.map((p) => ({ value: p.value, worth: found.training[p.k]?.worth ?? null }));
    chart(by("price-plot"), { points, chosen: at, own: found.own }, drawTraining);
    say(by("price-caption"),
      "By price of a call, from dear to free: share of right answers less the price of the calls, out of fold in training.");
  }
};

export const frontier = (found) => {
  show(by("price"), found.dials.length > 0);
  if (!found.dials.length) return;
  say(by("h-price"), isPrice(found) ? "The price of a mistake" : `Settings of ${found.dial}`);
  say(by("dial-label"), isPrice(found) ? "A mistake counts as much as" : found.dial);
  const before = state.found ? order(state.found)[state.at].value : found.own;
  state.found = found;
  const places = order(found);
  const dial = by("dial");
  dial.max = String(places.length - 1);
  state.at = Math.max(0, places.findIndex((p) => p.value === before));
  dial.value = String(state.at);
  paint();
  table(
    by("price-table"),
    [isPrice(found) ? "Price of a call" : found.dial, "Worth in training", { text: "Acts", kind: "text" }, "Played through", "Calls", "as served", "Dollars", "as served", "Accuracy", "as served", "Served"],
    places.map(({ value, k }) => {
      const one = played(found, value);
      const trained = found.training[k];
      const has = one?.n ? one : null;
      return {
        key: value,
        cells: [
          price(value), trained ? fixed(trained.worth, 3) : UNKNOWN, { text: trained?.acting ?? UNKNOWN, kind: "text" },
          `${count(one?.n ?? 0)} of ${count(found.replay.n_as_served)}`,
          has ? fixed(has.n_calls) : "–", has ? fixed(has.served_n_calls) : "–",
          has ? (has.usd === null ? "unpriced" : dollars(has.usd)) : "–",
          has ? (has.usd === null ? "unpriced" : dollars(has.served_usd)) : "–",
          has?.accuracy.n ? percent(has.accuracy.mean) : "–",
          has?.accuracy.n ? percent(has.served_accuracy.mean) : "–",
          count(found.served[k].n),
        ],
      };
    }),
  );
};

by("dial")?.addEventListener("input", (event) => {
  state.at = Number(event.target.value);
  if (state.found) paint();
});
