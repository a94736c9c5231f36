// The page of a run: a node is chosen in the graph, the timeline or the table; two can be compared.
(() => {
  const shown = new Set(data.shown);
  const rows = data.nodes.map((row, i) => ({ i, row }));
  const link = ({ i, row }) => shown.has(i)
    ? make("a", { href: `#node-${i}`, "data-node": i, text: row[0] })
    : make("span", { text: row[0] });
  const column = (head, i, show) => ({ head, num: true, get: (one) => one.row[i], show: show && ((one) => show(one.row[i])) });
  at("node-tools").hidden = false;
  if (at("rest")) at("rest").hidden = true;
  const table = new Table(at("node-table"), [
    { head: "Node", cls: "wrap", get: (one) => one.row[0], show: link },
    { head: "Operator", get: (one) => one.row[1] },
    { head: "Status", get: (one) => one.row[2], show: (one) => chip(one.row[2]) },
    { head: "Device", get: (one) => one.row[3] },
    column("Time", 4, seconds), column("Waited", 5, (value) => (value >= 0.005 ? seconds(value) : "")),
    column("Saved", 6, seconds), column("Memory", 7, bytes), column("Size", 8, bytes),
    { head: "Tasks", num: true, get: (one) => one.row[9] + one.row[10] },
  ], rows, { filter: at("node-filter"), count: at("node-count"), key: (one) => one.i });

  // --- choosing a node ---------------------------------------------------------------------------------
  const inspector = at("inspector");
  function choose(i, focus) {
    const details = at(`node-${i}`);
    if (!details || !inspector) return false;
    for (const box of document.querySelectorAll(".graph a.chosen")) box.classList.remove("chosen");
    const box = document.querySelector(`.graph a[data-node="${i}"]`);
    if (box) {
      box.classList.add("chosen");
      requestAnimationFrame(() => {
        const place = document.querySelector(".graph"), there = box.getBoundingClientRect(), frame = place.getBoundingClientRect();
        place.scrollLeft += there.left + there.width / 2 - frame.left - frame.width / 2;
        place.scrollTop += there.top + there.height / 2 - frame.top - frame.height / 2;
      });
    }
    const head = details.querySelector("summary").cloneNode(true);
    const title = make("div", { class: "bar" }, ...head.childNodes, make("span", { class: "grow" }),
      make("button", { type: "button", text: "Close", onclick: () => close(box) }));
    inspector.replaceChildren(title, details.querySelector(".body").cloneNode(true));
    inspector.hidden = false;
    inspector.scrollTop = 0;
    at("explore").classList.add("open");
    if (focus) inspector.focus({ preventScroll: true });
    return true;
  }
  function close(box) {
    inspector.hidden = true;
    at("explore").classList.remove("open");
    for (const one of document.querySelectorAll(".graph a.chosen")) one.classList.remove("chosen");
    if (box) box.focus({ preventScroll: true });
  }
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-node], [data-group]");
    if (!target) return;
    if (target.dataset.group) {
      at("node-filter").value = target.dataset.group.split("/").pop();
      at("node-filter").dispatchEvent(new Event("input"));
      at("nodes").scrollIntoView({ block: "start" });
      return;
    }
    if (inspector && choose(target.dataset.node, true)) {
      event.preventDefault();
      if (!target.closest(".graph")) at("graph").scrollIntoView({ block: "nearest" });
    } else if (at(`node-${target.dataset.node}`)) at(`node-${target.dataset.node}`).open = true;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && inspector && !inspector.hidden) close(document.querySelector(".graph a.chosen"));
  });
  for (const box of document.querySelectorAll(".graph a[data-group]")) {
    box.setAttribute("tabindex", "0");
    box.addEventListener("keydown", (event) => { if (event.key === "Enter") box.dispatchEvent(new MouseEvent("click", { bubbles: true })); });
  }
  function follow() {
    const found = /^#node-(\d+)$/.exec(location.hash);
    if (found && at(`node-${found[1]}`)) at(`node-${found[1]}`).open = true;
  }
  addEventListener("hashchange", follow);
  follow();
  const fit = at("fit"), drawing = document.querySelector(".graph svg");
  if (fit && drawing) {
    const wide = drawing.getAttribute("width") > drawing.parentElement.clientWidth;
    fit.hidden = !wide;
    fit.addEventListener("click", () => {
      const on = drawing.classList.toggle("fit");
      fit.setAttribute("aria-pressed", on);
    });
  }

  // --- A beside B --------------------------------------------------------------------------------------
  const strips = [...document.querySelectorAll("#details img[data-strip]")];
  if (strips.length > 1) {
    const [a, b, tile, divide] = ["pick-a", "pick-b", "pick-tile", "pick-divide"].map(at);
    const canvas = at("canvas"), pen = canvas.getContext("2d");
    strips.forEach((strip, i) => {
      const name = strip.alt.replace(/^.* frames of /, "");
      strip.loading = "eager";
      for (const pick of [a, b]) pick.append(make("option", { value: i, text: name }));
    });
    b.selectedIndex = strips.length - 1;
    at("compare").hidden = false;
    function paint(strip, from, to) {
      const tiles = Number(strip.dataset.tiles), width = strip.naturalWidth / tiles;
      const index = Math.min(Math.floor((Number(tile.value) / 8) * tiles), tiles - 1);
      const scale = canvas.width / width;
      pen.save();
      pen.beginPath();
      pen.rect(from, 0, to - from, canvas.height);
      pen.clip();
      pen.drawImage(strip, index * width, 0, width, strip.naturalHeight, 0, 0, canvas.width, strip.naturalHeight * scale);
      pen.restore();
    }
    async function draw() {
      const [left, right] = [strips[a.value], strips[b.value]];
      await Promise.all([left, right].map((strip) => strip.decode().catch(() => null)));
      if (!left.naturalWidth || !right.naturalWidth) return;
      canvas.width = 1024;
      canvas.height = Math.round((1024 * left.naturalHeight) / (left.naturalWidth / left.dataset.tiles));
      const middle = (canvas.width * divide.value) / 100;
      paint(left, 0, middle);
      paint(right, middle, canvas.width);
      pen.fillStyle = "#fff";
      pen.fillRect(middle - 1.5, 0, 3, canvas.height);
      at("tag-a").textContent = a.selectedOptions[0].textContent;
      at("tag-b").textContent = b.selectedOptions[0].textContent;
      canvas.dataset.drawn = `${a.value} ${b.value} ${tile.value} ${divide.value}`;
    }
    for (const input of [a, b, tile, divide]) input.addEventListener("input", draw);
    at("slider").addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse" && !event.buttons) return;
      const box = canvas.getBoundingClientRect();
      divide.value = (100 * (event.clientX - box.left)) / box.width;
      draw();
    });
    draw();
  }
  for (const film of document.querySelectorAll(".media video")) {
    film.addEventListener("error", () => film.after(make("p", { class: "note", text: "This browser does not play this file." })));
  }
  window.flowsynthTable = table;
})();
