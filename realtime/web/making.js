// Files rendered from videos: ordered, in progress, finished.

import { people, self } from "./gallery.js";
import { rows } from "./recordings.js";
import { ask, find, made, tell, tried, upload } from "./talk.js";

const PLACE = "/api/results";
let files = [];
let request = null;

// ---- ordering one ---------------------------------------------------------------------------

// Asks which identity these files show; `chosen` is {kind, name} from the gallery, else the one in use.
export function order(videos, chosen) {
  if (videos.length === 0 || document.querySelector("dialog[open]")) return; // one question at a time
  files = videos;
  const megabytes = videos.reduce((sum, file) => sum + file.size, 0) / 1e6;
  find("order-files").textContent = `${videos.map((file) => file.name).join(", ")} (${megabytes.toFixed(1)} MB)`;
  const [model, avatar] = self();
  const wanted = ([, ofModel, ofAvatar]) => (chosen
    ? chosen.name === (chosen.kind === "avatar" ? ofAvatar : ofModel)
    : ofModel === model && ofAvatar === avatar);
  const first = people().flatMap(([, held]) => held).find(wanted);
  const value = ([, ...both]) => JSON.stringify(both);
  find("order-who").replaceChildren(...people().map(([title, held]) => made("optgroup", { label: title }, ...held.map((one) => (
    made("option", { textContent: one[0], value: value(one), selected: first !== undefined && value(first) === value(one) })
  )))));
  find("order-error").textContent = "";
  find("order-progress").hidden = true;
  find("order-make").disabled = false;
  find("ordering").showModal();
}

function send() {
  const [model, avatar] = JSON.parse(find("order-who").value);
  find("order-error").textContent = "";
  find("order-progress").hidden = false;
  find("order-make").disabled = true;
  const said = new URLSearchParams({ title: files[0].name, model, avatar });
  request = upload(`/api/jobs?${said}`, files[0], find("order-progress"), () => {
    files = files.slice(1);
    if (files.length > 0) send();
    else { request = null; find("ordering").close(); }
  }, (why) => {
    request = null;
    find("order-error").textContent = files[0].name && !why.includes(files[0].name) ? `${files[0].name}: ${why}` : why;
    find("order-progress").hidden = true;
    find("order-make").disabled = false;
  });
}

find("make").addEventListener("click", () => find("video").click());
find("video").addEventListener("change", ({ target }) => { order([...target.files]); target.value = ""; });
find("order").addEventListener("submit", (event) => { event.preventDefault(); if (!request) send(); });
find("order-cancel").addEventListener("click", () => find("ordering").close());
find("ordering").addEventListener("close", () => { request?.abort(); request = null; });

// ---- in progress ----------------------------------------------------------------------------

const shown = new Map(); // number → what is on the page of that job

const left = (seconds) => (seconds < 90 ? `${seconds} s left` : `${Math.round(seconds / 60)} min left`);

function how({ state, share, left_s: leftS, said }) {
  if (state === "waiting") return "waiting";
  if (state === "failed") return said;
  if (state === "done") return said ? `finished, but ${said}` : "finished";
  if (share === null) return "rendering";
  return `${Math.round(share * 100)} %${leftS === null ? "" : `, ${left(leftS)}`}`;
}

function row(job) {
  const what = made("span", { className: "what", textContent: `${job.title} as ${job.who}` });
  const bar = made("progress", { max: 1 });
  bar.setAttribute("aria-label", `Progress of ${job.title}`);
  const text = made("span", { className: "how" });
  const play = made("button", { type: "button", textContent: "Play", hidden: true });
  const drop = made("button", { type: "button", className: "drop" });
  drop.addEventListener("click", () => tried(() => tell("/api/jobs/drop", { job: String(job.number) })));
  return { item: made("li", {}, what, bar, text, play, drop), bar, text, play, drop, state: "" };
}

export function mark(jobs) {
  for (const [number, { item }] of shown) {
    if (!jobs.some((job) => job.number === number)) { item.remove(); shown.delete(number); }
  }
  for (const job of jobs) {
    if (!shown.has(job.number)) {
      shown.set(job.number, row(job));
      find("jobs").append(shown.get(job.number).item);
    }
    const at = shown.get(job.number);
    const words = how(job);
    if (at.text.textContent !== words) at.text.textContent = words;
    if (job.share === null) at.bar.removeAttribute("value");
    else at.bar.value = job.share;
    if (at.state !== job.state) change(at, job);
  }
}

function change(at, job) {
  const ended = job.state === "done" || job.state === "failed";
  at.bar.hidden = job.state !== "running";
  at.item.dataset.state = at.state = job.state;
  at.drop.textContent = ended ? "Clear" : "Cancel";
  at.drop.setAttribute("aria-label", `${ended ? "Clear" : "Cancel"} ${job.title}`);
  if (ended) find("made").textContent = job.state === "done" ? `${job.result} is finished.` : `${job.title} could not be rendered.`;
  if (job.state !== "done") return;
  at.play.hidden = false;
  at.play.setAttribute("aria-label", `Play ${job.result}`);
  at.play.addEventListener("click", () => {
    [...find("results").children].find(({ dataset }) => dataset.name === job.result)?.querySelector(".play").click();
  });
  refresh();
}

// ---- finished -------------------------------------------------------------------------------

export async function refresh() {
  const held = await tried(() => ask(PLACE));
  if (!held) return;
  find("results-folder").textContent = held.files.length > 0 ? `Stored in ${held.folder}` : "";
  const items = rows(held.files, PLACE, find("result-player"));
  for (const item of items) {
    const { name } = item.dataset;
    const remove = made("button", { type: "button", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove ${name}`);
    remove.addEventListener("click", () => discard(name));
    item.append(remove);
  }
  find("results").replaceChildren(...items);
}

async function discard(name) {
  if (!confirm(`Remove ${name} from this computer? This cannot be undone.`)) return;
  const player = find("result-player");
  if (player.src.includes(`/${encodeURIComponent(name)}?`)) { player.removeAttribute("src"); player.load(); player.hidden = true; }
  if (await tried(() => tell(PLACE, { do: "remove", name }))) await refresh();
}
