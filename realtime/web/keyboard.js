// Everything that matters has a key; `?` lists them.

import { choose } from "./gallery.js";
import { record, snapshot } from "./recordings.js";
import { change, panic, settings } from "./settings.js";
import { find, made } from "./talk.js";

function next(key) {
  const choices = [...document.querySelector(`[data-key="${key}"]`).options].map((option) => option.value);
  change({ [key]: choices[(choices.indexOf(settings[key]) + 1) % choices.length] });
}

const flip = (key) => change({ [key]: !settings[key] });

const KEYS = {
  p: ["slate and silence at once, and back", panic],
  m: ["mirror", () => flip("mirror")],
  v: ["detail: fast or fine", () => next("variant")],
  c: ["next colour transfer", () => next("color_transfer")],
  h: ["what others see when your face is lost", () => next("on_miss")],
  e: ["what moves in the avatar", () => next("region")],
  r: ["set neutral pose", () => change({ reference: settings.reference + 1 })],
  a: ["next avatar", () => choose({ by: 1 })],
  A: ["previous avatar", () => choose({ by: -1 })],
  s: ["snapshot", snapshot],
  f: ["start or stop recording", record],
  w: ["virtual camera on or off", () => find("camera").click()],
  d: ["render a video", () => find("make").click()],
  o: ["your own camera, seen by you only", () => find("see-own").click()],
  "?": ["this list", () => find("help").showModal()],
};

find("key-list").append(...Object.entries(KEYS).flatMap(([key, [what]]) => [
  made("dt", {}, made("kbd", { textContent: key })), made("dd", { textContent: what }),
]), made("dt", {}, made("kbd", { textContent: "1 – 9" })), made("dd", { textContent: "that avatar" }));

find("keys").addEventListener("click", () => find("help").showModal());

addEventListener("keydown", (event) => {
  const { key, target } = event;
  const writes = target.tagName === "SELECT" || (target.tagName === "INPUT" && !["checkbox", "range", "radio"].includes(target.type));
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || writes) return;
  if (document.querySelector("dialog[open]") && key !== "p") return;
  if (KEYS[key]) {
    event.preventDefault();
    KEYS[key][1]();
  } else if (/^[1-9]$/.test(key)) choose({ number: Number(key) });
});
