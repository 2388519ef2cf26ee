"use strict";

/* Interactive curves: data and library are compressed; the library is unpacked when the first chart comes into view. */

const FONT = { family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 14, color: "#1c2128" };
const BUTTONS = [["zoomIn2d", "zoomOut2d", "resetScale2d"]];
let library = null;

function plotly() {
  library ??= load();
  return library;
}

async function unpacked(data) {
  const bytes = Uint8Array.from(atob(data.textContent.trim()), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function load() {
  const script = document.createElement("script");
  script.textContent = await unpacked(document.getElementById("plotly"));
  document.head.append(script);
  return window.Plotly;
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/* Names are text: the library reads a few tags in them. */
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function faded(color, share) {
  const parts = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return `rgba(${parts.join(",")},${share})`;
}

function swatch(line) {
  const dashes = { dash: "6 3", dot: "2 3", dashdot: "6 3 2 3" };
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  const stroke = document.createElementNS(space, "path");
  for (const [key, value] of [["width", "28"], ["height", "14"], ["aria-hidden", "true"]]) picture.setAttribute(key, value);
  stroke.setAttribute("d", "M2 7H26");
  stroke.setAttribute("stroke", line.color);
  stroke.setAttribute("stroke-width", line.paper ? "1.5" : "3");
  stroke.setAttribute("stroke-dasharray", dashes[line.dash] ?? "none");
  if (line.paper) stroke.setAttribute("opacity", "0.5");
  picture.append(stroke);
  return picture;
}

/* Values are kept as the upper 22 bits of a float32 each, all lowest bytes first; lines say where theirs begin. */
function decoded(content) {
  const bytes = Uint8Array.from(atob(content.values), (sign) => sign.charCodeAt(0));
  const count = bytes.length / 3;
  const bits = Uint32Array.from({ length: count }, (_, at) => (bytes[at] | (bytes[count + at] << 8) | (bytes[2 * count + at] << 16)) << 10);
  const values = new Float32Array(bits.buffer);
  for (const line of content.charts.flatMap((chart) => chart.lines)) {
    for (const name of ["y", "low", "high"].filter((each) => each in line)) {
      const own = values.subarray(line[name], line[name] + content.xs[line.x].length);
      line[name] = Array.from(own, (value) => (Number.isFinite(value) ? Number(value.toPrecision(5)) : null));
    }
  }
  return content;
}

/* The traces of one line: a band is two edges with the space between them filled. */
function traces(line, xs, chart) {
  const x = xs[line.x];
  const percent = chart.percent;
  const at = ` at %{x:${chart.x_log ? ".3~g" : ",.0f"}}<extra></extra>`; /* of the curve itself: the header is of the nearest */
  const number = percent ? ".1%" : ".4~g";
  const color = line.paper ? faded(line.color, 0.5) : line.color;
  const style = { color, width: line.paper ? 1.2 : 1.8, dash: line.dash ?? "solid" };
  const common = { x, type: "scatter", mode: "lines", name: plain(line.name) };
  const said = (words) => `${plain(line.name)}${words}: %{y:${number}}${at}`;
  const range = line.y ? "" : "shown";
  const edge = { ...style, width: range ? 1 : 0, ...(range && line.paper && { color: faded(line.color, 0.25) }) };
  const made = [];
  if (line.low) {
    const hover = range ? {} : { hoverinfo: "skip" };
    const fill = { fill: "tonexty", fillcolor: faded(line.color, line.paper ? 0.1 : 0.2) };
    made.push({ ...common, ...hover, y: line.low, line: edge, ...(range && { hovertemplate: said(", lowest") }) });
    made.push({ ...common, ...hover, y: line.high, line: edge, ...fill, ...(range && { hovertemplate: said(", highest") }) });
  }
  if (line.y) {
    const mode = line.markers ? "lines+markers" : "lines";
    const seeds = line.low ? { customdata: line.low.map((low, place) => [low, line.high[place]]) } : {};
    const over = line.low ? ` (seeds: %{customdata[0]:${number}} to %{customdata[1]:${number}})` : "";
    const text = `${plain(line.name)}: %{y:${number}}${over}${at}`;
    made.push({ ...common, ...seeds, mode, y: line.y, line: style, hovertemplate: text });
  }
  return made;
}

/* Labels at 1, 2 and 5 of each decade, at all digits or at powers alone, as many as fit. */
function decades(lines) {
  const values = lines.flatMap((line) => [line.y, line.low, line.high]).flat().filter((value) => value > 0);
  const span = Math.log10(values.reduce((a, b) => Math.max(a, b), 0) / values.reduce((a, b) => Math.min(a, b), Infinity));
  return span > 3 ? {} : { dtick: span < 0.8 ? "D1" : "D2" };
}

function layout(chart, log, lines, width) {
  const axis = { gridcolor: "#e4e7eb", zerolinecolor: "#c8ced6", automargin: true, linecolor: "#8b949e" };
  const numbers = chart.percent ? { tickformat: ".0%", ...(!log && { range: [0, 1] }) } : { exponentformat: "power" };
  const sizes = chart.x_log ? { type: "log", exponentformat: "power", dtick: "D2" } : { tickformat: ",d", rangemode: "tozero" };
  return {
    autosize: true, height: 380, font: FONT, paper_bgcolor: "#fff", plot_bgcolor: "#fff", showlegend: false,
    margin: { l: 60, r: 16, t: 32, b: 52 }, hovermode: lines.length > 10 ? "closest" : "x unified",
    hoverlabel: { font: { size: 14, color: "#1c2128" }, bgcolor: "#ffffff", namelength: -1 },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", modebar: { orientation: "h" },
    xaxis: { ...axis, ...sizes, tickangle: 0, nticks: width < 500 ? 5 : 9, title: { text: plain(chart.x_label) } },
    yaxis: { ...axis, ...numbers, type: log ? "log" : "linear", ...(log && decades(lines)) },
  };
}

/* A chart that the reader chooses from many. */
class Explorer {
  constructor(content, start, shared) {
    this.content = content;
    this.shared = shared; /* names that are switched off elsewhere, e.g. in a table of runs; null to have a legend */
    this.off = new Set();
    this.choice = element("select");
    this.fill(start);
    this.log = element("input", { type: "checkbox" });
    this.paper = element("input", { type: "checkbox" });
    this.paperWords = element("span");
    this.paperLabel = element("label", { class: "tick" }, this.paper, this.paperWords);
    this.title = element("p", { class: "axis" });
    this.plot = element("div", { class: "plot" });
    this.legend = element("ul", { class: "legend" });
    const logLabel = element("label", { class: "tick" }, this.log, " logarithmic");
    const tools = element("div", { class: "tools" }, element("label", {}, "curves of", this.choice), logLabel, this.paperLabel);
    this.box = element("div", { class: "explorer" }, tools, this.title, this.plot, this.legend);
    this.choice.addEventListener("change", () => this.choose());
    this.log.addEventListener("change", () => this.draw());
    this.paper.addEventListener("change", () => { this.list(); this.draw(); });
    this.choose();
  }

  fill(start) {
    const groups = new Map();
    this.content.charts.forEach((chart, place) => {
      if (!groups.has(chart.group)) groups.set(chart.group, element("optgroup", { label: chart.group }));
      groups.get(chart.group).append(element("option", { value: place }, chart.title));
    });
    for (const [name, group] of groups) this.choice.append(...(name ? [group] : group.children));
    this.choice.value = start;
  }

  get chart() { return this.content.charts[this.choice.value]; }

  get lines() { return this.chart.lines.filter((line) => !line.paper || this.paper.checked); }

  hidden(line) { return this.off.has(line.name) || Boolean(this.shared?.has(line.name)); }

  choose() {
    const has = this.chart.lines.some((line) => line.paper);
    this.paperLabel.hidden = !this.content.charts.some((chart) => chart.lines.some((line) => line.paper));
    this.paper.disabled = !has;
    this.paperWords.textContent = has ? "the paper's own curves" : "the paper plots none";
    this.log.checked = this.chart.y_log;
    this.title.textContent = `${this.chart.title}, over ${this.chart.x_label}`;
    this.list();
    this.draw();
  }

  list() {
    this.legend.replaceChildren(...(this.shared ? [] : this.lines.map((line) => {
      const button = element("button", { type: "button", "aria-pressed": String(!this.hidden(line)) }, swatch(line), line.name);
      button.addEventListener("click", () => {
        this.off[this.off.has(line.name) ? "delete" : "add"](line.name);
        button.setAttribute("aria-pressed", String(!this.hidden(line)));
        this.draw();
      });
      return element("li", {}, button);
    })));
  }

  async draw() {
    if (!this.seen) return;
    const order = [...this.lines].sort((a, b) => Number(Boolean(b.paper)) - Number(Boolean(a.paper)));
    const drawn = order.filter((line) => !this.hidden(line));
    const data = drawn.flatMap((line) => traces(line, this.content.xs, this.chart));
    const shape = layout(this.chart, this.log.checked, drawn, this.plot.clientWidth);
    const options = { responsive: true, displaylogo: false, displayModeBar: true, modeBarButtons: BUTTONS };
    try {
      const drawing = await plotly();
      await drawing.react(this.plot, data, shape, options);
      this.plot.setAttribute("data-drawn", String(data.length));
    } catch (error) {
      refuse(this.plot, error);
    }
  }
}

const explorers = [];
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((each) => each.isIntersecting)) {
    watcher.unobserve(entry.target);
    entry.target.explorer.seen = true;
    entry.target.explorer.draw();
  }
}, { rootMargin: "300px" });

function refuse(place, error) {
  place.textContent = `The curves cannot be drawn in this browser (${error}).`;
  console.error(error);
}

async function explore(place, data, shared = null) {
  place.hidden = false;
  let content = { starts: [] };
  try {
    content = decoded(JSON.parse(await unpacked(data)));
  } catch (error) {
    refuse(place, error);
  }
  for (const start of content.starts) {
    const explorer = new Explorer(content, start, shared);
    explorer.box.explorer = explorer;
    explorers.push(explorer);
    place.append(explorer.box);
    watcher.observe(explorer.box);
  }
}

let later = 0;
addEventListener("resize", () => {
  clearTimeout(later);
  later = setTimeout(() => explorers.forEach((explorer) => explorer.draw()), 200);
});
