// Snapshots, recordings, and playing them.

import { ask, fetched, find, made, tell, tried } from "./talk.js";

let now = null; // the name of the recording being made

export async function snapshot() {
  await tried(async () => {
    const answer = await fetched("/api/snapshot");
    const href = URL.createObjectURL(await answer.blob());
    made("a", { href, download: /"(.*)"/.exec(answer.headers.get("Content-Disposition"))[1] }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
  });
}

export async function record() {
  await tried(() => tell("/api/recording", { do: now ? "stop" : "start" }));
  await refresh();
}

export async function refresh() {
  const held = await tried(() => ask("/api/recordings"));
  if (!held) return;
  find("recordings").hidden = held.files.length === 0;
  find("folder").textContent = held.folder ? `Stored in ${held.folder}` : "";
  find("files").replaceChildren(...rows(held.files, "/api/recordings", find("player")));
}

// A row for each file: play it there, fetch it.
export function rows(files, place, player) {
  return files.map(({ name, bytes, ticket }) => {
    const address = `${place}/${encodeURIComponent(name)}?ticket=${ticket}`;
    const play = made("button", { type: "button", className: "play", textContent: `${name} (${(bytes / 1e6).toFixed(1)} MB)` });
    play.setAttribute("aria-label", `Play ${name}`);
    play.addEventListener("click", () => show(player, address));
    const row = made("li", {}, play, made("a", { href: `${address}&download=1`, textContent: "Download", download: name }));
    row.dataset.name = name;
    return row;
  });
}

function show(player, address) {
  player.hidden = false;
  player.src = address;
  player.play().catch(() => {}); // the browser's own controls are there
}

export function mark(name, possible) {
  if (now !== null && name === null) refresh(); // it ended by itself, or by another page
  now = name;
  find("record").disabled = !possible;
  find("record").setAttribute("aria-pressed", String(Boolean(name)));
  const text = name ? "Stop recording " : "Record ";
  if (find("record").firstChild.textContent !== text) find("record").firstChild.textContent = text;
}

find("snapshot").addEventListener("click", snapshot);
find("record").addEventListener("click", record);
