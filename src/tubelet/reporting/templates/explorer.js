"use strict";

// Draws a map on a canvas and lets it be explored. All text from outside goes through textContent or the canvas.
function explore(root) {
  const data = JSON.parse(root.querySelector("script").textContent);
  const count = data.x.length;
  const group = new Uint16Array(count);
  data.groups.forEach((each, index) => each.rows.forEach((row) => { group[row] = index; }));
  const searched = data.videos.map((name) => name.toLowerCase());
  const labels = data.groups.map((each) => each.name.toLowerCase());
  const lit = new Uint8Array(count).fill(1);
  const chosen = new Set();
  let query = "", shown = count, pinned = -1, hovered = -1;
  let width = 0, height = 0, zoom = 1, left = 0, top = 0;

  const make = (tag, name, parent, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const bar = make("div", "explorer-bar", root);
  const search = make("input", "", bar);
  search.type = "search";
  search.placeholder = "Search videos and labels";
  search.setAttribute("aria-label", search.placeholder);
  const told = make("output", "", bar);
  const buttons = make("span", "explorer-zoom", bar);
  const stage = make("div", "explorer-stage", root);
  const plane = make("div", "explorer-plane", stage);
  const canvas = make("canvas", "", plane);
  canvas.tabIndex = 0;
  canvas.setAttribute("aria-label", `Map of ${count} ${data.unit}s: arrows move it, plus and minus zoom`);
  const tip = make("div", "explorer-tip", plane);
  tip.setAttribute("role", "status");
  tip.hidden = true;
  const pen = canvas.getContext("2d");

  const unit = () => zoom * Math.min((width - 28) / Math.max(data.width, 1), (height - 28) / Math.max(data.height, 1));
  // Data's y points up, the screen's down.
  const screenX = (x) => width / 2 + (x - data.width / 2) * unit() + left;
  const screenY = (y) => height / 2 - (y - data.height / 2) * unit() + top;
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  const corners = { "^": [3, 0], "v": [3, 1], "<": [3, 1.5], ">": [3, 0.5], "s": [4, 0.25], "D": [4, 0], "p": [5, 0] };
  function trace(on, shape, x, y, r) {
    if (shape === "o") { on.moveTo(x + r, y); on.arc(x, y, r, 0, 2 * Math.PI); return; }
    const [sides, turn] = corners[shape];
    for (let k = 0; k < sides; k++) {
      const angle = Math.PI * (turn - 0.5 + (2 * k) / sides), long = r * 1.25;
      on[k ? "lineTo" : "moveTo"](x + long * Math.cos(angle), y + long * Math.sin(angle));
    }
    on.closePath();
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const scale = unit(), x0 = screenX(0), y0 = screenY(0);
    const r = Math.min(7, Math.max(1.1, Math.sqrt((width * height) / count) / 12) * Math.sqrt(zoom));
    for (const light of [0, 1]) {
      data.groups.forEach((each) => {
        pen.beginPath();
        for (const row of each.rows) {
          if (lit[row] !== light) continue;
          const x = x0 + data.x[row] * scale, y = y0 - data.y[row] * scale;
          if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
          if (r < 1.6) pen.rect(x - r, y - r, 2 * r, 2 * r); else trace(pen, each.shape, x, y, r);
        }
        pen.globalAlpha = light ? 0.9 : 0.5;
        pen.fillStyle = color(light ? each.color : "--rule");
        pen.fill();
      });
    }
    pen.globalAlpha = 1;
    if (data.groups.length > 20) name(scale, x0, y0, r);
    const marked = pinned >= 0 ? pinned : hovered;
    if (marked < 0) return;
    pen.strokeStyle = color("--ink");
    for (let row = 0; row < count; row++) {
      if (data.video[row] !== data.video[marked]) continue;
      pen.lineWidth = row === marked ? 2 : 1;
      pen.beginPath();
      pen.arc(x0 + data.x[row] * scale, y0 - data.y[row] * scale, r + 3, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  function name(scale, x0, y0, r) {
    const taken = [];
    pen.font = `11px ${getComputedStyle(root).fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    data.groups.map((each, index) => index).sort((a, b) => data.groups[b].rows.length - data.groups[a].rows.length)
      .forEach((index) => {
        const each = data.groups[index];
        if (chosen.size && !chosen.has(index)) return;
        const rise = each.rise * scale;
        let x = x0 + each.middle[0] * scale, y = y0 - each.middle[1] * scale;
        if (x < 0 || y < 0 || x > width || y > height) return; // it is not in sight
        // Above its points, which it would hide; where they lie far apart, just above their middle.
        const half = pen.measureText(each.name).width / 2 + 3;
        x = Math.max(half, Math.min(x, width - half));
        const away = r + 8 + (rise <= data.most_rise ? rise : 0);
        y += y - away < 8 ? away : -away; // at the upper edge below them
        if (taken.some((t) => Math.abs(t[0] - x) < t[2] + half && Math.abs(t[1] - y) < 14)) return;
        taken.push([x, y, half]);
        pen.strokeStyle = color("--surface"); // a rim, so that letters can be read over marks and marks seen between them
        pen.strokeText(each.name, x, y);
        pen.fillStyle = color("--ink");
        pen.fillText(each.name, x, y);
      });
  }

  function filter() {
    shown = 0;
    for (let row = 0; row < count; row++) {
      const own = group[row];
      const found = !query || searched[data.video[row]].includes(query) || labels[own].includes(query);
      lit[row] = found && (!chosen.size || chosen.has(own)) ? 1 : 0;
      shown += lit[row];
    }
    if (pinned >= 0 && !lit[pinned]) pin(-1);
    const all = count.toLocaleString("en");
    const some = shown === count ? all : `${shown.toLocaleString("en")} of ${all}`;
    told.textContent = `${some} ${data.unit}${count === 1 ? "" : "s"}`;
    draw();
  }

  function describe(row) {
    tip.hidden = row < 0;
    if (row < 0) return;
    tip.replaceChildren();
    make("b", "", tip, data.groups[group[row]].name);
    make("span", "", tip, data.videos[data.video[row]]);
    const words = [];
    if (data.clip) words.push(`clip ${data.clip[row]}`);
    if (data.start && data.end) words.push(`${data.start[row].toFixed(1)}–${data.end[row].toFixed(1)} s`);
    if (words.length) make("span", "explorer-when", tip, words.join(", "));
    const x = screenX(data.x[row]), y = screenY(data.y[row]);
    tip.style.left = `${Math.max(4, Math.min(x + 12, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y + 16 + tip.offsetHeight > height ? y - tip.offsetHeight - 12 : y + 14}px`;
  }

  function pin(row) { pinned = row; describe(row); draw(); }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top;
    const scale = unit(), x0 = screenX(0), y0 = screenY(0);
    let best = event.pointerType === "touch" ? 24 : 12, found = -1;
    for (let row = 0; row < count; row++) {
      if (!lit[row]) continue;
      const away = Math.hypot(x0 + data.x[row] * scale - px, y0 - data.y[row] * scale - py);
      if (away < best) { best = away; found = row; }
    }
    return found;
  }

  function zoomBy(factor, px = width / 2, py = height / 2) {
    const after = Math.min(200, Math.max(1, zoom * factor)), by = after / zoom;
    left = (left + width / 2 - px) * by + px - width / 2;
    top = (top + height / 2 - py) * by + py - height / 2;
    zoom = after;
    if (zoom === 1) left = top = 0;
    describe(pinned);
    draw();
  }

  function move(dx, dy) { left += dx; top += dy; describe(pinned); draw(); }

  [["−", "Zoom out", () => zoomBy(1 / 1.5)], ["+", "Zoom in", () => zoomBy(1.5)],
    ["Reset", "Show everything", () => { search.value = query = ""; chosen.clear(); press(); pin(-1); zoomBy(0); filter(); }],
  ].forEach(([text, title, act]) => {
    const button = make("button", "", buttons, text);
    button.type = "button";
    button.title = title;
    button.addEventListener("click", act);
  });

  const legend = make("div", "explorer-legend", stage);
  legend.setAttribute("role", "group");
  legend.setAttribute("aria-label", "Show only");
  const entries = data.groups.map((each, index) => {
    const button = make("button", "", legend);
    button.type = "button";
    const mark = make("canvas", "", button);
    make("span", "", button, each.name);
    make("small", "", button, each.rows.length.toLocaleString("en"));
    button.addEventListener("click", () => {
      if (!chosen.delete(index)) chosen.add(index);
      press();
      filter();
    });
    return [button, mark, each];
  });
  if (entries.length < 2) legend.hidden = true;
  function press() {
    entries.forEach(([button], index) => button.setAttribute("aria-pressed", String(chosen.has(index))));
    legend.classList.toggle("some", chosen.size > 0);
  }
  function paintLegend() {
    entries.forEach(([, mark, each]) => {
      mark.width = mark.height = 28;
      const small = mark.getContext("2d");
      small.fillStyle = color(each.color);
      small.beginPath();
      trace(small, each.shape, 14, 14, 9);
      small.fill();
    });
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY, false];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held) {
      const dx = event.clientX - held[0], dy = event.clientY - held[1];
      if (!held[2] && Math.hypot(dx, dy) < 4) return;
      if (zoom > 1) {
        if (!held[2]) canvas.setPointerCapture(event.pointerId);
        move(dx, dy);
      }
      held = [event.clientX, event.clientY, true];
      return;
    }
    const found = nearest(event);
    if (found === hovered) return;
    hovered = found;
    if (pinned < 0) { describe(hovered); draw(); }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (held && !held[2]) pin(nearest(event));
    held = null;
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("pointerleave", () => { held = null; hovered = -1; if (pinned < 0) { describe(-1); draw(); } });
  canvas.addEventListener("dblclick", (event) => {
    const box = canvas.getBoundingClientRect();
    zoomBy(2, event.clientX - box.left, event.clientY - box.top);
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls as ever; a pinch arrives with ctrlKey
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomBy(Math.exp(-event.deltaY / 200), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40),
      ArrowDown: () => move(0, -40), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5),
      Escape: () => pin(-1) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  search.addEventListener("input", () => { query = search.value.trim().toLowerCase(); filter(); });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !shown) return;
    let row = pinned; // one match after the other
    do row = (row + 1) % count; while (!lit[row]);
    const x = screenX(data.x[row]), y = screenY(data.y[row]);
    if (x < 0 || y < 0 || x > width || y > height) { left += width / 2 - x; top += height / 2 - y; }
    pin(row);
  });

  function fit() {
    const ratio = window.devicePixelRatio || 1;
    width = plane.clientWidth;
    const tall = (width * Math.max(data.height, 1)) / Math.max(data.width, 1);
    height = Math.round(Math.min(Math.max(tall, width * 0.55), width, 780, window.innerHeight * 0.86));
    canvas.style.height = `${height}px`;
    legend.style.maxHeight = window.innerWidth > 760 ? `${height}px` : "";
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    describe(pinned);
    draw();
  }
  root.classList.add("works");
  press();
  paintLegend();
  new ResizeObserver(fit).observe(plane);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { paintLegend(); draw(); });
  filter();
  fit();
}

document.querySelectorAll(".explorer").forEach(explore);
