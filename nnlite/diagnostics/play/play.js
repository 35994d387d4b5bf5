"use strict";
const { frames, losses } = JSON.parse(document.getElementById("data").textContent);
const scenes = [...document.querySelectorAll(".scene")];
const byId = (id) => document.getElementById(id);
const WIDE = 750; // a drawing wider than this has the page's whole width, and the panel below it
const INTERVAL = 1200; // milliseconds between two steps that are played
let at = 0;
let timer = null;

function show(index) {
  at = Math.max(0, Math.min(frames.length - 1, index));
  const frame = frames[at];
  document.body.dataset.phase = frame.phase;
  scenes.forEach((scene, number) => { scene.hidden = number !== frame.scene; });
  const scene = scenes[frame.scene];
  const visible = frame.visible && new Set(frame.visible);
  const before = new Set(frames[Math.max(0, at - 1)].visible);
  for (const part of scene.querySelectorAll("[data-id]")) {
    const id = part.dataset.id;
    if (part.tagName === "text") {
      const known = !visible || visible.has(id);
      part.classList.toggle("unknown", !known);
      part.classList.toggle("fresh", known && visible !== null && frame.node !== null && !before.has(id));
    } else {
      part.classList.toggle("now", id === `n${frame.node}` || frame.edges.some((edge) => id === `e${edge}`));
    }
  }
  byId("panel").innerHTML = frame.panel;
  byId("now").innerHTML = '<span class="phase"></span><span></span>';
  byId("now").firstChild.textContent = frame.phase;
  byId("now").lastChild.textContent = frame.title;
  byId("slider").value = at;
  byId("count").textContent = `${at} of ${frames.length - 1}`;
  drawLosses(frame.scene);
  scene.querySelector(".node.now")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (location.protocol !== "about:") history.replaceState(null, "", `#step=${at}`); // in a notebook's frame it is "about:"
}

function drawLosses(now) {
  if (losses.length < 2) return;
  const finite = losses.filter((loss) => loss !== null); // null is NaN or infinite
  const high = Math.max(...finite), low = Math.min(...finite); // from the lowest to the highest, not from 0: a few steps change little
  const scale = finite.length ? `, curve from ${low.toPrecision(4)} to ${high.toPrecision(4)}` : "";
  const points = losses.flatMap((loss, n) => loss === null ? [] : [[
    5 + (190 * n) / (losses.length - 1), 75 - (70 * (loss - low)) / (high - low || 1), n,
  ]]);
  const dots = points.map(([x, y, n]) => `<circle cx="${x}" cy="${y}" r="${n === now ? 5 : 3}" class="${n === now ? "now" : ""}"/>`);
  byId("curve").hidden = false;
  byId("curve").innerHTML =
    `<svg viewBox="0 0 200 80" role="img"><path d="M${points.map(([x, y]) => [x, y]).join("L")}"/>${dots.join("")}</svg>` +
    `<div>loss ${losses[now]?.toPrecision(4) ?? "not finite"} before step ${now + 1} of ${losses.length}${scale}</div>`;
}

function pause() {
  clearInterval(timer);
  timer = null;
  byId("play").textContent = "Play";
}

function playOrPause() {
  if (timer) return pause();
  if (at === frames.length - 1) show(0);
  byId("play").textContent = "Pause";
  timer = setInterval(() => (at === frames.length - 1 ? pause() : show(at + 1)), INTERVAL);
}

function go(index) {
  pause();
  show(index);
}

const actions = {
  ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1),
  Home: () => go(0), End: () => go(frames.length - 1), " ": playOrPause,
};
byId("first").onclick = actions.Home;
byId("back").onclick = actions.ArrowLeft;
byId("play").onclick = playOrPause;
byId("next").onclick = actions.ArrowRight;
byId("last").onclick = actions.End;
byId("slider").max = frames.length - 1;
byId("slider").oninput = (event) => go(Number(event.target.value));
document.addEventListener("keydown", (event) => {
  const own = event.key === " " && event.target.tagName === "BUTTON"; // a button answers Space itself
  if (!(event.key in actions) || own || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  actions[event.key]();
});
const { width } = scenes[0].querySelector("svg").viewBox.baseVal;
document.body.classList.toggle("wide", width > WIDE);
const fromHash = () => Number((location.hash.match(/^#step=(\d+)$/) || [0, 0])[1]);
addEventListener("hashchange", () => { if (fromHash() !== at) go(fromHash()); });
show(fromHash());
