"use strict";

// Sends the calls of the API page, and shows what comes back.

function address(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("[data-in]")) {
    const values = field.multiple ? [...field.selectedOptions].map((option) => option.value) : [field.value];
    for (const value of values) {
      if (field.dataset.in === "path") path = path.replace(`{${field.dataset.name}}`, encodeURIComponent(value));
      else if (field.dataset.in === "query" && value !== "") query.append(field.dataset.name, value);
    }
  }
  return query.size ? `${path}?${query}` : path;
}

function request(form) {
  const bearer = document.getElementById("bearer").value.trim();
  const headers = { Accept: "application/json" };
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  else headers["X-CSRFToken"] = document.querySelector("#credentials [name=csrfmiddlewaretoken]").value;
  for (const field of form.querySelectorAll("[data-in=header]")) if (field.value) headers[field.dataset.name] = field.value;
  const body = form.querySelector("[data-body]")?.value;
  if (body) headers["Content-Type"] = "application/json";
  return { method: form.dataset.method, headers, body: body || undefined, credentials: bearer ? "omit" : "same-origin" };
}

function show(form, title, text) {
  const output = form.querySelector("output");
  const head = document.createElement("p");
  head.className = "strong";
  head.textContent = title;
  const pre = document.createElement("pre");
  pre.className = "secret";
  pre.tabIndex = 0;
  pre.textContent = text;
  output.replaceChildren(head, pre);
  output.hidden = false;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-try]");
  if (!form) return;
  event.preventDefault();
  const where = address(form);
  const started = performance.now();
  try {
    const answer = await fetch(where, request(form));
    const text = await answer.text();
    show(form, `${answer.status} ${answer.statusText} in ${Math.round(performance.now() - started)} ms: ${form.dataset.method} ${where}`, pretty(text));
  } catch {
    show(form, "The server does not answer.", where);
  }
});

for (const button of document.querySelectorAll("[data-try] button[hidden]")) button.hidden = false;

// An address with a fragment opens that call.
const chosen = location.hash && document.getElementById(location.hash.slice(1));
if (chosen?.tagName === "DETAILS") chosen.open = true;
