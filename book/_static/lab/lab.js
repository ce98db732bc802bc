// The lab: digits, painted by the book's networks in the reader's own browser. worker.js does the work.

(() => {
  const {button, choice, made, row, slider} = controls;
  const SIDE = 28, SIZE = SIDE ** 2, CLASSES = 10;
  const TASKS = {walk: "Paint digits", edit: "Change a drawing", clean: "Remove noise"};
  const SAMPLERS = {
    ddim: ["DDIM", "mnist-class", [1, 2, 3, 5, 10, 15, 20, 30, 50, 100, 300]],
    ddpm: ["DDPM, with fresh noise", "mnist-class", [10, 20, 30, 50, 100, 300]],
    flow: ["flow matching", "mnist-flow", [1, 2, 3, 5, 10, 15, 20, 30, 50, 100]],
  };
  const ENGINES = {wasm: "WebAssembly, on one core of the processor", webgpu: "WebGPU, on the graphics card"};
  const START = {task: "walk", sampler: "ddim", classes: "7", scale: 5, steps: 30, seed: 0, start: 0.6, sigma: 0.5};
  const here = document.currentScript.src;

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

  function paint(canvas, pictures, columns = pictures.length) {
    canvas.width = SIDE * columns;
    canvas.height = SIDE * Math.ceil(pictures.length / columns);
    const context = canvas.getContext("2d");
    pictures.forEach((picture, k) => {
      const image = new ImageData(SIDE, SIDE);
      picture.forEach((each, i) => {
        const grey = Math.round(255 * Math.min(Math.max(each, 0), 1));
        image.data.set([grey, grey, grey, 255], 4 * i);
      });
      context.putImageData(image, k % columns * SIDE, Math.floor(k / columns) * SIDE);
    });
  }

  function install(root) {
    const sizes = JSON.parse(root.dataset.sizes);
    let worker = null, loaded = new Set(), engine = null, gpu = false;
    let states = [], run = 0, isRunning = false, isLoading = false, follows = true, drawing = new Array(SIZE).fill(0), pen = [14, 14];

    const task = choice("What to do", TASKS, START.task);
    const sampler = choice("Sampler",
      Object.fromEntries(Object.entries(SAMPLERS).map(([key, [words]]) => [key, words])), START.sampler);
    const counts = () => SAMPLERS[sampler.input.value][2];
    const steps = slider("Steps", 0, 10, 1, 7, i => `${counts()[Math.min(i, counts().length - 1)]}`);
    const scale = slider("Guidance γ", 0, 10, 0.5, START.scale, value => value.toFixed(1));
    const forget = slider("Noise at the start", 0.1, 0.95, 0.05, START.start, value => `${Math.round(100 * value)} %`);
    const sigma = slider("Noise σ", 0, 1, 0.05, START.sigma, value => value.toFixed(2));
    const seed = {input: made("input", {type: "number", min: 0, max: 2 ** 31, step: 1, value: START.seed})};
    const other = button("Next seed", () => { seed.input.value = Number(seed.input.value) + 1; changed(); go(); });
    seed.row = row("Seed", seed.input, other);
    const classes = made("fieldset", {className: "classes"}, made("legend", {textContent: "Digits, or none for any"}),
      ...Array.from({length: CLASSES}, (_, i) => made("label", {},
        made("input", {type: "checkbox", value: i, checked: i === 7}), `${i}`)));

    const pad = made("canvas", {className: "pad", tabIndex: 0});
    const clear = button("Clear", () => { drawing.fill(0); draw(); changed(); });
    const take = button("Draw on the result", () => {
      drawing = states.at(-1).x0[0].map(each => Math.round(15 * Math.min(Math.max(each, 0), 1)) / 15);
      if (task.input.value === "walk") task.input.value = "edit";
      draw();
      changed();
    });
    const board = made("div", {className: "board"}, pad,
      made("p", {textContent: "Draw with mouse or finger. By the keyboard: arrow keys move the pen, Space puts a dot."}),
      made("div", {className: "acts"}, clear, ...Object.keys(DRAWINGS).map(name => button(`A ${name}`, () => {
        drawing = unpacked(name);
        draw();
        changed();
      }))));

    const act = button("", () => isRunning ? halt() : go());
    act.className = "go";
    const link = button("Copy a link to this", copy);
    const bar = made("progress", {hidden: true, max: 1, value: 0});
    const said = made("p", {className: "said"});
    said.setAttribute("aria-live", "polite");
    const noisy = made("canvas", {}), clean = made("canvas", {});
    for (const canvas of [noisy, clean]) canvas.setAttribute("role", "img");
    const clock = slider("Step", 0, 0, 1, 0, i => !states[i] ? "" : states[i].t < 0 ? "done" : `t = ${states[i].t}`);
    const result = made("div", {className: "result", hidden: true}, made("div", {className: "pair"},
      ...[noisy, clean].map(canvas => made("div", {}, made("p", {}), canvas))), clock.row, made("div", {className: "acts"}, take));
    root.replaceChildren(
      made("div", {className: "controls"}, task.row, sampler.row, classes, scale.row, steps.row, forget.row,
        sigma.row, seed.row),
      board, made("div", {className: "acts"}, act, link), bar, said, result);

    const labels = () =>
      [...classes.querySelectorAll("input:checked")].map(each => Number(each.value));
    const network = () => task.input.value === "clean" ? "mnist-denoiser" : SAMPLERS[sampler.input.value][1];
    const count = () => counts()[Math.min(Number(steps.input.value), counts().length - 1)];

    // The setting, all of it, is in the page's address.
    function setting() {
      const all = {
        task: task.input.value, sampler: sampler.input.value, classes: labels().join(""), scale: scale.input.value,
        steps: count(), seed: seed.input.value, start: forget.input.value, sigma: sigma.input.value,
        drawing: task.input.value === "walk" ? "" : packed(drawing),
      };
      return new URLSearchParams(Object.entries(all).filter(([key, value]) => `${value}` !== `${START[key] ?? ""}`));
    }
    function take_(address) {
      const asked = {...START, ...Object.fromEntries(new URLSearchParams(address.replace(/^#/, "")))};
      if (asked.task in TASKS) task.input.value = asked.task;
      if (asked.sampler in SAMPLERS) sampler.input.value = asked.sampler;
      for (const each of classes.querySelectorAll("input")) each.checked = `${asked.classes}`.includes(each.value);
      const nearest = counts().map(each => Math.abs(each - asked.steps));
      steps.input.value = Math.max(nearest.indexOf(Math.min(...nearest)), 0);
      for (const [name, control] of Object.entries({scale, sigma, start: forget, seed})) {
        if (Number.isFinite(Number(asked[name]))) control.input.value = asked[name];
      }
      drawing = unpacked(asked.drawing ?? "");
      for (const control of [steps, scale, forget, sigma]) control.tell();
      draw();
      show_();
    }
    function changed() {
      if (isRunning) halt();
      steps.input.max = counts().length - 1;
      steps.tell();
      const all = `${setting()}`;
      history.replaceState(null, "", all ? `#${all}` : location.pathname + location.search);
      show_();
    }

    // What a task has no use for isn't shown, and the button says what is still to be loaded.
    function show_() {
      const what = task.input.value;
      for (const part of [sampler.row, classes, steps.row]) part.hidden = what === "clean";
      scale.row.hidden = what === "clean" || !labels().length;
      sigma.row.hidden = what !== "clean";
      forget.row.hidden = what !== "edit";
      board.hidden = what === "walk";
      const kind = engine ?? (gpu ? "webgpu" : "wasm");
      const missing = (engine ? 0 : sizes[kind]) + (loaded.has(network()) ? 0 : sizes[network()]);
      act.textContent = isRunning ? "Stop" : missing ? `Load ${(missing / 1e6).toFixed(1)} MB and start` : "Start";
    }

    async function copy() {
      changed();
      try {
        await navigator.clipboard.writeText(location.href);
        said.textContent = "The link is copied.";
      } catch {
        said.textContent = "The link is this page's address.";
      }
    }

    function draw() {
      paint(pad, [drawing]);
      const context = pad.getContext("2d");
      if (document.activeElement === pad) {
        context.fillStyle = "#f2a878";
        context.fillRect(pen[0], pen[1], 1, 1);
      }
      const ink = Math.round(drawing.reduce((a, b) => a + b, 0));
      pad.setAttribute("aria-label", `Your drawing, ${ink ? `${ink} pixels of ink` : "empty"}; the pen is at ${pen.join(", ")}`);
    }
    function dot([x, y], ink = 1) {
      for (let j = -2; j <= 2; j++) for (let i = -2; i <= 2; i++) {
        const [u, v] = [Math.round(x) + i, Math.round(y) + j];
        if (u < 0 || v < 0 || u >= SIDE || v >= SIDE) continue;
        const far = Math.hypot(u - x, v - y), at = v * SIDE + u;
        drawing[at] = Math.max(drawing[at], Math.round(15 * ink * Math.min(1, Math.max(0, 1.9 - far))) / 15);
      }
    }
    let last = null;
    const place = ({clientX, clientY}) => {
      const box = pad.getBoundingClientRect();
      return [(clientX - box.left) / box.width * SIDE - 0.5, (clientY - box.top) / box.height * SIDE - 0.5];
    };
    pad.addEventListener("pointerdown", event => {
      pad.setPointerCapture(event.pointerId);
      dot(last = place(event));
      draw();
    });
    pad.addEventListener("pointermove", event => {
      if (!pad.hasPointerCapture(event.pointerId) || !last) return;
      const to = place(event), far = Math.ceil(2 * Math.hypot(to[0] - last[0], to[1] - last[1])) || 1;
      for (let i = 1; i <= far; i++) dot(last.map((from, k) => from + (to[k] - from) * i / far));
      last = to;
      draw();
    });
    for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { last = null; changed(); });
    pad.addEventListener("keydown", event => {
      const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key] ?? [0, 0];
      if (dx || dy) pen = [pen[0] + dx, pen[1] + dy].map(each => Math.min(Math.max(each, 0), SIDE - 1));
      else if (event.key === " ") dot(pen);
      else return;
      event.preventDefault();
      draw();
      if (event.key === " ") changed();
    });
    for (const turn of ["focus", "blur"]) pad.addEventListener(turn, draw);

    function ask(message, on = () => {}) {
      const id = ++run;
      return new Promise((resolve, reject) => {
        worker.onmessage = ({data}) => {
          if (data.id !== id || id !== run) return;
          if (data.kind === "failed") reject(new Error(data.why));
          else if (data.kind === "done") resolve(data);
          else on(data);
        };
        worker.onerror = event => reject(new Error(event.message || "the worker could not be loaded"));
        worker.postMessage({...message, id});
      });
    }

    async function load() {
      const kind = engine ?? (gpu ? "webgpu" : "wasm"), whole = (engine ? 0 : sizes[kind]) + sizes[network()];
      worker ??= new Worker(new URL("worker.js", here), {type: "module"});
      isLoading = true;
      engine = (await ask({kind: "load", network: network(), on: kind}, ({bytes}) => {
        bar.value = bytes / whole;
        said.textContent = `Loading: ${(bytes / 1e6).toFixed(1)} of ${(whole / 1e6).toFixed(1)} MB`;
      })).engine;
      isLoading = false;
      loaded.add(network());
    }
    function unload() {
      worker?.terminate();
      worker = engine = null;
      isLoading = false;
      loaded = new Set();
    }

    async function work(own) {
      if (!loaded.has(network())) await load();
      states = [];
      follows = true;
      const since = performance.now(), isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
      await ask(own, state => {
        states.push(state);
        bar.value = state.number / state.of;
        const seconds = (performance.now() - since) / 1000, isLast = state.number === state.of;
        const left = Math.round(seconds / states.length * (state.of - state.number));
        said.textContent = isLast
          ? `Done in ${seconds.toFixed(1)} s, ${Math.round(1000 * seconds / state.of)} ms a step, by ${ENGINES[engine]}.`
          : `Step ${state.number + 1} of ${state.of}, about ${left < 2 ? "a second" : `${left} s`} left`;
        if (follows && (isLast || !isStill)) show(states.length - 1);
        clock.input.max = states.length - 1;
      });
    }

    // By the graphics card if that can be had and works, else by the processor.
    async function go() {
      if (isRunning) halt();
      const [walks, drawn] = [task.input.value !== "clean", task.input.value !== "walk"];
      const own = {kind: walks ? "walk" : "clean", sampler: sampler.input.value, labels: labels(), steps: count(),
        scale: Number(scale.input.value), seed: Math.trunc(Number(seed.input.value)), sigma: Number(sigma.input.value)};
      if (drawn) own.drawing = [...drawing];
      if (walks && drawn) own.iStart = Math.min(Math.round((1 - Number(forget.input.value)) * own.steps), own.steps - 1);
      isRunning = true;
      said.textContent = "Starting …";
      bar.hidden = false;
      bar.removeAttribute("value");
      show_();
      try {
        await work(own).catch(error => {
          unload();
          if (!gpu) throw error;
          gpu = false;
          return work(own);
        });
      } catch (error) {
        unload();
        said.textContent = `That did not work: ${error.message}.`;
      }
      isRunning = false;
      bar.hidden = true;
      show_();
    }
    function halt() {
      isRunning = false;
      bar.hidden = true;
      said.textContent = isLoading ? "Stopped." : `Stopped after ${states.length} steps.`;
      run++;
      if (isLoading) unload();
      else worker?.postMessage({kind: "stop", id: run});
      show_();
    }

    function show(number) {
      const {x, x0, t} = states[number], [above, below] = result.querySelectorAll(".pair p");
      result.hidden = false;
      clock.input.max = states.length - 1;
      clock.input.value = number;
      clock.tell();
      const columns = root.clientWidth < 480 ? Math.min(x.length, 5) : x.length;
      paint(noisy, x, columns);
      paint(clean, x0, columns);
      const names = labels().length && task.input.value !== "clean" ? `asked for: ${labels().join(", ")}` : "no class";
      const isCleaned = task.input.value === "clean";
      clock.row.hidden = isCleaned;
      above.textContent = isCleaned ? "With noise" : t < 0 ? "The result" : "On the way: xₜ";
      below.textContent = isCleaned ? "What the network makes of it" : "The clean estimate: x̂₀";
      noisy.setAttribute("aria-label", `${above.textContent}, ${t < 0 ? "clean" : `t = ${t}`}, ${names}`);
      clean.setAttribute("aria-label", `${below.textContent}, ${names}`);
      for (const canvas of [noisy, clean]) canvas.style.width = `${13 * columns}rem`;
    }

    clock.input.addEventListener("input", () => { follows = false; show(Number(clock.input.value)); });
    for (const {input} of [task, sampler, steps, scale, forget, sigma, seed]) input.addEventListener("input", changed);
    classes.addEventListener("input", changed);
    addEventListener("hashchange", () => take_(location.hash));
    take_(location.hash);
    const lacks = [["WebAssembly", globalThis.WebAssembly], ["workers", globalThis.Worker],
      ["DecompressionStream", globalThis.DecompressionStream]].filter(([, has]) => !has).map(([name]) => name);
    if (lacks.length) {
      said.textContent = `This browser lacks ${lacks.join(" and ")}, which the lab needs.`;
      act.disabled = true;
    } else if (location.protocol === "file:") {
      said.textContent = "The lab needs a server, even one on this machine: nox -s serve.";
      act.disabled = true;
    } else if ("Suspending" in WebAssembly && navigator.gpu) {
      navigator.gpu.requestAdapter().then(adapter => {
        gpu = adapter !== null && !adapter.info.isFallbackAdapter;  // that is the processor, and slow
        show_();
      }, () => {});
    }
  }

  for (const root of document.querySelectorAll(".fd-lab")) install(root);
})();
