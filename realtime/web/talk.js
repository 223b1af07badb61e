// How the page talks to its server, and says what the server refused.

export const find = (id) => document.getElementById(id);

export function complain(text) {
  if (find("error").textContent !== text) find("error").textContent = text;
}

// The run's token: the printed address gives it once, and the storage of this origin, which no other port can read,
// keeps it. A cookie would go to every program that listens on this machine.
const token = (() => {
  const given = document.querySelector("meta[name=token]").content;
  history.replaceState(null, "", "/");
  try {
    if (given) localStorage.setItem("token", given);
    return given || localStorage.getItem("token") || "none";
  } catch { // a browser that stores nothing: until it is loaded again
    return given || "none";
  }
})();
const authorization = { Authorization: `Bearer ${token}` };

export async function fetched(path, how = {}) {
  const answer = await fetch(path, { ...how, headers: { ...authorization, ...how.headers } });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

export const ask = async (path) => (await fetched(path)).json();

export async function tell(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await fetched(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

// A WebSocket cannot send headers of ours: the token goes as a protocol.
export const connect = (path) => new WebSocket(`ws://${location.host}${path}`, ["masquerade", token]);

// Sends a file; `progress` shows how far it is. Gives what can be aborted.
export function upload(path, file, progress, done, refused) {
  const request = new XMLHttpRequest(); // fetch cannot say how far an upload is
  request.open("POST", path);
  request.setRequestHeader("Authorization", authorization.Authorization);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  request.upload.onprogress = ({ loaded, total }) => { progress.value = loaded / total; };
  request.upload.onload = () => progress.removeAttribute("value"); // being looked at, for a while
  request.onerror = () => refused("The file could not be sent.");
  request.onload = () => {
    if (request.status === 200) done(request.response);
    else refused(request.response?.error || "It was refused.");
  };
  request.send(file);
  return request;
}

// Does something that may be refused; the refusal is shown. Gives what `work` gave, undefined where it failed.
export async function tried(work) {
  try {
    const given = await work();
    complain("");
    return given;
  } catch (error) {
    complain(error instanceof TypeError ? "masquerade does not answer." : error.message);
    return undefined;
  }
}

// An element with its properties and children: text never becomes markup.
export function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
