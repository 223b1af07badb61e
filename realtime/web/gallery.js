// Who can be worn: pictures to click.

import { change } from "./settings.js";
import { ask, find, made, tell, tried } from "./talk.js";

const WHOSE = { synthetic: "nobody's face", self: "your own face", consented: "agreed to by its owner", none: "no face of its own" };
const SHELVES = [
  ["Faces to wear", (entry) => entry.kind === "model" && (entry.family === "swap" || entry.broken)],
  ["Pictures that move", (entry) => entry.kind === "avatar"],
  ["What moves the pictures", (entry) => entry.kind === "model" && entry.family !== "swap" && !entry.broken],
];
let entries = [];
let worn = {};

export async function refresh() {
  const found = await tried(() => ask("/api/gallery"));
  if (!found) return;
  entries = found;
  const shelves = SHELVES.map(([title, belongs]) => [title, entries.filter(belongs)]).filter(([, held]) => held.length > 0);
  find("shelves").replaceChildren(...shelves.flatMap(([title, held]) => [
    made("h3", { textContent: title }), made("ul", { className: "shelf" }, ...held.map(card)),
  ]));
  mark(worn);
}

function card(entry) {
  const picture = entry.preview
    ? made("img", { src: `/api/preview/${entry.kind}/${encodeURIComponent(entry.name)}`, alt: "", loading: "lazy" })
    : made("span", { className: "blank", textContent: entry.title.slice(0, 1).toUpperCase() });
  const about = entry.broken || `${WHOSE[entry.whose] || entry.whose} · ${entry.family} · licence ${entry.licence}`;
  const wear = made("button", { type: "button", className: entry.broken ? "wear broken" : "wear", title: entry.broken || entry.statement },
    picture, made("span", { className: "name", textContent: entry.title }), made("span", { className: "about", textContent: about }));
  wear.dataset.kind = entry.kind;
  wear.dataset.name = entry.name;
  wear.disabled = Boolean(entry.broken);
  wear.addEventListener("click", () => put(entry));
  const item = made("li", {}, wear);
  if (entry.own) {
    const remove = made("button", { type: "button", className: "remove", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove ${entry.title}`);
    remove.addEventListener("click", () => discard(entry));
    item.append(remove);
  }
  return item;
}

function put(entry) {
  if (entry.kind === "model") { change({ model: entry.name }); return; }
  if (worn.family === "motion" || worn.family === "lip-sync") { change({ avatar: entry.name }); return; }
  const mover = entries.find((model) => model.kind === "model" && model.family === "motion" && !model.broken);
  change(mover ? { model: mover.name, avatar: entry.name } : { avatar: entry.name });
}

async function discard(entry) {
  if (!confirm(`Remove ${entry.title} from this computer? This cannot be undone.`)) return;
  if (await tried(() => tell("/api/remove", { kind: entry.kind, name: entry.name }))) await refresh();
}

// Who can be in a file: [title of the group, [[name, model, avatar], …]], …
export function people() {
  const models = (family) => entries.filter((entry) => entry.kind === "model" && entry.family === family && !entry.broken);
  const pictures = entries.filter((entry) => entry.kind === "avatar" && !entry.broken);
  const moved = (model) => (model ? pictures.map((picture) => [picture.title, model.name, picture.name]) : []);
  return [
    ["Faces to wear", models("swap").map((model) => [model.title, model.name, ""])],
    ["Pictures that move", moved(models("motion")[0])],
    ["Pictures that speak with the file's voice", moved(models("lip-sync")[0])],
  ].filter(([, held]) => held.length > 0);
}

// [model, avatar] worn now
export const self = () => [worn.model, worn.family === "swap" ? "" : worn.avatar];

// The card of what is worn is marked.
export function mark(report) {
  worn = report;
  const pictures = report.family === "motion" || report.family === "lip-sync";
  for (const button of document.querySelectorAll(".wear")) {
    const { kind, name } = button.dataset;
    button.setAttribute("aria-pressed", String(kind === "avatar" ? pictures && name === report.avatar : name === report.model));
  }
}

// Steps through the pictures that move, the number-th or by so many.
export function choose({ by = 0, number = 0 }) {
  const names = entries.filter((entry) => entry.kind === "avatar" && !entry.broken).map((entry) => entry.name);
  if (names.length === 0 || worn.family === "swap" || number > names.length) return;
  const now = Math.max(names.indexOf(worn.avatar), 0);
  change({ avatar: number ? names[number - 1] : names[(now + by + names.length) % names.length] });
}

export function focusOn(kind, name) {
  [...document.querySelectorAll(".wear")].find((b) => b.dataset.kind === kind && b.dataset.name === name)?.focus();
}
