// Draws every [data-chart] figure, and draws it again when its switch or the colour scheme changes.
(() => {
  "use strict";
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["toImage"]],
    doubleClick: false,
  };

  const colour = (trace, theme) =>
    trace.meta && "hue" in trace.meta
      ? { ...trace, line: { ...trace.line, color: theme.layout.colorway[trace.meta.hue] } }
      : trace;

  const charts = [...document.querySelectorAll("[data-chart]")].map((figure) => ({
    figure,
    plot: figure.querySelector(".plot"),
    specs: JSON.parse(figure.querySelector("script").textContent),
    select: figure.querySelector("select"),
  }));

  const draw = ({ figure, plot, specs, select }) => {
    const theme = dark.matches ? themes.dark : themes.light;
    const index = select ? Number(select.value) : 0;
    const { data, layout } = structuredClone(specs[index]);
    for (const table of figure.querySelectorAll("[data-choice]")) {
      table.hidden = Number(table.dataset.choice) !== index;
    }
    const traces = data.map((trace) => colour(trace, theme));
    return Plotly.react(plot, traces, { ...layout, template: theme }, config);
  };

  const drawAll = () => Promise.all(charts.map(draw));
  for (const chart of charts) {
    chart.select?.addEventListener("change", () => draw(chart));
  }
  dark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => charts.forEach(({ plot }) => Plotly.Plots.resize(plot)));
  drawAll().then(() => document.documentElement.setAttribute("data-drawn", ""));
})();
