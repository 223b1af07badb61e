// How the page talks to its server, and says what the server refused.

export const find = (id) => document.getElementById(id);

export function complain(text) {
  if (find("error").textContent !== text) find("error").textContent = text;
}

export async function ask(path) {
  const answer = await fetch(path);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

export async function tell(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

// Sends a file; `progress` shows how far it is. Gives what can be aborted.
export function upload(path, file, progress, done, refused) {
  const request = new XMLHttpRequest(); // fetch cannot say how far an upload is
  request.open("POST", path);
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
