// The live page: draws what the server sends and says what others see.

import "./dropping.js";
import "./keyboard.js";
import { numbers } from "./charts.js";
import { mark as markDevices } from "./devices.js";
import { mark, refresh } from "./gallery.js";
import { mark as markJobs, refresh as refreshResults } from "./making.js";
import { mark as markRecording, refresh as refreshRecordings } from "./recordings.js";
import { showPresets, take } from "./settings.js";
import { sentence, show } from "./state.js";
import { ask, connect as open, find, made } from "./talk.js";

const STALE_MS = 2000;
let drawnAt = 0;

// ---- pictures -------------------------------------------------------------------------------

// Nobody looks at a hidden page, or at a picture that was scrolled away: then no pictures are asked for.
const away = new Set();
const waiting = new Set();
const watched = (canvas) => !document.hidden && !away.has(canvas);
const lookAgain = () => { for (const go of waiting) go(); waiting.clear(); };
const looks = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) { if (isIntersecting) away.delete(target); else away.add(target); }
  lookAgain();
});
document.addEventListener("visibilitychange", lookAgain);
async function untilWatched(canvas) {
  while (!watched(canvas)) await new Promise((go) => { waiting.add(go); });
}

// Pictures from `path` into a canvas; `heard` gets what else is said. Gives what closes it.
function view(path, canvas, { drawn = () => {}, heard = () => {}, lost = () => {} }) {
  const pen = canvas.getContext("2d", { alpha: false });
  let socket = null;
  let wanted = true;
  const connect = (wait) => {
    socket = open(path);
    socket.binaryType = "arraybuffer";
    const mine = socket;
    let patience = wait;
    mine.onopen = () => { patience = 250; };
    mine.onmessage = async ({ data }) => {
      if (typeof data === "string") { heard(JSON.parse(data)); return; }
      try {
        const bitmap = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
        if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
          canvas.width = bitmap.width;
          canvas.height = bitmap.height;
        }
        pen.drawImage(bitmap, 0, 0);
        bitmap.close();
        drawn();
      } catch { // a picture that can't be read is left out
      } finally {
        // The server sends the next one only now, so nothing piles up on a slow machine.
        await untilWatched(canvas);
        if (mine.readyState === WebSocket.OPEN) mine.send("drawn");
      }
    };
    mine.onclose = () => {
      if (!wanted) return;
      lost();
      setTimeout(() => { if (wanted) connect(Math.min(patience * 2, 4000)); }, patience);
    };
  };
  looks.observe(canvas);
  connect(250);
  return () => { wanted = false; socket.close(); };
}

function veil(text) {
  find("veil").textContent = text;
  find("veil").hidden = text === "";
}

setInterval(() => {
  if (watched(find("picture")) && find("veil").hidden && performance.now() - drawnAt > STALE_MS) veil("No new pictures.");
}, 500);

let closeOwn = null;
find("see-own").addEventListener("click", () => {
  const canvas = find("own");
  if (closeOwn) { closeOwn(); closeOwn = null; } else closeOwn = view("/ws/own", canvas, {});
  canvas.hidden = closeOwn === null;
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  find("see-own").setAttribute("aria-pressed", String(closeOwn !== null));
});

// ---- what is going on -----------------------------------------------------------------------

function hear({ report, settings, page_delay_ms: delay, recording, can_record: canRecord, notices, jobs, devices }) {
  show(sentence(report, settings));
  numbers(report, delay);
  mark(report);
  markRecording(recording, canRecord);
  markJobs(jobs);
  markDevices(devices, report.sound);
  for (const group of document.querySelectorAll("[data-for]")) group.hidden = !group.dataset.for.split(" ").includes(report.family);
  document.title = report.title ? `${report.title} – masquerade` : "masquerade";
  const texts = notices.filter((notice) => notice.ago_s < 120).slice(0, 4).map((notice) => notice.text);
  const shown = [...find("notices").children].map((item) => item.textContent);
  if (texts.join("\n") !== shown.join("\n")) find("notices").replaceChildren(...texts.map((text) => made("li", { textContent: text })));
  take(settings);
}

view("/ws/live", find("picture"), {
  drawn: () => { drawnAt = performance.now(); veil(""); },
  heard: hear,
  lost: () => { // an old picture must not look like a live one
    veil("Not connected. Is masquerade still running?");
    show(["Not connected", "", "bad"]);
  },
});
refresh();
refreshRecordings();
refreshResults();
showPresets(() => ask("/api/presets"));
