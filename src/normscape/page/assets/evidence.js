/* The page of results: one table of all claims with its filters, and each figure's curves. */

function gathered(row, columns, severalScales) {
  const { family, scale, label } = row.closest(".card").dataset;
  const names = [...row.closest("table").tHead.rows[0].cells].map((cell) => cell.textContent);
  const cells = new Map(names.map((name, place) => [name, row.cells[place]]));
  const link = document.createElement("a");
  link.href = `#${row.closest(".card").id}`;
  link.textContent = label;
  const made = document.createElement("tr");
  for (const column of columns) {
    const cell = cells.get(column)?.cloneNode(true) ?? document.createElement("td");
    if (column === "figure") cell.append(link, severalScales ? `, ${scale}` : "");
    made.append(cell);
  }
  Object.assign(made.dataset, {
    family,
    scale,
    figure: `${family}: ${label}`,
    verdict: cells.get("verdict").querySelector(".chip").classList[1],
    whose: cells.get("whose").textContent,
    main: row.dataset.main ?? "no",
  });
  return made;
}

function gather(table, severalScales) {
  const columns = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = document.querySelectorAll(".card .claims tbody tr");
  table.tBodies[0].append(...[...rows].map((row) => gathered(row, columns, severalScales)));
}

function filterRows(form, table) {
  const rows = [...table.tBodies[0].rows];
  const count = form.querySelector("output");
  const apply = () => {
    const asked = [...new FormData(form)].filter(([, value]) => value);
    let shown = 0;
    for (const row of rows) {
      const fits = ([name, value]) => (name === "text"
        ? row.textContent.toLowerCase().includes(value.toLowerCase().trim())
        : row.dataset[name] === value);
      row.hidden = !asked.every(fits);
      shown += Number(!row.hidden);
    }
    count.textContent = `${shown} of ${rows.length}`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

const claims = document.querySelector("[data-filtered=claims]");
gather(claims.querySelector("table"), "scales" in claims.dataset);
filterRows(claims.querySelector("form"), claims.querySelector("table"));
claims.hidden = false;
for (const data of document.querySelectorAll("script[data-charts]")) {
  const place = document.querySelector(`.curves[data-source="${CSS.escape(data.dataset.charts)}"]`);
  explore(place, data);
}
