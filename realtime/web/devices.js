// Where the pictures and the voice come from, and whether a call sees them.

import { ask, find, made, tell, tried } from "./talk.js";

const AS_IT_COMES = "as it comes";
let known = null; // what can be chosen, as the server said
let there = false;

async function look() {
  known = (await tried(() => ask("/api/devices"))) || known;
  if (!known) return;
  const { sources, source, fixed, camera, camera_help: help } = known;
  find("source").replaceChildren(...sources.map(({ id, name }) => made("option", { value: id, textContent: name, selected: id === source })));
  sizes(known.size);
  find("source").disabled = find("source-size").disabled = Boolean(fixed);
  find("source-fixed").textContent = fixed || "";
  find("listening").hidden = known.microphones.length === 0;
  find("microphone").replaceChildren(...known.microphones.map((name) => (
    made("option", { value: name, textContent: name, selected: name === known.microphone }))));
  find("camera").title = camera ? `What you are goes out through ${camera}` : help;
}

function sizes(chosen) {
  const { sizes: held = [] } = known.sources.find(({ id }) => id === find("source").value) || {};
  const all = chosen && !held.includes(chosen) ? [chosen, ...held] : held;
  find("source-size").replaceChildren(
    made("option", { value: "", textContent: AS_IT_COMES }),
    ...all.map((size) => made("option", { value: size, textContent: size.replace("x", "×"), selected: size === chosen })),
  );
}

async function choose() {
  await tried(() => tell("/api/source", { source: find("source").value, size: find("source-size").value }));
  await look();
}

export function mark(devices, sound) {
  find("sound-settings").hidden = !sound;
  find("level").parentElement.hidden = !Number.isFinite(devices?.level);
  find("level").value = devices?.level || 0;
  if (Boolean(devices) !== there) {
    there = Boolean(devices);
    find("devices").hidden = find("camera").disabled = !there;
    if (there) look();
  }
  if (there) find("camera").setAttribute("aria-pressed", String(devices.camera_on));
}

find("camera").addEventListener("click", async () => {
  const on = find("camera").getAttribute("aria-pressed") === "true";
  await tried(() => tell("/api/camera", { do: on ? "off" : "on" }));
});
find("microphone").addEventListener("change", async ({ target }) => {
  await tried(() => tell("/api/microphone", { name: target.value }));
});
find("source").addEventListener("change", () => { sizes(""); choose(); });
find("source-size").addEventListener("change", choose);
find("devices").addEventListener("toggle", () => { if (there && find("devices").open) look(); }); // something may have been plugged in
