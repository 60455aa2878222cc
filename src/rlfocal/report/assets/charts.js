// Charts: switches between drawings, legends that show and hide series, boxes that say they scroll.
(() => {
  "use strict";

  for (const figure of document.querySelectorAll("[data-chart]")) {
    figure.querySelector("select")?.addEventListener("change", ({ target }) => {
      for (const part of figure.querySelectorAll("[data-choice]")) {
        part.hidden = part.dataset.choice !== target.value;
      }
      boxes.forEach(mark);
    });

    const seriesOf = (key) =>
      (key.closest("[data-choice]") ?? figure).querySelectorAll(`g[data-series="${key.dataset.series}"]`);
    for (const key of figure.querySelectorAll("button[data-series]")) {
      const isQuiet = key.getAttribute("aria-pressed") === "false";
      key.addEventListener("click", () => {
        const isShown = key.getAttribute("aria-pressed") !== "true";
        key.setAttribute("aria-pressed", String(isShown));
        for (const series of seriesOf(key)) series.classList.toggle(isQuiet ? "on" : "off", isShown === isQuiet);
      });
      const point = (isOn) => {
        figure.classList.toggle("pointed", isOn);
        for (const series of seriesOf(key)) series.classList.toggle("hot", isOn);
      };
      for (const [event, isOn] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) {
        key.addEventListener(event, () => point(isOn));
      }
    }
  }

  // A box that scrolls sideways looks like one that ends, unless it says so.
  const mark = (box) => {
    const left = box.scrollWidth - box.clientWidth - box.scrollLeft;
    box.classList.toggle("more", left > 4);
  };
  const boxes = [...document.querySelectorAll(".scroll")];
  for (const box of boxes) {
    box.addEventListener("scroll", () => mark(box), { passive: true });
    box.closest("details")?.addEventListener("toggle", () => mark(box));
  }
  addEventListener("resize", () => boxes.forEach(mark));
  boxes.forEach(mark);

  // The head of a cell's column is far away in a large table.
  for (const table of document.querySelectorAll("table.heat")) {
    const heads = table.tHead.rows[0].cells;
    table.addEventListener("pointerover", ({ target }) => {
      const cell = target.closest("td");
      for (const head of heads) head.classList.toggle("hot", cell?.cellIndex === head.cellIndex);
    });
    table.addEventListener("pointerleave", () => {
      for (const head of heads) head.classList.remove("hot");
    });
  }
})();
