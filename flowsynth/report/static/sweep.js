// The page of a sweep: a grid over two axes, films in step, two cells compared, a table, and figures.
(() => {
  const jobs = data.jobs, axes = data.axes;
  const looks = new Map();
  for (const place of document.querySelectorAll("details[data-job]")) {
    const look = place.querySelector("[data-media] video, [data-media] img");
    if (look) looks.set(Number(place.dataset.job), { tag: look.tagName.toLowerCase(), source: look.getAttribute("src") });
  }
  const chosen = new Set();
  const label = (job) => axes.map((axis, i) => `${axis.name} = ${axis.values[job.at[i]]}`).join(", ") || `job ${job.job}`;

  // --- the grid ----------------------------------------------------------------------------------------
  const picks = { columns: at("columns"), rows: at("rows") };
  const fixed = axes.map(() => 0);
  const view = { zoom: 1, x: 0, y: 0 };
  let films = [];
  for (const [name, pick] of Object.entries(picks)) {
    if (name === "rows") pick.append(make("option", { value: -1, text: "none" }));
    axes.forEach((axis, i) => pick.append(make("option", { value: i, text: axis.name, title: axis.key })));
  }
  picks.columns.value = axes.length - 1;
  picks.rows.value = axes.length > 1 ? axes.length - 2 : -1;
  at("tools").hidden = axes.length < 2;

  function selectors() {
    const used = [Number(picks.columns.value), Number(picks.rows.value)];
    at("others").replaceChildren(...axes.flatMap((axis, i) => {
      if (used.includes(i)) return [];
      const pick = make("select", { oninput: (event) => { fixed[i] = Number(event.target.value); draw(); } },
        ...axis.values.map((value, j) => make("option", { value: j, text: value })));
      pick.value = fixed[i];
      return [make("label", {}, `${axis.name} `, pick)];
    }));
  }

  function find(column, row) {
    const x = Number(picks.columns.value), y = Number(picks.rows.value);
    return jobs.find((job) => job.at.every((value, i) => value === (i === x ? column : i === y ? row : fixed[i])));
  }

  function cell(job) {
    if (!job) return make("div", { class: "cell none", text: "no job" });
    if (job.status === "failed") {
      return make("div", { class: "cell failed", "data-job": job.job, tabindex: 0 }, make("b", { text: `job ${job.job} failed` }), make("div", { text: job.error }));
    }
    const look = looks.get(job.job);
    const box = make("button", { type: "button", class: "cell", "data-job": job.job, "aria-pressed": chosen.has(job.job), "aria-label": `job ${job.job}: ${label(job)}`, onclick: () => toggle(job.job) });
    const place = make("div", { class: "view" });
    if (look) {
      const shown = make(look.tag, { src: look.source, alt: label(job) });
      if (look.tag === "video") {
        Object.assign(shown, { muted: true, loop: true, playsInline: true, preload: "auto" });
        shown.addEventListener("loadedmetadata", () => place.style.setProperty("--aspect", `${shown.videoWidth} / ${shown.videoHeight}`));
        films.push(shown);
      } else shown.addEventListener("load", () => place.style.setProperty("--aspect", `${shown.naturalWidth} / ${shown.naturalHeight}`));
      place.append(shown);
    }
    const [[name, short] = []] = data.metrics;
    const figure = name in job.metrics ? `${short} ${number(job.metrics[name])}` : "";
    box.append(place, make("span", { class: "under" }, make("span", { text: `job ${job.job}` }), make("span", { text: figure || seconds(job.seconds) })));
    box.classList.toggle("chosen", chosen.has(job.job));
    return box;
  }

  function draw() {
    const x = Number(picks.columns.value), y = Number(picks.rows.value);
    const columns = axes.length ? axes[x].values : [""], rows = y >= 0 && y !== x ? axes[y].values : [""];
    films = [];
    const parts = [make("div")];
    columns.forEach((value) => parts.push(make("div", { class: "gridhead", text: axes.length ? `${axes[x].name} = ${value}` : "" })));
    rows.forEach((value, r) => {
      parts.push(make("div", { class: "gridhead row", text: y >= 0 && y !== x ? `${axes[y].name} = ${value}` : "" }));
      columns.forEach((_, c) => parts.push(cell(find(c, r))));
    });
    const grid = at("grid");
    grid.style.gridTemplateColumns = `max-content repeat(${columns.length}, ${at("size").value}px)`;
    grid.replaceChildren(...parts);
    grid.hidden = false;
    at("plain-grid").hidden = true;
    selectors();
    move();
    if (playing) start();
  }

  function toggle(job) {
    if (chosen.has(job)) chosen.delete(job);
    else {
      if (chosen.size === 2) chosen.delete(chosen.values().next().value);
      chosen.add(job);
    }
    for (const box of document.querySelectorAll("#grid button.cell")) {
      const on = chosen.has(Number(box.dataset.job));
      box.classList.toggle("chosen", on);
      box.setAttribute("aria-pressed", on);
    }
    at("open-compare").disabled = chosen.size !== 2;
    marks();
  }

  // --- films in step -----------------------------------------------------------------------------------
  let playing = false;
  const lead = () => films.find((film) => film.duration);
  function start() {
    playing = true;
    at("play").setAttribute("aria-pressed", "true");
    at("play").textContent = "Pause";
    const first = lead();
    for (const film of films) {
      if (first && film.duration) film.currentTime = first.currentTime % film.duration;
      film.play().catch(() => null);
    }
    step();
  }
  function stop() {
    playing = false;
    at("play").setAttribute("aria-pressed", "false");
    at("play").textContent = "Play";
    for (const film of films) film.pause();
  }
  function step() {
    const first = lead();
    if (!playing) return;
    if (first) {
      at("time").value = (1000 * first.currentTime) / first.duration;
      for (const film of films) {
        if (film.duration && Math.abs(film.currentTime - (first.currentTime % film.duration)) > 0.12) film.currentTime = first.currentTime % film.duration;
      }
    }
    requestAnimationFrame(step);
  }
  at("play").addEventListener("click", () => (playing ? stop() : start()));
  at("time").addEventListener("input", () => {
    stop();
    for (const film of [...films, ...document.querySelectorAll("#slider video")]) if (film.duration) film.currentTime = (film.duration * at("time").value) / 1000.001;
  });

  // --- zoom in step ------------------------------------------------------------------------------------
  function move() {
    view.zoom = Number(at("zoom").value) / 100;
    const most = 1 - 1 / view.zoom;
    view.x = Math.min(Math.max(view.x, 0), most);
    view.y = Math.min(Math.max(view.y, 0), most);
    for (const look of document.querySelectorAll("#grid .view > *")) look.style.transform = `scale(${view.zoom}) translate(${-100 * view.x}%, ${-100 * view.y}%)`;
  }
  at("zoom").addEventListener("input", () => {
    const before = view.zoom, after = Number(at("zoom").value) / 100;
    view.x += (1 / before - 1 / after) / 2;
    view.y += (1 / before - 1 / after) / 2;
    move();
  });
  at("size").addEventListener("input", () => {
    at("grid").style.gridTemplateColumns = at("grid").style.gridTemplateColumns.replace(/[\d.]+px/, `${at("size").value}px`);
  });
  let held = null;
  at("grid").addEventListener("pointerdown", (event) => {
    const place = event.target.closest(".view");
    held = place && view.zoom > 1 ? { x: event.clientX, y: event.clientY, box: place.getBoundingClientRect(), moved: false } : null;
  });
  addEventListener("pointermove", (event) => {
    if (!held) return;
    view.x -= (event.clientX - held.x) / held.box.width / view.zoom;
    view.y -= (event.clientY - held.y) / held.box.height / view.zoom;
    held.moved = held.moved || Math.abs(event.clientX - held.x) + Math.abs(event.clientY - held.y) > 2;
    Object.assign(held, { x: event.clientX, y: event.clientY });
    move();
  });
  addEventListener("pointerup", () => setTimeout(() => (held = null)));
  at("grid").addEventListener("click", (event) => { if (held && held.moved) event.stopPropagation(); }, true);

  // --- two of them -------------------------------------------------------------------------------------
  function compare() {
    const [a, b] = [...chosen].sort((x, y) => x - y).map((number) => jobs.find((job) => job.job === number));
    const box = at("slider");
    box.replaceChildren(...[a, b].map((job, i) => {
      const look = looks.get(job.job);
      const shown = look ? make(look.tag, { src: look.source, alt: label(job), class: i ? "over" : null }) : make("div", { text: "nothing to look at" });
      if (look && look.tag === "video") Object.assign(shown, { muted: true, loop: true, playsInline: true });
      return shown;
    }), make("div", { class: "divide" }), make("span", { class: "tag a", text: `job ${a.job}` }), make("span", { class: "tag b", text: `job ${b.job}` }));
    const [left, right] = box.querySelectorAll("video");
    if (left && right) {
      left.addEventListener("timeupdate", () => { if (Math.abs(left.currentTime - right.currentTime) > 0.12) right.currentTime = left.currentTime; });
      for (const film of [left, right]) film.play().catch(() => null);
    }
    const changed = axes.map((axis, i) => [axis, i]).filter(([, i]) => a.at[i] !== b.at[i]);
    at("differs").textContent = changed.map(([axis, i]) => `${axis.name}: ${axis.values[a.at[i]]} | ${axis.values[b.at[i]]}`).join("; ");
    at("versus").hidden = false;
    divide();
    at("versus").focus();
    at("versus").scrollIntoView({ block: "nearest" });
  }
  function divide() {
    const share = at("divide").value;
    const over = at("slider").querySelector(".over"), line = at("slider").querySelector(".divide");
    if (over) { over.style.clipPath = `inset(0 0 0 ${share}%)`; over.style.height = "100%"; }
    if (line) line.style.left = `${share}%`;
  }
  at("divide").addEventListener("input", divide);
  at("slider").addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && !event.buttons) return;
    const box = at("slider").getBoundingClientRect();
    at("divide").value = (100 * (event.clientX - box.left)) / box.width;
    divide();
  });
  at("open-compare").addEventListener("click", compare);
  at("close-compare").addEventListener("click", () => { at("versus").hidden = true; at("slider").replaceChildren(); at("open-compare").focus(); });

  // --- the table ---------------------------------------------------------------------------------------
  at("job-tools").hidden = false;
  const figure = (head, get, show) => ({ head, num: true, get, show: (job) => (show || number)(get(job)) });
  new Table(at("job-table"), [
    { head: "Job", num: true, get: (job) => job.job, show: (job) => make("a", { href: `#job-${job.job}`, text: job.job, onclick: () => (at(`job-${job.job}`).open = true) }) },
    { head: "Overrides", cls: "wrap", get: (job) => job.overrides, show: (job) => make("code", { text: job.overrides }) },
    { head: "Status", get: (job) => job.status, show: (job) => chip(job.status) },
    ...data.metrics.map(([name, short]) => figure(short, (job) => job.metrics[name] ?? "", (value) => (value === "" ? "" : number(value)))),
    figure("Seconds", (job) => job.seconds, seconds), figure("Compute", (job) => job.compute, seconds),
    { head: "Shared", num: true, get: (job) => job.shared, show: (job) => `${job.shared} of ${job.nodes}` },
    { head: "Error", cls: "wrap", get: (job) => job.error },
  ], jobs, { filter: at("job-filter"), count: at("job-count"), key: (job) => job.job });

  // --- figures -----------------------------------------------------------------------------------------
  const scale = (axis) => axis.values.every((value) => value !== "" && !Number.isNaN(Number(value)));
  const dimensions = [
    ...axes.map((axis, i) => ({ name: axis.name, get: (job) => (scale(axis) ? Number(axis.values[job.at[i]]) : job.at[i]), ends: scale(axis) ? null : axis.values })),
    ...data.metrics.map(([name, short]) => ({ name: short, get: (job) => job.metrics[name] }))
      .filter((one) => new Set(jobs.map(one.get).filter(Number.isFinite)).size > 1),
    { name: "seconds", get: (job) => job.seconds }, { name: "compute", get: (job) => job.compute },
  ];
  const done = jobs.filter((job) => job.status !== "failed");
  const range = (one) => {
    const values = done.map(one.get).filter((value) => Number.isFinite(value));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return values.length ? (low === high ? [low - 0.5, high + 0.5] : [low, high]) : [0, 1];
  };
  const told = (one, value) => (one.ends ? one.ends[value] ?? "" : number(value));
  const pickX = at("plot-x"), pickY = at("plot-y");
  dimensions.forEach((one, i) => { for (const pick of [pickX, pickY]) pick.append(make("option", { value: i, text: one.name })); });
  pickY.value = Math.min(axes.length, dimensions.length - 1);
  const svg = (tag, given, ...children) => make(tag, { svg: true, ...given }, ...children);
  const mark = (job) => ({ "data-job": job.job, onclick: () => toggle(job.job) });

  function scatter() {
    const [x, y] = [dimensions[pickX.value], dimensions[pickY.value]], [rx, ry] = [range(x), range(y)];
    const across = (value) => 60 + (480 * (value - rx[0])) / (rx[1] - rx[0]), up = (value) => 260 - (230 * (value - ry[0])) / (ry[1] - ry[0]);
    const points = done.filter((job) => Number.isFinite(x.get(job)) && Number.isFinite(y.get(job)));
    at("scatter").replaceChildren(svg("svg", { viewBox: "0 0 560 310", role: "img", "aria-label": `${y.name} over ${x.name}` },
      svg("line", { class: "rule", x1: 50, y1: 270, x2: 550, y2: 270 }), svg("line", { class: "rule", x1: 50, y1: 20, x2: 50, y2: 270 }),
      svg("text", { x: 60, y: 286, text: told(x, rx[0]) }), svg("text", { x: 540, y: 286, "text-anchor": "end", text: told(x, rx[1]) }),
      svg("text", { x: 300, y: 302, "text-anchor": "middle", text: x.name }),
      svg("text", { x: 46, y: 260, "text-anchor": "end", text: told(y, ry[0]) }), svg("text", { x: 46, y: 34, "text-anchor": "end", text: told(y, ry[1]) }),
      svg("text", { x: 54, y: 14, text: y.name }),
      ...points.map((job) => svg("circle", { class: "dot", cx: across(x.get(job)), cy: up(y.get(job)), r: 5.5, ...mark(job) }, svg("title", { text: `job ${job.job}: ${label(job)}` })))));
  }
  function parallel() {
    const shown = dimensions.slice(0, 9), gap = 500 / Math.max(shown.length - 1, 1), ranges = shown.map(range);
    const up = (i, value) => 262 - (220 * (value - ranges[i][0])) / (ranges[i][1] - ranges[i][0]);
    at("parallel").replaceChildren(svg("svg", { viewBox: "0 0 580 310", role: "img", "aria-label": "parallel coordinates" },
      ...shown.flatMap((one, i) => [
        svg("line", { class: "rule", x1: 40 + i * gap, y1: 42, x2: 40 + i * gap, y2: 262 }),
        svg("text", { x: 40 + i * gap, y: i % 2 ? 300 : 18, "text-anchor": "middle", text: one.name }),
        svg("text", { x: 40 + i * gap, y: 276, "text-anchor": "middle", text: told(one, ranges[i][0]) }),
        svg("text", { x: 40 + i * gap, y: 34, "text-anchor": "middle", text: told(one, ranges[i][1]) }),
      ]),
      ...done.map((job) => {
        const places = shown.map((one, i) => [40 + i * gap, up(i, one.get(job))]).filter(([, y]) => Number.isFinite(y));
        return svg("path", { class: "way", d: "M" + places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" L"), ...mark(job) }, svg("title", { text: `job ${job.job}: ${label(job)}` }));
      })));
  }
  function marks() {
    for (const one of document.querySelectorAll("#plots [data-job]")) one.classList.toggle("chosen", chosen.has(Number(one.dataset.job)));
    at("plot-said").textContent = [...chosen].map((number) => { const job = jobs.find((one) => one.job === number); return `job ${number}: ${label(job)}`; }).join("; ");
  }
  if (done.length > 1) {
    at("plots").hidden = false;
    for (const pick of [pickX, pickY]) pick.addEventListener("input", () => { scatter(); marks(); });
    scatter();
    parallel();
  }
  for (const pick of Object.values(picks)) pick.addEventListener("input", draw);
  at("play-tools").hidden = at("hint").hidden = !looks.size;
  draw();
})();
