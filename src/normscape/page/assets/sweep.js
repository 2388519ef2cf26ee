/* The page of runs: a table that is sorted and filtered, and decides which curves are drawn. */

const table = document.getElementById("runs");
const form = document.querySelector("[data-filters=runs]");
const rows = [...table.tBodies[0].rows];
const off = new Set();

function refresh() {
  const text = form.elements.text.value.toLowerCase().trim();
  const status = form.elements.status?.value ?? "";
  let shown = 0;
  off.clear();
  for (const row of rows) {
    row.hidden = !row.textContent.toLowerCase().includes(text) || (status !== "" && row.dataset.status !== status);
    shown += Number(!row.hidden);
    const tick = row.querySelector("input");
    if (row.hidden || !tick?.checked) off.add(row.dataset.name);
  }
  form.querySelector("output").textContent = `${shown} of ${rows.length}`;
  for (const explorer of explorers) explorer.draw();
}

function compare(a, b) {
  const [x, y] = [a, b].map((value) => Number(value.replace(/inf$/, "Infinity")));
  if (a === "" || b === "") return Number(a === "") - Number(b === "");
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
}

function sortBy(header) {
  const place = header.cellIndex;
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => row.cells[place].dataset.value ?? row.cells[place].textContent;
  const sign = down ? -1 : 1;
  rows.sort((a, b) => (value(a) === "" || value(b) === "" ? 1 : sign) * compare(value(a), value(b)));
  table.tBodies[0].append(...rows);
}

for (const row of rows.filter((each) => !("waiting" in each.dataset))) {
  const tick = element("input", { type: "checkbox", "aria-label": `draw ${row.dataset.name}` });
  tick.checked = true;
  tick.addEventListener("change", refresh);
  row.cells[0].prepend(tick, " ");
}
for (const header of table.tHead.rows[0].cells) {
  const words = header.textContent;
  if (header.classList.contains("pick")) {
    const tick = element("input", { type: "checkbox", "aria-label": "draw all runs" });
    tick.checked = true;
    tick.addEventListener("change", () => {
      for (const row of rows) for (const each of row.querySelectorAll("input")) each.checked = tick.checked;
      refresh();
    });
    header.replaceChildren(tick, " ", words);
  } else {
    const button = element("button", { type: "button" }, words);
    button.addEventListener("click", () => sortBy(header));
    header.replaceChildren(button);
  }
}
form.addEventListener("input", refresh);
form.addEventListener("reset", () => setTimeout(refresh));
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
const place = document.querySelector(".curves");
if (place) explore(place, document.getElementById("curves"), off);
refresh();
