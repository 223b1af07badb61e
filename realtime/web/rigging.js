// The joints and the face of a flat figure, moved over its picture; a small copy of it moves as it will.

import { refresh } from "./gallery.js";
import { ask, fetched, find, tell } from "./talk.js";

const NEAR_PX = 26; // of a finger
const FACE = ["l_eye", "l_lid", "r_eye", "r_lid", "r_mouth", "l_mouth"];
const WORDS = { l: "left", r: "right" };
const board = find("rig-board");
const pen = board.getContext("2d");
let rig = null; // what the server said: title, size, bones
let name = "";
let picture = null;
let at = {}; // joint or mark → [x, y] in the figure's pixels
let before = []; // for undo
let held = null; // what is dragged, and how far the finger is from it
let trying = false;
let stale = false;

const called = (key) => (key[1] === "_" ? `${WORDS[key[0]]} ${key.slice(2).replace("lid", "eye's rim").replace("mouth", "corner of the mouth")}` : key);
const other = (key) => (key[1] === "_" ? `${key[0] === "l" ? "r" : "l"}${key.slice(1)}` : key);
const hasFace = () => find("rig-face").checked;
const shown = () => [...Object.keys(rig.joints), ...(hasFace() ? FACE : [])];
const copy = () => Object.fromEntries(Object.entries(at).map(([key, place]) => [key, [...place]]));

export async function openRigging(chosen) {
  name = chosen;
  rig = null;
  at = {};
  before = [];
  find("rig-title").textContent = "Looking for the joints …";
  find("rig-faults").replaceChildren();
  find("rig-error").textContent = "";
  find("rig-preview").hidden = true;
  find("rig-save").disabled = true;
  pen.clearRect(0, 0, board.width, board.height);
  find("rigging").showModal();
  try {
    const said = await ask(`/api/rig/${encodeURIComponent(chosen)}`);
    const blob = await (await fetched(`/api/rig/${encodeURIComponent(chosen)}/picture`)).blob();
    picture = await createImageBitmap(blob);
    rig = said;
  } catch (error) {
    find("rig-title").textContent = "Joints";
    find("rig-error").textContent = error.message;
    return;
  }
  find("rig-title").textContent = `Joints of ${rig.title}`;
  find("rig-face").checked = rig.face !== null;
  reset();
  board.width = rig.size[0];
  board.height = rig.size[1];
  list();
  find("rig-save").disabled = false;
  changed();
}

// As proposed, or as last saved.
function reset() {
  at = Object.fromEntries(Object.entries(rig.joints).map(([key, place]) => [key, [...place]]));
  const [x, y] = at.head;
  const unit = Math.hypot(at.neck[0] - x, at.neck[1] - y) / 2;
  const { l_eye: left, r_eye: right, mouth } = rig.face || {};
  const eye = (mark, sign) => mark || [x + sign * 0.7 * unit, y - 0.3 * unit, 0.3 * unit];
  for (const [side, mark] of [["l", eye(left, 1)], ["r", eye(right, -1)]]) {
    at[`${side}_eye`] = [mark[0], mark[1]];
    at[`${side}_lid`] = [mark[0] + (side === "l" ? 1 : -1) * mark[2], mark[1]];
  }
  [at.r_mouth, at.l_mouth] = (mouth || [[x - 0.7 * unit, y + 0.8 * unit], [x + 0.7 * unit, y + 0.8 * unit]]).map((corner) => [...corner]);
}

function list() {
  const chosen = find("rig-joint").value;
  find("rig-joint").replaceChildren(...shown().map((key) => new Option(called(key), key, false, key === chosen)));
}

// ---- drawing --------------------------------------------------------------------------------

const scale = () => rig.size[0] / board.clientWidth; // the figure's pixels in one of the screen's

function draw() {
  if (!rig) return;
  const one = scale();
  pen.clearRect(0, 0, board.width, board.height);
  pen.globalAlpha = 0.75;
  pen.drawImage(picture, 0, 0);
  pen.globalAlpha = 1;
  const line = (points, colour, width) => {
    pen.beginPath();
    for (const point of points) pen.lineTo(...point);
    pen.strokeStyle = colour;
    pen.lineWidth = width * one;
    pen.stroke();
  };
  for (const [start, end] of rig.bones) { line([at[start], at[end]], "#fff", 5); line([at[start], at[end]], "#2456d6", 2.5); }
  if (hasFace()) {
    for (const side of "lr") {
      pen.beginPath();
      pen.arc(...at[`${side}_eye`], radius(side), 0, 2 * Math.PI);
      pen.strokeStyle = "#14613a";
      pen.lineWidth = 2 * one;
      pen.stroke();
    }
    line([at.r_mouth, at.l_mouth], "#14613a", 2);
  }
  for (const key of shown()) {
    pen.beginPath();
    pen.arc(...at[key], (FACE.includes(key) ? 4 : 6) * one, 0, 2 * Math.PI);
    pen.fillStyle = FACE.includes(key) ? "#14613a" : { l: "#b3141d", r: "#2456d6" }[key[1] === "_" ? key[0] : ""] || "#17181c";
    pen.fill();
    pen.strokeStyle = key === find("rig-joint").value ? "#ffd400" : "#fff";
    pen.lineWidth = (key === find("rig-joint").value ? 3 : 1.5) * one;
    pen.stroke();
  }
}

const radius = (side) => Math.max(Math.hypot(at[`${side}_lid`][0] - at[`${side}_eye`][0], at[`${side}_lid`][1] - at[`${side}_eye`][1]), 1);

// ---- moving ---------------------------------------------------------------------------------

const place = (event) => {
  const box = board.getBoundingClientRect();
  return [(event.clientX - box.left) * scale(), (event.clientY - box.top) * scale()];
};

function moveTo(key, [x, y]) {
  const inside = [Math.min(Math.max(x, 0), rig.size[0]), Math.min(Math.max(y, 0), rig.size[1])];
  if (key.endsWith("_eye")) { // its rim comes along
    const rim = at[`${key[0]}_lid`];
    at[`${key[0]}_lid`] = [rim[0] + inside[0] - at[key][0], rim[1] + inside[1] - at[key][1]];
  }
  at[key] = inside;
}

board.addEventListener("pointerdown", (event) => {
  if (!rig || held) return;
  const [x, y] = place(event);
  const far = (key) => Math.hypot(at[key][0] - x, at[key][1] - y);
  const key = shown().reduce((best, one) => (far(one) < far(best) ? one : best));
  if (far(key) > NEAR_PX * scale()) return;
  board.setPointerCapture(event.pointerId);
  before.push(copy());
  held = { key, by: [at[key][0] - x, at[key][1] - y] }; // a finger beside a joint does not make it jump
  find("rig-joint").value = key;
  draw();
});
board.addEventListener("pointermove", (event) => {
  if (!held) return;
  const [x, y] = place(event);
  moveTo(held.key, [x + held.by[0], y + held.by[1]]);
  draw();
});
const let_go = () => { if (held) { held = null; changed(); } };
board.addEventListener("pointerup", let_go);
board.addEventListener("pointercancel", let_go);

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
board.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  const key = find("rig-joint").value;
  if (!step || !rig || !key) return;
  event.preventDefault();
  if (!event.repeat) before.push(copy());
  const by = event.shiftKey ? 10 : 2;
  moveTo(key, [at[key][0] + by * step[0], at[key][1] + by * step[1]]);
  draw();
});
board.addEventListener("keyup", (event) => { if (STEPS[event.key]) changed(); });
find("rig-joint").addEventListener("change", draw);

// The side of the chosen joint is mirrored to the other one, on the line from the hips to the head.
find("rig-mirror").addEventListener("click", () => {
  if (!rig) return;
  before.push(copy());
  const from = find("rig-joint").value.startsWith("r_") ? "r" : "l";
  const [ax, ay] = at.hips;
  const way = [at.head[0] - ax, at.head[1] - ay];
  const square = Math.max(way[0] ** 2 + way[1] ** 2, 1);
  for (const key of Object.keys(at).filter((one) => one.startsWith(`${from}_`))) {
    const [x, y] = at[key];
    const along = ((x - ax) * way[0] + (y - ay) * way[1]) / square;
    at[other(key)] = [2 * (ax + along * way[0]) - x, 2 * (ay + along * way[1]) - y];
  }
  changed();
});
function undo() {
  if (before.length === 0) return;
  at = before.pop();
  changed();
}
find("rig-undo").addEventListener("click", undo);
find("rigging").addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); undo(); }
});
find("rig-reset").addEventListener("click", () => { if (rig) { before.push(copy()); reset(); changed(); } });
find("rig-face").addEventListener("change", () => { if (rig) { list(); changed(); } });

// ---- trying and saving ----------------------------------------------------------------------

function said() {
  const mark = (side) => [...at[`${side}_eye`], radius(side)];
  const face = hasFace() ? { l_eye: mark("l"), r_eye: mark("r"), mouth: [at.r_mouth, at.l_mouth] } : null;
  return { name, joints: Object.fromEntries(Object.keys(rig.joints).map((key) => [key, at[key]])), face };
}

// One try at a time: what changed meanwhile is tried after it.
async function changed() {
  find("rig-undo").disabled = before.length === 0;
  draw();
  stale = true;
  if (trying) return;
  trying = true;
  find("rig-preview").classList.add("old");
  while (stale && rig) {
    stale = false;
    const asked = name;
    try {
      const { faults, preview } = await tell("/api/rig/try", said());
      if (asked !== name) continue;
      find("rig-faults").replaceChildren(...faults.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
      find("rig-preview").src = preview;
      find("rig-preview").hidden = false;
      find("rig-error").textContent = "";
    } catch (error) {
      find("rig-error").textContent = error.message;
    }
  }
  find("rig-preview").classList.remove("old");
  trying = false;
}

find("rig").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!rig) return;
  find("rig-save").disabled = true;
  try {
    await tell("/api/rig/save", said());
    find("rigging").close();
    await refresh();
  } catch (error) {
    find("rig-error").textContent = error.message;
  }
  find("rig-save").disabled = false;
});
find("rig-cancel").addEventListener("click", () => find("rigging").close());
find("rigging").addEventListener("close", () => { rig = null; find("rig-preview").removeAttribute("src"); });
addEventListener("resize", draw);
