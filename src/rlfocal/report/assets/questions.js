// The viewer of questions: a list of which only the rows in sight exist, and one question beside it.
// Everything from the data becomes text nodes (`el`), never markup. What is shown stands in the
// address (#browse&show=won&a=..&b=..&q=ID), so that it can be passed on.
(() => {
  "use strict";
  const viewer = document.getElementById("viewer");
  if (!viewer) return;

  const ROW_PX = 60; // as --row in questions.css
  const MARGIN_ROWS = 6;
  const NO_ANSWER = -1;
  const NOT_RECORDED = -2;
  const narrow = matchMedia("(max-width: 56rem)");
  const part = Object.fromEntries(
    [...viewer.querySelectorAll("[data-is]")].map((node) => [node.dataset.is, node]),
  );
  const form = part.filters.elements;
  const FIELDS = ["find", "task", "show", "a", "b", "sort"];

  // Elements -----------------------------------------------------------------------------------

  const el = (tag, traits = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(traits)) {
      if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
      else if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  };

  // Numbers as the rest of the page writes them.
  const percent = (share) => `${Math.round(100 * share)}\u202f%`;
  const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
  const cost = (value) => {
    if (index.unit === "usd") return String(Number((1000 * value).toPrecision(3)));
    return String(Number(value.toPrecision(3)));
  };
  const COST_TITLE = { usd: "USD / 1k", second: "Seconds" };

  // A mark says right or wrong in sign, word and colour.
  const mark = (score) => {
    if (score === null || score === undefined) return el("span", { class: "mark" }, "not measured");
    if (score >= 1) return el("span", { class: "mark good" }, "✓ right");
    if (score <= 0) return el("span", { class: "mark bad" }, "✗ wrong");
    return el("span", { class: `mark ${score >= 0.5 ? "good" : "bad"}` }, `scored ${Number(score.toPrecision(2))}`);
  };

  // Data ---------------------------------------------------------------------------------------

  const loading = new Map();
  const loaded = new Map();
  const load = (name) => {
    if (!loading.has(name)) {
      loading.set(name, unpack(name).then((value) => { loaded.set(name, value); return value; }));
    }
    return loading.get(name);
  };

  const unpack = async (name) => {
    const text = atob(document.getElementById(`questions-${name}`).textContent);
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  let index = null;
  const size = () => index.index.id.length;
  const number = (id) => index.index.id.indexOf(id);
  const place = (i) => [Math.floor(i / index.block), i % index.block];
  const asked = (i) => {
    const [block, at] = place(i);
    const found = loaded.get(`asked-${block}`);
    return found && { prompt: found.prompt[at], choices: found.choices[at] };
  };

  // What is looked at --------------------------------------------------------------------------

  const state = { find: "", task: "", show: "", a: "", b: "", sort: "", q: "" };
  let found = []; // numbers of questions, in the order of the list
  let cursor = 0; // place in `found`
  let request = 0; // a later search makes an earlier one give up

  const scores = (name) => index.score[name] || [];
  const SHOWS = {
    disagree: (i) => index.index.disagreement[i] > 0,
    wrong: (i) => index.index.recorded[i] > 0 && index.index.right[i] === 0,
    right: (i) => index.index.recorded[i] > 0 && index.index.right[i] === index.index.recorded[i],
    won: (i) => differs(scores(state.a)[i], scores(state.b)[i]),
    lost: (i) => differs(scores(state.b)[i], scores(state.a)[i]),
    unlabelled: (i) => !index.index.labelled[i],
  };
  const differs = (more, less) => more !== null && less !== null && more > less;

  const search = async () => {
    const mine = (request += 1);
    const wanted = state.find.trim().toLowerCase();
    const fits = SHOWS[state.show] || (() => true);
    const task = state.task === "" ? null : index.tasks.indexOf(state.task);
    let hits = Array.from({ length: size() }, (_, i) => i).filter(
      (i) => fits(i) && (task === null || index.index.task[i] === task),
    );
    if (wanted) {
      const blocks = [...new Set(hits.map((i) => place(i)[0]))];
      await Promise.all(blocks.map((block) => load(`asked-${block}`)));
      if (mine !== request) return;
      hits = hits.filter(
        (i) =>
          index.index.id[i].toLowerCase().includes(wanted) ||
          asked(i).prompt.toLowerCase().includes(wanted),
      );
    }
    if (state.sort === "disagreement") {
      const { disagreement } = index.index;
      hits.sort((i, j) => disagreement[j] - disagreement[i] || i - j);
    }
    found = hits;
    part.count.textContent =
      found.length === size()
        ? count(size(), "question")
        : `${found.length.toLocaleString("en")} of ${count(size(), "question")}`;
    part.none.hidden = found.length > 0;
    cursor = Math.max(0, found.indexOf(number(state.q)));
    for (const row of rows.values()) row.remove();
    rows.clear();
    part.space.style.height = `${found.length * ROW_PX}px`;
    reveal();
    drawRows();
  };

  // The list -----------------------------------------------------------------------------------

  const rows = new Map(); // place in `found` → its element

  const drawRows = () => {
    const top = part.list.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW_PX) - MARGIN_ROWS);
    const last = Math.min(found.length, Math.ceil((top + part.list.clientHeight) / ROW_PX) + MARGIN_ROWS);
    for (const [at, row] of rows) {
      if (at < first || at >= last) {
        row.remove();
        rows.delete(at);
      }
    }
    const missing = new Set();
    for (let at = first; at < last; at += 1) {
      const ready = asked(found[at]);
      if (!ready) missing.add(place(found[at])[0]);
      if (!rows.has(at) || (ready && rows.get(at).dataset.empty)) {
        rows.get(at)?.remove();
        rows.set(at, row(at, ready));
        part.space.append(rows.get(at));
      }
    }
    for (const [at, node] of rows) node.setAttribute("aria-selected", at === cursor);
    part.list.setAttribute("aria-activedescendant", rows.has(cursor) ? `row-${cursor}` : "");
    for (const block of missing) load(`asked-${block}`).then(drawSoon);
  };

  let drawing = false;
  const drawSoon = () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      drawRows();
    });
  };

  const row = (at, ready) => {
    const i = found[at];
    const { id, right, recorded, task } = index.index;
    const score = scores(state.a)[i];
    const node = el(
      "div",
      {
        class: "row", role: "option", id: `row-${at}`,
        "aria-posinset": at + 1, "aria-setsize": found.length,
        on: { click: () => { cursor = at; open(); } },
      },
      el("p", { class: "prompt" }, ...(ready ? snippet(ready.prompt) : ["…"])),
      el(
        "p",
        { class: "about" },
        el("span", { class: "id" }, id[i]),
        index.tasks.length > 1 ? el("span", {}, index.tasks[task[i]]) : null,
        el("span", { class: "whole" }, `${right[i]} of ${recorded[i]} right`),
        el("span", { class: "whole by", title: state.a }, "A: ", mark(score)),
      ),
    );
    node.style.transform = `translateY(${at * ROW_PX}px)`;
    if (!ready) node.dataset.empty = "1";
    return node;
  };

  // The beginning of a prompt, or what stands around the words searched for.
  const snippet = (prompt) => {
    const text = prompt.replace(/\s+/g, " ").trim();
    const wanted = state.find.trim();
    const at = wanted ? text.toLowerCase().indexOf(wanted.toLowerCase()) : -1;
    if (at < 0) return [text.slice(0, 240)];
    const from = at > 40 ? at - 30 : 0;
    return [
      (from ? "…" : "") + text.slice(from, at),
      el("mark", {}, text.slice(at, at + wanted.length)),
      text.slice(at + wanted.length, at + 240),
    ];
  };

  const reveal = () => {
    const top = cursor * ROW_PX;
    const height = part.list.clientHeight;
    if (top < part.list.scrollTop) part.list.scrollTop = top;
    else if (top + ROW_PX > part.list.scrollTop + height) part.list.scrollTop = top + ROW_PX - height;
  };

  // One question -------------------------------------------------------------------------------

  const show = async () => {
    const i = number(state.q);
    viewer.classList.toggle("reading", i >= 0);
    if (i < 0) {
      const hint = state.q === "" ? "Choose a question." : `There is no question "${state.q}".`;
      part.one.replaceChildren(el("p", { class: "hint" }, hint));
      viewer.dataset.shown = "";
      return;
    }
    const wanted = state.q;
    const [block, at] = place(i);
    const [, said] = await Promise.all([load(`asked-${block}`), load(`said-${block}`)]);
    if (state.q !== wanted) return;
    const of = (name) => said[name]?.[at];
    const one = {
      i,
      ...asked(i),
      label: of("label"),
      candidates: of("candidates"),
      worth: of("worth"),
      answer: of("answer"),
      reply: of("reply"),
      runs: said.runs.map((columns, r) => ({
        ...index.runs[r],
        ...Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[at]])),
      })),
    };
    part.one.replaceChildren(...pieces(one));
    part.one.scrollTop = 0;
    viewer.dataset.shown = state.q;
  };

  const pieces = (one) => {
    const where = found.indexOf(one.i);
    const { id, task } = index.index;
    const position = where < 0 ? "not in this list" : `${where + 1} of ${found.length.toLocaleString("en")}`;
    const button = (text, label, step) =>
      el("button", { type: "button", "aria-label": label, on: { click: () => move(step) } }, text);
    const run = one.runs.find((r) => r.strategy === state.a);
    return [
      el(
        "div",
        { class: "bar-of-one" },
        el("button", { type: "button", class: "plain back", on: { click: back } }, "← List"),
        el("span", {}, position),
        button("↑", "Previous question", -1),
        button("↓", "Next question", 1),
      ),
      el("h3", {}, id[one.i], ...(index.tasks.length > 1 ? [el("span", { class: "task" }, index.tasks[task[one.i]])] : [])),
      el("div", { class: "text" }, one.prompt),
      one.choices ? choices(one) : null,
      label(one),
      el("h4", {}, "What each member said"),
      run ? el("p", { class: "soft" }, asking(run)) : null,
      members(one, run),
      el("h4", {}, "What each strategy answered"),
      strategies(one),
    ].filter(Boolean);
  };

  const label = (one) => {
    if (one.label === null) return el("p", { class: "label" }, "Not labelled: answers were scored otherwise.");
    return one.choices ? null : el("p", { class: "label" }, "Label: ", el("strong", {}, one.label));
  };

  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const choices = (one) =>
    el(
      "ul",
      { class: "choices" },
      ...one.choices.map((text, k) => {
        const right = one.label === LETTERS[k];
        const n = one.answer.filter((slot) => slot >= 0 && one.candidates[slot] === LETTERS[k]).length;
        return el(
          "li",
          right ? { class: "good" } : {},
          el("span", { class: "letter" }, `${LETTERS[k]}.`),
          el("span", {}, text, right ? el("span", { class: "mark good" }, " ✓ label") : ""),
          el("span", { class: "n" }, n ? count(n, "member") : ""),
        );
      }),
    );

  const asking = (run) => {
    const rounds = run.asked.map((round) => round.map((m) => index.members[m]).join(", "));
    if (!rounds.length) return `${run.strategy} asked nobody whose answer is recorded.`;
    if (rounds.length === 1) return `${run.strategy} asked ${rounds[0]}, in one round.`;
    return `${run.strategy} asked ${rounds.join("; then ")}.`;
  };

  const scored = (one, slot) => (slot === NOT_RECORDED ? null : slot < 0 ? 0 : one.worth[slot]);
  const answered = (one, slot, none = "no answer") => {
    if (slot === NOT_RECORDED) return el("span", { class: "soft" }, "not recorded");
    if (slot === NO_ANSWER) return el("span", { class: "soft" }, none);
    return el("span", { class: "answer" }, one.candidates[slot]);
  };

  // Titles that begin with # stand over numbers.
  const table = (head, body) =>
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": head[0] },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ...head.map((title) =>
          el("th", { scope: "col", class: title.startsWith("#") ? "number" : "" }, title.replace("#", ""))))),
        el("tbody", {}, ...body),
      ),
    );

  // Members in the order in which the strategy asked them, then those that it did not ask.
  const members = (one, run) => {
    const turns = run ? run.asked : [];
    const order = turns.flat();
    const others = index.members.map((_, m) => m).filter((m) => !order.includes(m));
    const round = (m) => {
      const turn = turns.findIndex((of) => of.includes(m));
      return turn < 0 ? "–" : String(turn + 1);
    };
    const body = [...order, ...others].map((m) => {
      const slot = one.answer[m];
      const reply = one.reply?.[m] ?? null;
      const text = reply === null ? null : el(
        "tr",
        { class: "reply", hidden: "" },
        el("td", { colspan: "5" }, el("div", { class: "text" }, reply)),
      );
      const cells = el(
        "tr",
        { class: order.includes(m) ? "" : "unasked" },
        el("th", { scope: "row" }, index.members[m]),
        el("td", { class: "said" }, answered(one, slot, "no usable answer")),
        el("td", {}, slot === NOT_RECORDED ? "" : mark(scored(one, slot))),
        el("td", { class: "number" }, run ? round(m) : ""),
        one.reply ? el("td", {}, text && opener(`Reply of ${index.members[m]}`, text)) : null,
      );
      return [cells, text];
    });
    const head = ["Member", "Answer", "", run ? "#Round" : "", ...(one.reply ? [""] : [])];
    return table(head, body.flat().filter(Boolean));
  };

  // A button that shows and hides a row beneath.
  const opener = (label, row) => {
    const button = el("button", { type: "button", class: "plain", "aria-expanded": "false", "aria-label": label }, "Reply");
    button.addEventListener("click", () => {
      row.hidden = !row.hidden;
      button.setAttribute("aria-expanded", String(!row.hidden));
    });
    return button;
  };

  const strategies = (one) => {
    const seeds = new Set(one.runs.filter((r) => r.seed !== one.runs[0].seed).map((r) => r.strategy));
    const priced = index.unit in COST_TITLE;
    const body = one.runs.map((run) => {
      const name = seeds.has(run.strategy) ? `${run.strategy}, seed ${run.seed}` : run.strategy;
      const pick = el(
        "button",
        {
          type: "button", class: "plain", title: "See whom it asked",
          "aria-pressed": run.strategy === state.a,
          on: { click: () => change({ a: run.strategy }) },
        },
        name,
      );
      return el(
        "tr",
        run.strategy === state.a ? { class: "chosen" } : {},
        el("th", { scope: "row" }, pick),
        el("td", { class: "said" }, answered(one, run.answer)),
        el("td", {}, mark(run.score)),
        el("td", { class: "number" }, String(run.calls)),
        ...(priced ? [el("td", { class: "number" }, cost(run.cost))] : []),
        el("td", { class: "number" }, percent(run.confidence)),
      );
    });
    const head = ["Strategy", "Answer", "", "#Calls", ...(priced ? [`#${COST_TITLE[index.unit]}`] : []), "#Confidence"];
    return table(head, body);
  };

  // Acting -------------------------------------------------------------------------------------

  const address = () => {
    const pairs = FIELDS.filter((name) => state[name] !== defaults[name]).map((name) => [name, state[name]]);
    if (state.q) pairs.push(["q", state.q]);
    const text = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
    return state.q && pairs.length === 1 ? `#${text}` : `#browse${text && `&${text}`}`;
  };
  const write = (how) => viewer.hidden || history[how](null, "", address());

  const change = async (fields) => {
    Object.assign(state, fields);
    fill();
    await search();
    const chooses = ["find", "task", "show"].some((name) => name in fields);
    if (chooses && found.length && !narrow.matches && !found.includes(number(state.q))) {
      state.q = index.index.id[found[0]];
    }
    write("replaceState");
    await show();
  };

  const open = () => {
    if (!found.length) return;
    const fresh = state.q === "";
    state.q = index.index.id[found[cursor]];
    write(fresh ? "pushState" : "replaceState");
    drawRows();
    return show();
  };

  const move = (step) => {
    if (!found.length) return;
    cursor = Math.min(found.length - 1, Math.max(0, cursor + step));
    reveal();
    drawRows();
    if (state.q !== "" || !narrow.matches) open();
  };

  const back = () => {
    state.q = "";
    write("replaceState");
    show();
    drawRows();
    part.list.focus();
  };

  const close = () => {
    history.replaceState(null, "", "#questions");
    hide();
    document.getElementById("questions")?.scrollIntoView();
  };

  const hide = () => {
    viewer.hidden = true;
    document.documentElement.classList.remove("viewing");
    clearTimeout(typing);
  };

  const fill = () => {
    for (const name of FIELDS) form[name].value = state[name];
  };

  let defaults = null;
  const prepare = async () => {
    index = await load("index");
    defaults = { find: "", task: "", show: "", a: index.main, b: index.rival, sort: "" };
    const option = (name) => el("option", { value: name }, name);
    form.task.append(...index.tasks.map(option));
    part.tasks.hidden = index.tasks.length < 2;
    for (const name of ["a", "b"]) form[name].append(...Object.keys(index.score).map(option));
    if (index.index.labelled.every((known) => known)) form.show.querySelector("[value=unlabelled]").remove();
  };

  let typing = 0; // a search that waits for the next letter
  let ready = null;
  const follow = async () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    if (!wanted.has("browse") && !wanted.has("q")) {
      if (!viewer.hidden) hide();
      return;
    }
    viewer.hidden = false;
    document.documentElement.classList.add("viewing");
    ready ||= prepare();
    await ready;
    for (const name of FIELDS) state[name] = wanted.get(name) ?? defaults[name];
    if (!index.tasks.includes(state.task)) state.task = "";
    for (const name of ["a", "b"]) if (!(state[name] in index.score)) state[name] = defaults[name];
    state.q = wanted.get("q") ?? "";
    fill();
    await search();
    if (state.q === "" && found.length && !narrow.matches) {
      state.q = index.index.id[found[0]];
      write("replaceState");
    }
    await show();
    if (!viewer.contains(document.activeElement)) part.list.focus();
    viewer.dataset.ready = "1";
  };

  part.filters.addEventListener("input", (event) => {
    clearTimeout(typing);
    const { name, value } = event.target;
    typing = setTimeout(() => change({ [name]: value }), name === "find" ? 150 : 0);
  });
  part.filters.addEventListener("submit", (event) => {
    event.preventDefault();
    part.list.focus();
  });
  part.list.addEventListener("scroll", drawSoon, { passive: true });
  addEventListener("resize", () => viewer.hidden || !index || drawSoon());
  viewer.querySelector("[data-do=close]").addEventListener("click", close);
  const more = viewer.querySelector("[data-do=filters]"); // on a phone
  more.addEventListener("click", () => {
    more.setAttribute("aria-expanded", String(viewer.classList.toggle("filtering")));
    drawSoon();
  });

  const KEYS = {
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    PageDown: () => move(10),
    PageUp: () => move(-10),
    Home: () => move(-Infinity),
    End: () => move(Infinity),
    Enter: () => open()?.then(() => part.one.focus()),
    "/": () => form.find.focus(),
  };
  const IN_LIST = new Set(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End", "Enter"]);
  addEventListener("keydown", (event) => {
    if (viewer.hidden || !index || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    const types = target.closest("input, select, textarea");
    if (key === "Escape") {
      event.preventDefault();
      if (types || (!narrow.matches && part.one.contains(target))) part.list.focus();
      else if (narrow.matches && state.q !== "") back();
      else close();
      return;
    }
    if (types || !(key in KEYS)) return;
    if (IN_LIST.has(key) && target !== part.list && target !== document.body) return;
    event.preventDefault();
    KEYS[key]();
  });

  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  follow();
})();
