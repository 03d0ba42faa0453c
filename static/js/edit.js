"use strict";

// Comforts of editing: lists as chips, rows that are added and taken away.

// The list rule of the server (services/core/written.py): commas, semicolons or line breaks separate, quotes hold an entry together.
function read(text) {
  if (text.trim().startsWith("[")) {
    try {
      return JSON.parse(text).map(String);
    } catch {
      // Only begins like a list of JSON, as the tag [draft] does.
    }
  }
  const found = text.matchAll(/[^\S\n]*(?:"((?:[^"]|"")*)"[^\S\n]*(?=[,;\n]|$)|([^,;\n]*))(?:[,;\n]|$)/g);
  return [...found].map(([, quoted, bare]) => (quoted === undefined ? bare.trim() : quoted.replaceAll('""', '"'))).filter((item) => item.trim());
}

function written(item) {
  return /^["[\s]|[,;\n]|\s$/.test(item) ? `"${item.replaceAll('"', '""')}"` : item;
}

// The textarea stays what the form sends; chips and their text field write into it.
function chips(area) {
  const box = document.createElement("div");
  box.className = "chips input";
  const entry = document.createElement("input");
  entry.setAttribute("aria-label", `Add to ${area.dataset.chips}`);
  if (area.getAttribute("aria-describedby")) entry.setAttribute("aria-describedby", area.getAttribute("aria-describedby"));
  if (area.dataset.list) entry.setAttribute("list", area.dataset.list);
  entry.placeholder = "Add, then Enter";
  entry.autocomplete = "off";
  entry.spellcheck = false;
  const items = () => read(area.value);
  const write = (list) => {
    area.value = [...new Set(list)].map(written).join("\n");
    draw();
  };
  const add = () => {
    const fresh = read(entry.value);
    entry.value = "";
    if (fresh.length) write([...items(), ...fresh]);
  };
  const draw = () => {
    for (const chip of box.querySelectorAll(".chip")) chip.remove();
    for (const item of items()) {
      const chip = document.createElement("span");
      chip.className = "chip";
      const name = document.createElement("bdi");
      name.textContent = item;
      const remove = document.createElement("button");
      remove.type = "button";
      remove.textContent = "✕";
      remove.setAttribute("aria-label", `Remove ${item}`);
      remove.addEventListener("click", () => {
        write(items().filter((other) => other !== item));
        entry.focus();
      });
      chip.append(name, remove);
      entry.before(chip);
    }
  };
  entry.addEventListener("keydown", (event) => {
    const separates = [",", ";"].includes(event.key) && !/^\s*"([^"]|"")*$/.test(entry.value);
    if ((event.key === "Enter" && entry.value.trim()) || separates) {
      event.preventDefault();
      add();
    } else if (event.key === "Backspace" && !entry.value) {
      write(items().slice(0, -1));
    }
  });
  entry.addEventListener("blur", add);
  box.append(entry);
  area.hidden = true;
  area.after(box);
  draw();
  if (area.autofocus) entry.focus();
}

// A new row is a copy of the last one, emptied. Each row gets a button that takes it away.
function entries(group) {
  const number = () => group.querySelectorAll(".entry").forEach((row, index) => {
    for (const [part, word] of [["input", "Name"], ["select", "Kind"], ["textarea", "Value"]]) row.querySelector(part).setAttribute("aria-label", `${word} ${index + 1}`);
    row.querySelector("button")?.setAttribute("aria-label", `Remove row ${index + 1}`);
  });
  const removable = (row) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn small quiet";
    button.textContent = "✕";
    button.addEventListener("click", () => {
      const last = group.querySelectorAll(".entry").length === 1;
      if (last) for (const part of row.querySelectorAll("input, textarea")) part.value = "";
      else row.remove();
      number();
      add.focus();
    });
    row.append(button);
  };
  const add = group.querySelector("[data-add-entry]");
  add.addEventListener("click", (event) => {
    event.preventDefault();
    const rows = group.querySelectorAll(".entry");
    const row = rows[rows.length - 1].cloneNode(true);
    row.querySelector("button")?.remove();
    for (const part of row.querySelectorAll("input, textarea")) part.value = "";
    row.querySelector("select").selectedIndex = 0;
    removable(row);
    add.before(row);
    number();
    row.querySelector("input").focus();
  });
  for (const row of group.querySelectorAll(".entry")) removable(row);
  number();
}

function enhance(within) {
  for (const area of within.querySelectorAll("[data-chips]:not([hidden])")) chips(area);
  for (const group of within.querySelectorAll("[data-entries]:not([data-ready])")) {
    group.dataset.ready = "";
    entries(group);
  }
}

document.addEventListener("submit", (event) => {
  for (const entry of event.target.querySelectorAll(".chips.input > input")) entry.dispatchEvent(new Event("blur"));
}, true);

// Escape leaves a field as it was.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.target.closest(".field-row")?.querySelector("[data-cancel]")?.click();
});

document.addEventListener("htmx:load", (event) => enhance(event.detail.elt));
enhance(document);
