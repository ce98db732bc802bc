// The lab: digits, painted by the book's networks in the reader's own browser. worker.js does the work.

(() => {
  const {button, choice, made, slider} = controls;
  const {asked, frame, nearest, pad, paint, runner, seedRow, setting, startIndex} = lab;
  const SIDE = 28, SIZE = SIDE ** 2, CLASSES = 10;
  const TASKS = {walk: "Paint digits", edit: "Change a drawing", clean: "Remove noise"};
  const SAMPLERS = {
    ddim: ["DDIM", "mnist-class", [1, 2, 3, 5, 10, 15, 20, 30, 50, 100, 300]],
    ddpm: ["DDPM, with fresh noise", "mnist-class", [10, 20, 30, 50, 100, 300]],
    flow: ["flow matching", "mnist-flow", [1, 2, 3, 5, 10, 15, 20, 30, 50, 100]],
  };
  const START = {task: "walk", sampler: "ddim", classes: "7", scale: 5, steps: 30, seed: 0, start: 0.6, sigma: 0.5};

  // A drawing of 28 × 28 pixels with 16 greys is text in a link, in which a z counts zeros.
  const DRAWINGS = {
    two: "z1x.22zn.27bff4zk.3bfffffczk.9ffffcff8zj.5ec833fff4zo.7ffczo.2eff3zn.bffazn.8ffd1zm.5fff4zm.2eff7zn." +
      "affazn.4ffd1zn.aff6zn.4ffdzo.aff6zn.4ffd53zm.9ffffffda86zh.5efffffffff8zi.2579cefff8zo.256z45.",
    house: "z3g.1cd2zn.2dffd3zl.3efdcfe4zj.5ffb10aff6zh.7ffaz4.9ff8zf.9ff8z6.6ffazd.aff6z8.5ffb1za.cfffddddddddd" +
      "dfffdza.ffffffffffffffffff1z9.ff11111111111111ef1z9.ffze.df1z9.ffze.df1z9.ffz4.cedddf6z3.df1z9.ffz4." +
      "ffffff9z3.df1z9.ffz4.ff117f9z3.df1z9.ffz4.ff006f9z3.df1z9.ffz4.ff006f9z3.df1z9.ffz4.ff006f9z3.df1z9." +
      "ffz4.ff006f9z3.df1z9.ffffffffffffffffff1z9.dffffffffffffffffd1za.1z5.1z3.1z5.1z1p.",
  };
  function packed(drawing) {
    if (drawing.every(each => each === 0)) return "";
    const text = drawing.map(each => Math.round(15 * each).toString(16)).join("")
      .replace(/0{3,}/g, zeros => `z${zeros.length.toString(36)}.`);
    return Object.keys(DRAWINGS).find(name => DRAWINGS[name] === text) ?? text;
  }
  function unpacked(text) {
    const digits = (DRAWINGS[text] ?? text).replace(/z([0-9a-z]+)\./g, (_, count) => "0".repeat(Math.min(parseInt(count, 36), SIZE)));
    const known = /^[0-9a-f]*$/.test(digits) ? digits : "";
    return Array.from({length: SIZE}, (_, i) => parseInt(known[i] ?? "0", 16) / 15);
  }

  function install(root) {
    let drawing = new Array(SIZE).fill(0);
    const task = choice("What to do", TASKS, START.task);
    const sampler = choice("Sampler",
      Object.fromEntries(Object.entries(SAMPLERS).map(([key, [words]]) => [key, words])), START.sampler);
    const counts = () => SAMPLERS[sampler.input.value][2];
    const count = () => counts()[Math.min(Number(steps.input.value), counts().length - 1)];
    const steps = slider("Steps", 0, 10, 1, 7, i => `${counts()[Math.min(i, counts().length - 1)]}`);
    const scale = slider("Guidance γ", 0, 10, 0.5, START.scale, value => value.toFixed(1));
    const forget = slider("Noise at the start", 0.1, 0.95, 0.05, START.start, value => `${Math.round(100 * value)} %`);
    const sigma = slider("Noise σ", 0, 1, 0.05, START.sigma, value => value.toFixed(2));
    const seed = seedRow(START.seed, () => { changed(); runs.go(); });
    const classes = made("fieldset", {className: "classes"}, made("legend", {textContent: "Digits, or none for any"}),
      ...Array.from({length: CLASSES}, (_, i) => made("label", {},
        made("input", {type: "checkbox", value: i, checked: i === 7}), `${i}`)));
    const labels = () => [...classes.querySelectorAll("input:checked")].map(each => Number(each.value));

    const grey = value => Math.round(15 * Math.min(Math.max(value, 0), 1)) / 15;
    const {canvas, draw} = pad(SIDE, {
      ink: (i, amount) => { drawing[i] = Math.max(drawing[i], grey(amount)); },
      picture: () => drawing,
      describe: () => {
        const ink = Math.round(drawing.reduce((a, b) => a + b, 0));
        return `Your drawing, ${ink ? `${ink} pixels of ink` : "empty"}`;
      },
      changed,
    });
    const put = picture => { drawing = picture; draw(); changed(); };
    const board = made("div", {className: "board"}, canvas,
      made("p", {textContent: "Draw with mouse or finger. By the keyboard: arrow keys move the pen, Space puts a dot."}),
      made("div", {className: "acts"}, button("Clear", () => put(new Array(SIZE).fill(0))),
        ...Object.keys(DRAWINGS).map(name => button(`A ${name}`, () => put(unpacked(name))))));
    const take = button("Draw on the result", () => {
      if (task.input.value === "walk") task.input.value = "edit";
      put(runs.states().at(-1).x0[0].map(grey));
    });

    const frames = [frame(), frame()];
    const runs = runner(JSON.parse(root.dataset.files), {
      network: () => task.input.value === "clean" ? "mnist-denoiser" : SAMPLERS[sampler.input.value][1],
      message, show, hide, refresh: changed, label: ({t}) => t < 0 ? "done" : `t = ${t}`,
    });
    const result = made("div", {className: "result", hidden: true},
      made("div", {className: "pair"}, ...frames.map(each => each.whole)), runs.clock.row,
      made("div", {className: "acts"}, take));
    root.replaceChildren(
      made("div", {className: "controls"}, task.row, sampler.row, classes, scale.row, steps.row, forget.row,
        sigma.row, seed.row),
      board, made("div", {className: "acts"}, runs.act, runs.on, runs.link), runs.bar, runs.said, result);

    function message() {
      const [walks, drawn] = [task.input.value !== "clean", task.input.value !== "walk"];
      return {
        kind: walks ? "digits" : "clean", sampler: sampler.input.value, labels: labels(), steps: count(),
        scale: Number(scale.input.value), seed: Math.trunc(Number(seed.input.value)), sigma: Number(sigma.input.value),
        ...drawn && {drawing: [...drawing]},
        ...walks && drawn && {iStart: startIndex(Number(forget.input.value), count())},
      };
    }
    function changed() {
      steps.input.max = counts().length - 1;
      steps.tell();
      runs.changed(setting({
        task: task.input.value, sampler: sampler.input.value, classes: labels().join(""), scale: scale.input.value,
        steps: count(), seed: seed.input.value, start: forget.input.value, sigma: sigma.input.value,
        drawing: task.input.value === "walk" ? "" : packed(drawing),
      }, START));
    }
    function read() {
      const all = asked(START, location.hash.slice(1));
      if (all.task in TASKS) task.input.value = all.task;
      if (all.sampler in SAMPLERS) sampler.input.value = all.sampler;
      for (const each of classes.querySelectorAll("input")) each.checked = `${all.classes}`.includes(each.value);
      steps.input.value = nearest(counts(), all.steps);
      for (const [name, control] of Object.entries({scale, sigma, start: forget, seed})) {
        if (Number.isFinite(Number(all[name]))) control.input.value = all[name];
      }
      drawing = unpacked(all.drawing ?? "");
      for (const control of [steps, scale, forget, sigma]) control.tell();
      draw();
      runs.tell();
    }
    // What a task has no use for isn't shown.
    function hide() {
      const what = task.input.value;
      for (const part of [sampler.row, classes, steps.row]) part.hidden = what === "clean";
      scale.row.hidden = what === "clean" || !labels().length;
      sigma.row.hidden = what !== "clean";
      forget.row.hidden = what !== "edit";
      board.hidden = what === "walk";
    }

    function show({x, x0, t}) {
      const columns = root.clientWidth < 480 ? Math.min(x.length, 5) : x.length;
      const isCleaned = task.input.value === "clean";
      const names = labels().length && !isCleaned ? `asked for: ${labels().join(", ")}` : "no class";
      const words = isCleaned ? ["With noise", "What the network makes of it"]
        : [t < 0 ? "The result" : "On the way: xₜ", "The clean estimate: x̂₀"];
      result.hidden = false;
      runs.clock.row.hidden = isCleaned;
      frames.forEach(({canvas: shown, caption}, i) => {
        paint(shown, [x, x0][i], {side: SIDE, columns});
        caption.textContent = words[i];
        shown.setAttribute("aria-label", `${words[i]}, ${t < 0 ? "clean" : `t = ${t}`}, ${names}`);
        shown.style.width = `${13 * columns}rem`;
      });
    }

    for (const {input} of [task, sampler, steps, scale, forget, sigma, seed]) input.addEventListener("input", changed);
    classes.addEventListener("input", changed);
    addEventListener("hashchange", read);
    read();
  }

  for (const root of document.querySelectorAll(".fd-lab.digits")) install(root);
})();
