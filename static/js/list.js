"use strict";

// The list of models: selecting, moving by keyboard, facets. The page works without any of this.

const results = () => document.getElementById("results");
const rows = () => [...document.querySelectorAll("tr[data-row]")];
const boxes = () => [...document.querySelectorAll('input[name="id"][form="bulk"]')];
const number = new Intl.NumberFormat("en");

// --- selecting ---

function showSelection() {
  const bar = document.getElementById("bulk");
  if (!bar) return;
  const all = document.getElementById("pick-all");
  const everything = Boolean(all?.checked);
  for (const box of boxes()) {
    if (everything) box.checked = true;
    box.disabled = everything;
  }
  const picked = boxes().filter((box) => box.checked).length;
  const page = document.getElementById("pick-page");
  page.checked = picked > 0 && picked === boxes().length;
  page.indeterminate = picked > 0 && !page.checked;
  page.disabled = everything;
  bar.classList.toggle("on", picked > 0);
  bar.querySelector("[data-selected]").textContent = everything ? "All selected" : `${number.format(picked)} selected`;
  bar.querySelector("[data-only-picked]").disabled = everything || picked < 2 || picked > 6;
  bar.querySelector("[data-unselect]").hidden = false;
}

function unselect() {
  const all = document.getElementById("pick-all");
  if (all) all.checked = false;
  for (const box of boxes()) {
    box.disabled = false;
    box.checked = false;
  }
  showSelection();
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick-page]")) for (const box of boxes()) box.checked = event.target.checked;
  if (event.target.id === "pick-all" && !event.target.checked) return unselect();
  if (event.target.form && event.target.form === document.getElementById("bulk")) showSelection();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-unselect]")) unselect();
});

// --- keyboard ---

function move(step) {
  const all = rows();
  const here = all.indexOf(document.activeElement?.closest("tr[data-row]"));
  const next = all[here < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(here + step, 0), all.length - 1)];
  next?.querySelector("a.name").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest('input:not([type="checkbox"]), textarea, select, [contenteditable], dialog')) return;
  const row = document.activeElement?.closest("tr[data-row]");
  const arrows = row || document.activeElement === document.body || document.activeElement?.id === "main";
  if (event.key === "j" || (event.key === "ArrowDown" && arrows)) move(1);
  else if (event.key === "k" || (event.key === "ArrowUp" && arrows)) move(-1);
  else if (event.key === "x" && row) row.querySelector('input[name="id"]').click();
  else if (event.key === "e" && row?.closest("[data-editable]")) window.location.assign(`${row.querySelector("a.name").href}metadata/`);
  else if (event.key === "?") document.getElementById("keys").showModal();
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll("[data-keys]")) {
  button.hidden = false;
  button.addEventListener("click", () => document.getElementById("keys").showModal());
}

// --- facets ---

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-facets]");
  if (link) {
    event.preventDefault();
    const open = link.dataset.facets === "open";
    document.querySelector(".browse").classList.toggle("choosing", open);
    if (open) document.querySelector("#facets summary")?.focus();
  }
});

function narrow(field) {
  const wanted = field.value.trim().toLowerCase();
  const facet = field.closest(".facet");
  if (wanted) for (const more of facet.querySelectorAll("details")) more.open = true;
  for (const label of facet.querySelectorAll("label")) label.hidden = !label.textContent.toLowerCase().includes(wanted);
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-narrow]")) narrow(event.target);
});
// What is typed here chooses nothing yet.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-narrow]")) event.stopPropagation();
}, true);

// A swap brings facets as the server has them; what somebody opened or closed stays as it was.
let states = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id !== "results") return;
  states = new Map([...results().querySelectorAll("aside details[id]")].map((each) => [each.id, each.open]));
});
document.addEventListener("htmx:afterSwap", (event) => {
  showNarrowing();
  if (event.detail.target?.id !== "results" && event.detail.elt?.id !== "results") return;
  restore("aside details:not([hx-get])");
  const field = document.getElementById("q");
  if (document.querySelector("#search-faults > *")) field?.setAttribute("aria-invalid", "true");
  else field?.removeAttribute("aria-invalid");
  showSelection();
});

// Facets that are counted when they are opened have to be listened to first.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target?.id === "results" || event.detail.elt?.id === "results") restore("aside details[hx-get]");
});

function restore(which) {
  for (const each of document.querySelectorAll(which)) {
    if (states.has(each.id) && each.open !== states.get(each.id)) each.open = states.get(each.id);
    states.delete(each.id);
  }
}

function showNarrowing() {
  for (const field of document.querySelectorAll("[data-narrow][hidden]")) field.hidden = false;
}

showNarrowing();
showSelection();
