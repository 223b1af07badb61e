"use strict";
// The live page: draws what the server sends, says what others see, changes settings.

const find = (id) => document.getElementById(id);
const canvas = find("picture");
const pen = canvas.getContext("2d", { alpha: false });
const fields = [...document.querySelectorAll("[data-key]")];
let settings = {};
let first = null; // the settings as they were when the page was opened
let drawnAt = 0;
const STALE_MS = 2000;

// ---- pictures -------------------------------------------------------------------------------

function connect(wait = 250) {
  const socket = new WebSocket(`ws://${location.host}/ws/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { wait = 250; };
  socket.onmessage = async ({ data }) => {
    if (typeof data === "string") { tell(JSON.parse(data)); return; }
    let bitmap = null;
    try {
      bitmap = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
      draw(bitmap);
    } catch { // a picture that can't be read is left out
    } finally {
      if (bitmap) bitmap.close();
      // The server sends the next one only now, so nothing piles up on a slow machine.
      if (socket.readyState === WebSocket.OPEN) socket.send("drawn");
    }
  };
  socket.onclose = () => {
    // An old picture must not look like a live one.
    veil("Not connected. Is masquerade still running?");
    state("Not connected.", "bad");
    setTimeout(connect, wait, Math.min(wait * 2, 4000));
  };
}

function draw(bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  pen.drawImage(bitmap, 0, 0);
  drawnAt = performance.now();
  veil("");
}

function veil(text) {
  find("veil").textContent = text;
  find("veil").hidden = text === "";
}

setInterval(() => {
  if (find("veil").hidden && performance.now() - drawnAt > STALE_MS) veil("No new pictures.");
}, 500);

// ---- what is going on -----------------------------------------------------------------------

function state(text, kind) {
  const line = find("state");
  if (line.textContent !== text) line.textContent = text; // unchanged text is not read out again
  line.dataset.kind = kind;
}

function sentence(report) {
  const who = report.title || report.model || "the character";
  switch (report.state) {
    case "synthetic": return [`You are ${who}. Others see ${who}.`, "good"];
    case "rest": return [`Your face is lost. Others see ${who} at rest.`, "warn"];
    case "hold": return [`Your face is lost. Others see ${who}'s last picture.`, "warn"];
    case "card": return ["Your face is lost. Others see a card.", "warn"];
    case "blur": return ["Your face is lost. Others see a blurred picture.", "warn"];
    case "raw": return ["OTHERS SEE YOUR OWN FACE.", "bad"];
    case "starting": case undefined: return ["Starting …", "warn"];
    default: return [`${report.state}. Others see ${who}'s last picture, then a card.`, "warn"];
  }
}

const ms = (value) => (Number.isFinite(value) ? `${value.toFixed(0)} ms` : "–");

function tell({ report, settings: now, page_delay_ms: delay }) {
  state(...sentence(report));
  const latency = report.latency_ms || {};
  find("fps").textContent = Number.isFinite(report.fps) ? report.fps.toFixed(1) : "–";
  find("p50").textContent = ms(latency.p50);
  find("p95").textContent = ms(latency.p95) + (Number.isFinite(delay) ? ` (+ ${delay.toFixed(0)} to this page)` : "");
  find("dropped").textContent = report.frames ? String(report.frames.dropped) : "–";
  const providers = Object.entries(report.providers || {}).map(([what, where]) => `${what}: ${where}`);
  find("provider").textContent = providers.join(", ") || "–";
  offer(report.avatars || [], report.family === "motion");
  document.title = report.title ? `${report.title} – masquerade` : "masquerade";
  take(now);
}

// Models that move a still picture have controls that others lack.
function offer(avatars, moves) {
  const select = document.querySelector('[data-key="avatar"]');
  for (const control of document.querySelectorAll(".avatars")) control.hidden = !moves;
  if ([...select.options].map((option) => option.value).join("\n") === avatars.join("\n")) return;
  select.replaceChildren(...avatars.map((name) => new Option(name, name)));
}

// ---- settings -------------------------------------------------------------------------------

function take(now) {
  settings = now;
  first = first || { ...now };
  for (const field of fields) {
    if (field === document.activeElement && field.type === "range" && pending.has(field.dataset.key)) continue;
    const value = now[field.dataset.key];
    if (field.type === "checkbox") field.checked = value;
    else field.value = value ?? field.options?.[0]?.value ?? "";
    label(field);
  }
}

function label(field) {
  const shown = field.closest("label").querySelector("output");
  if (shown) shown.textContent = field.value;
}

const pending = new Map();
let sending = false;

function change(key, value) {
  pending.set(key, value);
  if (!sending) send();
}

async function send() {
  sending = true;
  try {
    while (pending.size > 0) {
      const body = JSON.stringify(Object.fromEntries(pending));
      pending.clear();
      const answer = await fetch("/api/settings", {
        method: "POST", headers: { "Content-Type": "application/json" }, body,
      });
      const said = await answer.json();
      find("error").textContent = answer.ok ? "" : said.error;
      if (answer.ok && pending.size === 0) take(said);
    }
  } catch {
    find("error").textContent = "The setting could not be sent.";
  } finally {
    sending = false;
  }
}

for (const field of fields) {
  field.addEventListener("input", () => {
    label(field);
    const value = field.type === "checkbox" ? field.checked : field.type === "range" ? Number(field.value) : field.value;
    change(field.dataset.key, value);
  });
}

find("controls").addEventListener("submit", (event) => event.preventDefault());
find("neutral").addEventListener("click", () => change("reference", settings.reference + 1));
find("defaults").addEventListener("click", () => {
  for (const field of fields) if (first) change(field.dataset.key, first[field.dataset.key]);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const next = (key) => {
    const choices = [...document.querySelector(`[data-key="${key}"]`).options].map((option) => option.value);
    return choices[(choices.indexOf(settings[key]) + 1) % choices.length];
  };
  if (event.key === "m") change("mirror", !settings.mirror);
  else if (event.key === "c") change("color_transfer", next("color_transfer"));
  else if (event.key === "h") change("on_miss", next("on_miss"));
  else if (find("neutral").hidden) return;
  else if (event.key === "r") change("reference", settings.reference + 1);
  else if (event.key === "e") change("region", next("region"));
  else if (event.key === "a") {
    const names = [...document.querySelector('[data-key="avatar"]').options].map((option) => option.value);
    change("avatar", names[(Math.max(names.indexOf(settings.avatar), 0) + 1) % names.length]);
  }
});

connect();
