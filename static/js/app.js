"use strict";

// Small comforts. Every page works without them.

const live = () => document.getElementById("live");

function toast(text) {
  const box = document.createElement("div");
  box.className = "toast";
  box.append(document.createTextNode(text));
  live()?.replaceChildren(box);
  settle();
}

// Messages go away by themselves, not while somebody reads them with the pointer or the keyboard on them.
function settle() {
  for (const box of document.querySelectorAll(".toast:not([data-settled])")) {
    box.dataset.settled = "";
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", "Dismiss");
    button.textContent = "✕";
    button.addEventListener("click", () => box.remove());
    box.append(button);
    const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : box.remove());
    setTimeout(leave, 8000);
  }
}

function showCopyButtons(within) {
  if (!navigator.clipboard) return;
  for (const button of within.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied.");
  } catch {
    toast("The browser does not allow copying here.");
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form?.requestSubmit();
});

// One box chooses all the others of its form.
document.addEventListener("change", (event) => {
  const name = event.target.dataset?.all;
  if (!name) return;
  for (const box of event.target.form.querySelectorAll(`input[name="${name}"]`)) box.checked = event.target.checked;
});

// htmx lets a link inside a picture go its own way as well; with a modifier it shall go that way only.
document.addEventListener("click", (event) => {
  if (!event.target.closest("svg a[hx-get]")) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) event.stopPropagation();
  else event.preventDefault();
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = document.querySelector("[data-search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

// What drops down is closed by Escape, and by a click beside it.
document.addEventListener("keydown", (event) => {
  const drop = event.key === "Escape" && event.target.closest("details.drop[open]");
  if (!drop) return;
  drop.open = false;
  drop.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  for (const drop of document.querySelectorAll("details.drop[open]")) if (!drop.contains(event.target)) drop.open = false;
});

// What is not asked for has no place in the address.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") return;
  for (const [name, value] of [...event.detail.formData]) if (value === "") event.detail.formData.delete(name);
});

document.addEventListener("htmx:afterSwap", (event) => {
  showCopyButtons(event.target);
  settle();
});

// An error says one sentence, once. What asks again and again for something that is gone, or forbidden, is given up.
let told = "";
function tell(text) {
  if (text !== told) toast(text);
  told = text;
}
document.addEventListener("htmx:responseError", (event) => {
  const { xhr, elt, requestConfig } = event.detail;
  const plain = xhr.getResponseHeader("Content-Type")?.startsWith("text/plain");
  tell(plain && xhr.responseText ? xhr.responseText.slice(0, 300) : `The server could not answer (${xhr.status}).`);
  if (!requestConfig.triggeringEvent && xhr.status < 500) elt.replaceWith(elt.cloneNode(true));
});
document.addEventListener("htmx:sendError", () => tell("The server does not answer."));
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.detail.isError) told = "";
});

showCopyButtons(document);
settle();
