/* The page of results: filters of the claims, and each figure's curves. */

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
  form.hidden = false;
  apply();
}

filterRows(document.querySelector("[data-filters=claims]"), document.getElementById("claims"));
for (const data of document.querySelectorAll("script[data-charts]")) {
  const place = document.querySelector(`.curves[data-source="${CSS.escape(data.dataset.charts)}"]`);
  explore(place, data);
}
