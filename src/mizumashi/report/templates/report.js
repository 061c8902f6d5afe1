"use strict";
(() => {
  // The slider: styles choose the pictures by the stage's number.
  const slider = document.getElementById("stage");
  const stages = JSON.parse(slider.dataset.stages);
  const growth = document.querySelector(".growth");
  const showStage = () => {
    const name = stages[Number(slider.value)];
    growth.dataset.stage = slider.value;
    slider.setAttribute("aria-valuetext", name);
    document.getElementById("stage-name").textContent = name;
    for (const caption of growth.querySelectorAll(".stage-name")) caption.textContent = name;
  };
  slider.addEventListener("input", showStage);
  showStage();

  // The map: every point of a path is "Mx yh0".
  const plot = document.getElementById("map-plot");
  const svg = plot.querySelector("svg");
  const width = svg.viewBox.baseVal.width;
  const height = svg.viewBox.baseVal.height;
  const columns = Number(plot.dataset.columns);
  const marker = plot.querySelector(".marker");
  const tip = plot.querySelector(".tip");
  const tipImage = plot.querySelector(".tip-image");
  const tipText = plot.querySelector(".tip-text");
  const stepper = document.getElementById("point");
  const classNames = JSON.parse(document.getElementById("class-names").textContent);
  const sets = [...plot.querySelectorAll(".points")]
    .map((path) => ({
      path,
      place: Number(path.dataset.set),
      name: path.dataset.name,
      rows: Number(path.dataset.rows),
      labels: path.dataset.labels ? path.dataset.labels.split(" ").map(Number) : [],
      points: path.getAttribute("d").split("M").slice(1).map((text) => text.replace("h0", "").split(" ").map(Number)),
    }))
    .sort((one, other) => one.place - other.place);
  const visible = () => sets.filter((set) => !set.path.hasAttribute("hidden"));
  const place = (number, of) => (of > 1 ? (100 * number) / (of - 1) : 0);

  const hide = () => {
    tip.hidden = true;
    marker.setAttribute("hidden", "");
  };

  const show = (set, number) => {
    const [x, y] = set.points[number];
    const text = `${set.name}, class ${classNames[set.labels[number]]}`;
    tipImage.className = `tip-image map-sheet-${set.place}`;
    tipImage.style.backgroundSize = `${columns * 100}% ${set.rows * 100}%`;
    tipImage.style.backgroundPosition =
      `${place(number % columns, columns)}% ${place(Math.floor(number / columns), set.rows)}%`;
    tipImage.setAttribute("aria-label", `image ${number + 1} of ${text}`);
    tipText.textContent = text;
    marker.setAttribute("cx", x);
    marker.setAttribute("cy", y);
    marker.removeAttribute("hidden");
    tip.hidden = false;
    const box = plot.getBoundingClientRect();
    const left = (x / width) * box.width;
    const top = (y / height) * box.height;
    const room = 14;
    tip.style.left = `${left + room + tip.offsetWidth < box.width ? left + room : Math.max(0, left - room - tip.offsetWidth)}px`;
    tip.style.top = `${Math.max(0, Math.min(top + room, box.height - tip.offsetHeight))}px`;
    return text;
  };

  const nearest = (x, y) => {
    let found = null;
    let least = 25 ** 2;
    for (const set of visible()) {
      set.points.forEach(([left, top], number) => {
        const distance = (left - x) ** 2 + (top - y) ** 2;
        if (distance < least) {
          least = distance;
          found = [set, number];
        }
      });
    }
    return found;
  };

  const point = (event) => {
    const box = svg.getBoundingClientRect();
    const found = nearest(((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height);
    if (found) show(...found);
    else hide();
  };

  const step = () => {
    let number = Number(stepper.value);
    for (const set of visible()) {
      if (number < set.points.length) {
        stepper.setAttribute("aria-valuetext", show(set, number));
        return;
      }
      number -= set.points.length;
    }
    hide();
  };

  for (const toggle of document.querySelectorAll(".toggle input")) {
    toggle.addEventListener("change", () => {
      const set = sets[Number(toggle.dataset.set)];
      if (toggle.checked) set.path.removeAttribute("hidden");
      else set.path.setAttribute("hidden", "");
      hide();
      if (stepper) {
        const count = visible().reduce((sum, each) => sum + each.points.length, 0);
        stepper.max = Math.max(0, count - 1);
        stepper.disabled = count === 0;
      }
    });
  }
  if (stepper) {
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", hide);
    stepper.addEventListener("input", step);
    stepper.addEventListener("focus", step);
    stepper.addEventListener("blur", hide);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
    });
  }

  // What is folded up is printed, too.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
