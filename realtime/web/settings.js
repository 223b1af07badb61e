// The live settings: shown in the fields, sent when a field changes.

import { find, tell, tried } from "./talk.js";

const fields = [...document.querySelectorAll("[data-key]")];
const pending = new Map();
let sending = false;
let first = null; // as they were when the page was opened
export let settings = {};

export function take(now) {
  settings = now;
  first = first || { ...now };
  for (const field of fields) {
    if (pending.has(field.dataset.key)) continue;
    const value = now[field.dataset.key];
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
    label(field);
  }
  if (!pending.has("background") && document.activeElement !== find("background-colour")) {
    const colour = now.background.startsWith("#");
    find("background").value = colour ? "colour" : now.background;
    find("background-colour").hidden = !colour;
    if (colour) find("background-colour").value = now.background;
  }
  find("panic").setAttribute("aria-pressed", String(now.panic));
  const text = now.panic ? "Show the picture again" : "Show the slate now";
  if (find("panic").firstChild.textContent !== text) find("panic").firstChild.textContent = text;
}

function label(field) {
  const shown = field.closest("label").querySelector(".value");
  if (shown) shown.textContent = field.value;
}

// Only the newest value of each setting is sent, one request at a time.
export function change(changes) {
  for (const [key, value] of Object.entries(changes)) pending.set(key, value);
  if (!sending) send();
}

async function send() {
  sending = true;
  while (pending.size > 0) {
    const changes = Object.fromEntries(pending);
    const now = await tried(() => tell("/api/settings", changes));
    for (const [key, value] of Object.entries(changes)) if (pending.get(key) === value) pending.delete(key);
    take(now || settings); // a refused value goes back to what it was
  }
  sending = false;
}

// Panic waits for nobody: it has a request of its own.
export async function panic() {
  const now = await tried(() => tell("/api/settings", { panic: !settings.panic }));
  if (now) take(now);
}

for (const field of fields) {
  field.addEventListener("input", () => {
    label(field);
    const value = field.type === "checkbox" ? field.checked : field.type === "range" ? Number(field.value) : field.value;
    change({ [field.dataset.key]: value });
  });
}

find("background").addEventListener("input", ({ target }) => {
  find("background-colour").hidden = target.value !== "colour";
  change({ background: target.value === "colour" ? find("background-colour").value : target.value });
});
find("background-colour").addEventListener("input", ({ target }) => change({ background: target.value }));
find("controls").addEventListener("submit", (event) => event.preventDefault());
find("panic").addEventListener("click", panic);
find("neutral").addEventListener("click", () => change({ reference: settings.reference + 1 }));
find("defaults").addEventListener("click", () => {
  if (first) change(Object.fromEntries([...fields.map((field) => field.dataset.key), "background"].map((key) => [key, first[key]])));
});

// ---- presets --------------------------------------------------------------------------------

async function preset(names) {
  const list = await tried(names);
  if (!list) return false;
  find("presets").replaceChildren(...list.map((name) => {
    const use = Object.assign(document.createElement("button"), { type: "button", className: "use", textContent: name });
    use.addEventListener("click", () => preset(() => tell("/api/presets", { do: "use", name })));
    const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove the preset ${name}`);
    remove.addEventListener("click", () => preset(() => tell("/api/presets", { do: "remove", name })));
    const item = document.createElement("li");
    item.append(use, remove);
    return item;
  }));
  return true;
}

export const showPresets = (names) => preset(names);

async function save() {
  const name = find("preset-name").value.trim();
  if (name && await preset(() => tell("/api/presets", { do: "save", name }))) find("preset-name").value = "";
}
find("preset-save").addEventListener("click", save);
find("preset-name").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); save(); } });
