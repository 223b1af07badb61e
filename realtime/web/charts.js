// Performance: the numbers of the run, and charts of the last minute while they are open.

import { ask, find, made } from "./talk.js";

const WIDTH = 300;
const HEIGHT = 90;
const SVG = "http://www.w3.org/2000/svg";
const NAMES = { capture: "capture", detect: "face detection", align: "alignment", swap: "face model", blend: "blending", output: "output" };
let newest = {};

const ms = (value) => (Number.isFinite(value) ? `${value.toFixed(0)} ms` : "–");

export function numbers(report, delay) {
  newest = report;
  const latency = report.latency_ms || {};
  find("fps").textContent = Number.isFinite(report.fps) ? report.fps.toFixed(1) : "–";
  find("p50").textContent = ms(latency.p50);
  find("p95").textContent = ms(latency.p95) + (Number.isFinite(delay) ? ` (+ ${delay.toFixed(0)} to this page)` : "");
  find("dropped").textContent = report.frames ? String(report.frames.dropped) : "–";
  const precision = report.precision || {};
  const providers = Object.entries(report.providers || {}).map(([what, where]) => `${what}: ${where}${where.includes(precision[what]) ? "" : ` ${precision[what] || ""}`}`);
  find("provider").textContent = providers.join(", ") || "–";
  const size = report.size ? ` at ${report.size.join("×")}` : "";
  find("ends").textContent = `${report.source || "–"}${size}, ${(report.outputs || []).join(" and ")}`;
  find("voice").hidden = !report.sound;
  if (report.sound) find("sound").textContent = `${report.sound.state}, ${Math.round(report.sound.delay_s * 1000)} ms behind`;
}

function round(most) {
  const step = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return Math.ceil(most / step) * step;
}

// Two lines over 60 seconds; where a second has no value the line is broken.
function plot(svg, seconds, one, two) {
  const values = seconds.flatMap((second) => [second[one], second[two]]).filter(Number.isFinite);
  const top = round(Math.max(10, ...values));
  const line = (key, name) => {
    let pen = "M";
    let drawn = "";
    for (const second of seconds) {
      if (!Number.isFinite(second[key])) { pen = "M"; continue; }
      drawn += `${pen}${(WIDTH * (60 - second.ago) / 60).toFixed(1)} ${(HEIGHT * (1 - second[key] / top)).toFixed(1)}`;
      pen = "L";
    }
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", drawn || "M0 0");
    path.setAttribute("class", name);
    return path;
  };
  const grid = document.createElementNS(SVG, "path");
  grid.setAttribute("class", "grid");
  grid.setAttribute("d", `M0 ${HEIGHT / 2}H${WIDTH}`);
  const marks = [[top, 8], [top / 2, HEIGHT / 2 - 2]].map(([value, y]) => {
    const text = document.createElementNS(SVG, "text");
    text.setAttribute("x", "2");
    text.setAttribute("y", String(y));
    text.textContent = String(value);
    return text;
  });
  svg.replaceChildren(grid, ...marks, line(one, "one"), line(two, "two"));
}

export function advice(minute, report) {
  const seconds = minute.seconds.slice(-10);
  if (seconds.length < 5) return "";
  const mean = (key) => seconds.reduce((sum, second) => sum + (second[key] || 0), 0) / seconds.length;
  const smaller = report.family === "swap"
    ? "Choose “fast” as the detail, or start with a smaller picture (--size 640x480)."
    : "Start with a smaller picture (--size 640x480), or use a face swap instead of an avatar.";
  if (report.state === "synthetic" && mean("fps") < 12) return `Only ${mean("fps").toFixed(0)} frames per second. ${smaller}`;
  if (mean("p95") > 250) return `Others see you ${mean("p95").toFixed(0)} ms late. ${smaller}`;
  return "";
}

async function look() {
  let minute = null;
  try {
    minute = await ask("/api/minute");
  } catch { // not connected: the state says so
  }
  if (minute?.seconds) {
    plot(find("plot-delay"), minute.seconds, "p50", "p95");
    plot(find("plot-fps"), minute.seconds, "fps", "dropped");
    const stages = Object.entries(NAMES).map(([key, name]) => [name, minute.stages_ms[key]]).filter(([, at]) => at);
    const most = Math.max(1, ...stages.map(([, at]) => at.p95 || 0));
    const number = (value) => (value === null ? "–" : value.toFixed(1));
    find("stages").replaceChildren(...stages.map(([name, at]) => made("tr", {},
      made("th", { scope: "row", textContent: name }), made("td", { textContent: number(at.p50) }), made("td", { textContent: number(at.p95) }),
      made("td", {}, made("meter", { max: most, value: at.p50 || 0, ariaHidden: "true" })))));
    const said = advice(minute, newest);
    if (find("advice").textContent !== said) find("advice").textContent = said;
  }
  if (find("charts").open) setTimeout(look, 1000);
}

find("charts").addEventListener("toggle", () => { if (find("charts").open) look(); });

find("copy").addEventListener("click", async () => {
  try {
    const report = await ask("/api/report");
    const notices = [...document.querySelectorAll("#notices li")].map((item) => item.textContent);
    await navigator.clipboard.writeText(JSON.stringify({ ...report, notices, browser: navigator.userAgent }, null, 1));
    find("copied").textContent = "Copied: paste it into an issue. It holds numbers and names, no picture.";
  } catch (error) {
    find("copied").textContent = `It could not be copied: ${error.message}`;
  }
});
