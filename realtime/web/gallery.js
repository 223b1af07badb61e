// The identities and avatars of this machine, to click.

import { openRigging } from "./rigging.js";
import { change } from "./settings.js";
import { ask, find, made, tell, tried } from "./talk.js";

const WHOSE = { synthetic: "synthetic face", self: "your own face", consented: "with its owner's consent", none: "no identity" };
const IDENTITY_MODELS = ["swap", "figure"]; // chosen by a tile of their own, or by their figures
const OF_PICTURES = ["motion", "lip-sync", "face"]; // what can be done with an avatar's picture
const GROUPS = [
  ["Figures", (entry) => entry.kind === "avatar" && entry.family === "figure"],
  ["Face swap", (entry) => entry.kind === "model" && (entry.family === "swap" || entry.broken)],
  ["Avatars", (entry) => entry.kind === "avatar" && entry.family !== "figure"],
  ["What is done with an avatar", (entry) => entry.kind === "model" && !IDENTITY_MODELS.includes(entry.family) && !entry.broken],
];
let entries = [];
let active = {}; // the report of the run

export async function refresh() {
  const found = await tried(() => ask("/api/gallery"));
  if (!found) return;
  entries = found;
  const groups = GROUPS.map(([title, belongs]) => [title, entries.filter(belongs)]).filter(([, held]) => held.length > 0);
  find("identities").replaceChildren(...groups.flatMap(([title, held]) => [
    made("h3", { textContent: title }), made("ul", { className: "choices" }, ...held.map(choice)),
  ]));
  mark(active);
}

function choice(entry) {
  const picture = entry.preview
    ? made("img", { className: entry.family, src: `/api/preview/${entry.kind}/${encodeURIComponent(entry.name)}?ticket=${entry.ticket}`, alt: "", loading: "lazy" })
    : made("span", { className: "blank", textContent: entry.title.slice(0, 1).toUpperCase() });
  const about = entry.broken || `${WHOSE[entry.whose] || entry.whose} · ${entry.family} · licence ${entry.licence}`;
  const button = made("button", { type: "button", className: entry.broken ? "choice broken" : "choice", title: entry.broken || entry.statement },
    picture, made("span", { className: "name", textContent: entry.title }), made("span", { className: "about", textContent: about }));
  button.dataset.kind = entry.kind;
  button.dataset.name = entry.name;
  button.disabled = Boolean(entry.broken);
  button.addEventListener("click", () => put(entry));
  const item = made("li", {}, button);
  if (entry.joints) {
    const joints = made("button", { type: "button", className: "joints", textContent: "Joints" });
    joints.setAttribute("aria-label", `Joints of ${entry.title}`);
    joints.addEventListener("click", () => openRigging(entry.name));
    item.append(joints);
  }
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
  const families = entry.family === "figure" ? ["figure"] : OF_PICTURES;
  if (families.includes(active.family)) { change({ avatar: entry.name }); return; }
  const mover = entries.find((model) => model.kind === "model" && model.family === families[0] && !model.broken);
  change(mover ? { model: mover.name, avatar: entry.name } : { avatar: entry.name });
}

async function discard(entry) {
  if (!confirm(`Remove ${entry.title} from this computer? This cannot be undone.`)) return;
  if (await tried(() => tell("/api/remove", { kind: entry.kind, name: entry.name }))) await refresh();
}

// Whom a file can show: [title of the group, [[name, model, avatar], …]], …
export function people() {
  const models = (family) => entries.filter((entry) => entry.kind === "model" && entry.family === family && !entry.broken);
  const moved = (model, kind) => (model ? avatars(kind).map((avatar) => [avatar.title, model.name, avatar.name]) : []);
  return [
    ["Figures", moved(models("figure")[0], "figure")],
    ["Face swap", models("swap").map((model) => [model.title, model.name, ""])],
    ["Avatars", moved(models("motion")[0], "picture")],
    ["Avatars whose faces are worn", moved(models("face")[0], "picture")],
    ["Avatars that speak with the file's voice", moved(models("lip-sync")[0], "picture")],
  ].filter(([, held]) => held.length > 0);
}

const avatars = (kind) => entries.filter((entry) => entry.kind === "avatar" && entry.family === kind && !entry.broken);

// [model, avatar] in use now
export const self = () => [active.model, active.family === "swap" ? "" : active.avatar];

// Marks the identity in use.
export function mark(report) {
  active = report;
  const pictures = report.family !== "swap";
  for (const button of document.querySelectorAll(".choice")) {
    const { kind, name } = button.dataset;
    button.setAttribute("aria-pressed", String(kind === "avatar" ? pictures && name === report.avatar : name === report.model));
  }
}

// Chooses an avatar: the number-th, or so many further.
export function choose({ by = 0, number = 0 }) {
  const names = avatars(active.family === "figure" ? "figure" : "picture").map((entry) => entry.name);
  if (names.length === 0 || active.family === "swap" || number > names.length) return;
  const now = Math.max(names.indexOf(active.avatar), 0);
  change({ avatar: number ? names[number - 1] : names[(now + by + names.length) % names.length] });
}

export function focusOn(kind, name) {
  [...document.querySelectorAll(".choice")].find((b) => b.dataset.kind === kind && b.dataset.name === name)?.focus();
}
