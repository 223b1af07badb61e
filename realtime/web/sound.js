// The voice of the run, played in step with the picture. Silent until the button is pressed, as browsers demand.

import { ask, complain, connect, find } from "./talk.js";

const RATE_HZ = 48000;
const AHEAD_S = 0.06; // sound that lies ready: the network's and the timers' trembling
let context = null;
let socket = null;
let next = 0;

function play({ data }) {
  const samples = new Int16Array(data);
  const late = next - context.currentTime;
  if (late < 0) next = context.currentTime + AHEAD_S; // at the start, or it ran dry
  if (late > 3 * AHEAD_S) return; // a page that slept has too much: it catches up
  const buffer = context.createBuffer(1, samples.length, RATE_HZ);
  const out = buffer.getChannelData(0);
  for (let i = 0; i < samples.length; i += 1) out[i] = samples[i] / 32767;
  const player = context.createBufferSource();
  player.buffer = buffer;
  player.connect(context.destination);
  player.start(next);
  next += buffer.duration;
}

function stop() {
  socket?.close();
  context?.close();
  socket = context = null;
  find("hear").setAttribute("aria-pressed", "false");
}

function start() {
  context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
  next = 0;
  socket = connect("/ws/sound");
  socket.binaryType = "arraybuffer";
  const mine = socket;
  mine.onopen = () => mine.send(String(Math.min(AHEAD_S + context.baseLatency + (context.outputLatency || 0), 1)));
  mine.onmessage = (message) => { if (socket === mine) play(message); };
  mine.onclose = () => { if (socket === mine) { stop(); complain("The voice has ended, or too many pages listen."); } };
  find("hear").setAttribute("aria-pressed", "true");
}

find("hear").addEventListener("click", () => { if (socket) stop(); else start(); });

// Whether there is a voice is known as soon as the run answers; it does not change while it runs.
ask("/api/report").then((report) => { find("hear").hidden = report.sound?.live !== true; }).catch(() => {});
