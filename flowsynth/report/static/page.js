"use strict";
// What every page has: its data, small helpers, buttons that copy, and tables that sort and filter.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
document.documentElement.classList.add("js");

function make(tag, given = {}, ...children) {
  const svg = ["svg", "g", "path", "circle", "line", "text", "title", "rect"].includes(tag) && given.svg;
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "svg") continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function seconds(value) {
  if (!value) return "";
  if (value < 9.95) return value < 0.995 ? value.toFixed(2) + "s" : value.toFixed(1) + "s";
  if (value < 59.5) return value.toFixed(0) + "s";
  const whole = Math.round(value), minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}m${String(whole % 60).padStart(2, "0")}s`
    : `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}

function bytes(count) {
  if (!count) return "";
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (count < 1024) return unit === "B" ? `${count} B` : `${count.toFixed(1)} ${unit}`;
    count /= 1024;
  }
  return `${count.toFixed(1)} TiB`;
}

const number = (value) =>
  value === null || value === undefined ? "" : Number.isInteger(value) ? String(value) : Number(value.toPrecision(4)).toString();

function chip(status) {
  return make("span", { class: `chip ${status}`, text: status === "hit" ? "from the cache" : status });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.previousElementSibling.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Without a secure context there is no clipboard: choose the text, so that the keyboard copies it.
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Chosen";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

// A table of plain rows: `columns` are {head, get, show, num, cls}; only so many rows are in the page at once.
class Table {
  constructor(table, columns, rows, { most = 200, filter, count, key } = {}) {
    Object.assign(this, { table, columns, rows, most, count, key });
    this.order = [null, 1];
    this.words = [];
    this.body = table.tBodies[0];
    this.more = make("button", { type: "button", text: "Show more", onclick: () => { this.most += 500; this.draw(); } });
    table.parentElement.after(this.more);
    const head = table.tHead.rows[0];
    head.replaceChildren(...columns.map((column, i) => {
      const cell = make("th", { scope: "col", class: column.num ? "num" : null, "aria-sort": "none" });
      cell.append(make("button", { type: "button", text: column.head, onclick: () => this.sort(i) }));
      return cell;
    }));
    if (filter) filter.addEventListener("input", () => { this.words = filter.value.toLowerCase().split(/\s+/).filter(Boolean); this.draw(); });
    this.draw();
  }
  sort(i) {
    const [column, way] = this.order;
    const first = this.columns[i].num ? -1 : 1;
    this.order = [i, column === i ? -way : first];
    [...this.table.tHead.rows[0].cells].forEach((cell, j) =>
      cell.setAttribute("aria-sort", j === i ? (this.order[1] > 0 ? "ascending" : "descending") : "none"));
    this.draw();
  }
  shown() {
    const [i, way] = this.order;
    const text = (row) => this.columns.map((column) => column.get(row)).join(" ").toLowerCase();
    const found = this.words.length ? this.rows.filter((row) => { const all = text(row); return this.words.every((word) => all.includes(word)); }) : [...this.rows];
    if (i === null) return found;
    const get = this.columns[i].get;
    return found.sort((a, b) => {
      const [x, y] = [get(a), get(b)];
      if (typeof x === "number" && typeof y === "number") return way * (x - y);
      if (x === "" || y === "" || x === null || y === null) return (x === "" || x === null) - (y === "" || y === null);
      return way * String(x).localeCompare(String(y), undefined, { numeric: true });
    });
  }
  draw() {
    const found = this.shown();
    this.body.replaceChildren(...found.slice(0, this.most).map((row) => {
      const line = make("tr", { "data-row": this.key ? this.key(row) : null });
      for (const column of this.columns) {
        const cell = make("td", { class: [column.num ? "num" : "", column.cls || ""].join(" ").trim() || null });
        const shown = column.show ? column.show(row) : column.get(row);
        cell.append(shown ?? "");
        line.append(cell);
      }
      return line;
    }));
    this.more.hidden = found.length <= this.most;
    if (this.count) this.count.textContent = `${found.length.toLocaleString("en")} of ${this.rows.length.toLocaleString("en")}`;
  }
}
