// The live page: asks how far the run is, twice a second, until it is over.
(() => {
  const here = location.pathname;
  const looks = new Map();
  let over = false;
  function progress(row) {
    const bar = make("progress", { max: 1, value: row.share, "aria-label": `${row.name}: ${Math.round(100 * row.share)} %` });
    const said = [row.total === null || row.total > 1 ? `${row.done}/${row.total ?? "?"}` : "", row.steps ? `step ${row.step}/${row.steps}` : ""];
    return row.state === "running" ? [bar, ` ${said.filter(Boolean).join(", ")}`] : [said[0] && row.state === "computed" ? said[0] : ""];
  }
  function look(row) {
    let place = looks.get(row.name);
    if (!place) {
      place = { version: 0, image: make("img", { class: "strip", alt: `${row.name}, as far as it is` }), said: make("figcaption") };
      looks.set(row.name, place);
      at("looks").append(make("figure", { class: "stripbox" }, place.image, place.said));
      at("looks-card").hidden = false;
    }
    if (place.version !== row.look) {
      place.version = row.look;
      place.image.src = `${here}look/${encodeURIComponent(row.name)}?v=${row.look}`;
    }
    place.said.textContent = row.steps && row.state === "running" ? `${row.name}, step ${row.step} of ${row.steps}` : row.name;
  }
  function draw(now) {
    at("graph-name").textContent = now.graph;
    document.title = `${now.graph}: ${now.status}`;
    at("status").replaceChildren(chip(now.status));
    at("seconds").textContent = seconds(now.seconds) || "0s";
    at("left").textContent = now.left === null ? "not known" : seconds(now.left) || "0s";
    at("saved").textContent = seconds(now.saved) || "0s";
    at("over").textContent = `${now.nodes.filter((row) => !["waiting", "running"].includes(row.state)).length} of ${now.nodes.length}`;
    at("rows").replaceChildren(...now.nodes.slice(0, 500).map((row) => make("tr", { "data-state": row.state },
      make("td", { class: "wrap", text: row.name }), make("td", { text: row.op }), make("td", {}, chip(row.state)), make("td", {}, ...progress(row)),
      make("td", { class: "num", text: seconds(row.seconds) }), make("td", { text: row.state === "hit" ? "cache" : row.device }), make("td", { class: "wrap", text: row.text }))));
    for (const row of now.nodes) if (row.look) look(row);
    if (now.status !== "running") end(`The run is over: ${now.status}. This page's server has ended with it.`);
  }
  function end(text) {
    over = true;
    at("gone").textContent = text;
    at("gone").hidden = false;
    at("stop").disabled = true;
  }
  let missed = 0;
  async function ask() {
    try {
      const answer = await fetch(`${here}state`, { cache: "no-store" });
      draw(await answer.json());
      missed = 0;
    } catch {
      missed += 1;
      if (missed > 3) end("The run is over, or its process has gone.");
    }
    if (!over) setTimeout(ask, 500);
  }
  at("stop").addEventListener("click", async () => {
    at("stop").disabled = true;
    at("stop").textContent = "Stopping";
    await fetch(`${here}stop`, { method: "POST" }).catch(() => null);
  });
  draw(data);
  setTimeout(ask, 500);
})();
