// Adds a dropped or chosen file to the gallery, after its owner said whose face it shows.

import { focusOn, refresh } from "./gallery.js";
import { openRigging } from "./rigging.js";
import { complain, find, upload } from "./talk.js";

const MOST = { picture: 64 * 2 ** 20, dfm: 2 * 2 ** 30, bundle: 2 * 2 ** 30 };
const NOTES = {
  picture: "The picture stays on this computer.",
  dfm: "The model stays on this computer. It is run once now, as a check.",
  bundle: "Most bundles state whose face they show. Then leave the questions above empty.",
};
let file = null;
let kind = "picture";
let request = null;
let after = () => {}; // gets the kind and the name of what was added

find("offered").addEventListener("error", () => { find("offered").hidden = true; }); // HEIC, which browsers lack

export function offer(chosen, then = focusOn) {
  if (!chosen || document.querySelector("dialog[open]")) return; // one question at a time
  after = then;
  const ending = chosen.name.toLowerCase().split(".").pop();
  kind = { dfm: "dfm", zip: "bundle" }[ending] || "picture";
  if (chosen.size > MOST[kind]) {
    complain(`${chosen.name} is larger than ${MOST[kind] / 2 ** 20} MiB: choose a smaller file.`);
    return;
  }
  complain("");
  file = chosen;
  find("offer").reset();
  find("offer-title").value = chosen.name.replace(/\.[^.]*$/, "").replace(/[_\s]+/g, " ").slice(0, 60);
  find("offer-note").textContent = NOTES[kind];
  find("offer-face").hidden = kind !== "dfm";
  find("offer-figure").hidden = kind !== "picture" || ["psd", "ora", "svg"].includes(ending); // these are figures
  find("offer-error").textContent = "";
  find("offer-progress").hidden = true;
  find("offer-add").disabled = false;
  find("offered").hidden = kind !== "picture";
  if (kind === "picture") find("offered").src = URL.createObjectURL(chosen);
  find("adding").showModal();
}

function send() {
  const whose = document.querySelector('[name="whose"]:checked')?.value || "";
  const statement = find("offer-statement").value.trim();
  if (kind !== "bundle" && (!whose || !statement)) {
    find("offer-error").textContent = whose ? "Say in one sentence who it is and how they agreed." : "Say whose face it is.";
    return;
  }
  const said = new URLSearchParams({
    kind, title: find("offer-title").value.trim(), identity: whose, statement,
    licence: find("offer-licence").value.trim(), face_type: find("offer-face-type").value,
    figure: kind === "picture" && find("offer-whole").checked ? "yes" : "",
  });
  find("offer-error").textContent = "";
  find("offer-progress").hidden = false;
  find("offer-add").disabled = true;
  const whole = said.get("figure") !== "";
  request = upload(`/api/add?${said}`, file, find("offer-progress"), async ({ kind: as, name }) => {
    request = null;
    find("adding").close();
    await refresh();
    after(as, name);
    if (whole) openRigging(name);
  }, refused);
}

function refused(why) {
  request = null;
  find("offer-error").textContent = why;
  find("offer-progress").hidden = true;
  find("offer-add").disabled = false;
}

find("offer").addEventListener("submit", (event) => { event.preventDefault(); if (!request) send(); });
find("offer-cancel").addEventListener("click", () => find("adding").close());
find("adding").addEventListener("close", () => {
  request?.abort();
  request = null;
  URL.revokeObjectURL(find("offered").src);
  find("offered").removeAttribute("src");
});
find("add").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", ({ target }) => { offer(target.files[0]); target.value = ""; });
