// Files dropped anywhere on the page: videos are rendered, pictures and models go to the gallery.

import { offer } from "./adding.js";
import { order } from "./making.js";

const MOVING = /\.(mp4|m4v|mov|mkv|webm|avi|ts|mts|m2ts|mpg|mpeg|wmv|flv|3gp|ogv|wav|mp3|m4a|flac|ogg|oga|opus)$/i;

addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
addEventListener("drop", (event) => {
  event.preventDefault(); // else the browser would open the file
  document.body.classList.remove("dropping");
  const files = [...event.dataTransfer.files];
  const moving = files.filter((file) => /^(video|audio)\//.test(file.type) || MOVING.test(file.name));
  const other = files.find((file) => !moving.includes(file));
  if (moving.length === 0) offer(other);
  else if (other) offer(other, (kind, name) => order(moving, { kind, name })); // first whose face it is
  else order(moving);
});
