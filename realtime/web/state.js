// One plain sentence: who you are, and what others see.

import { find } from "./talk.js";

function audience(outputs) {
  const others = (outputs || []).filter((name) => name !== "page" && name !== "null");
  if (others.some((name) => name.startsWith("camera"))) return "the call sees";
  return others.length > 0 ? "the recording shows" : "nobody but this page sees";
}

// [what is with you, what others see, how good that is]
export function sentence(report, settings) {
  const who = report.title || report.model || "the identity";
  const sees = audience(report.outputs);
  if (report.state === "starting" || report.state === undefined) return ["Starting …", "", "warn"];
  if (settings.panic) return ["The slate is up", `${sees} a slate, without sound`, "warn"];
  if (report.changing) return [`Loading ${report.changing} …`, `${sees} ${who}'s last picture, then a slate`, "warn"];
  switch (report.state) {
    case "synthetic": return [`You are ${who}`, `${sees} ${who}`, "good"];
    case "rest": return ["Your face is lost", `${sees} ${who} at rest`, "warn"];
    case "hold": return ["Your face is lost", `${sees} ${who}'s last picture`, "warn"];
    case "card": return ["Your face is lost", `${sees} a slate`, "warn"];
    case "blur": return ["Your face is lost", `${sees} a blurred picture`, "warn"];
    case "raw": return ["YOUR OWN FACE IS SHOWN", `${sees} YOU`, "bad"];
    default:
      // A film that is too heavy for this machine: pictures come all the same.
      if (/ plays slower /.test(report.state)) return [`You are ${who}`, `${sees} ${who}, but this computer is short of time`, "warn"];
      return [`Camera off: ${report.state}`, `${sees} ${who}'s last picture, then a slate`, "warn"];
  }
}

export function show([you, others, kind]) {
  if (find("who").textContent !== you) find("who").textContent = you; // what did not change is not read out again
  if (find("seen").textContent !== others) find("seen").textContent = others;
  find("state").dataset.kind = kind;
}
