// What the lab's pages share: the worker, and the buttons and lines that drive it and say what it does.

globalThis.lab = (() => {
  const {button, made, row, slider} = controls;
  const ENGINES = {wasm: "WebAssembly, on one core of the processor", webgpu: "WebGPU, on the graphics card"};
  const here = document.currentScript.src;

  // `network` names what is to be loaded, `message` what is to be done; `show` shows a state of it, `hide` what a
  // task has no use for, and `refresh` puts the setting into the address.
  function runner(files, {network, message, show, label, hide, refresh}) {
    let worker = null, engine = null, gpu = false, loaded = new Set();
    let states = [], run = 0, isRunning = false, isLoading = false, isStopped = false, follows = true;

    const act = button("", () => isRunning ? halt() : go());
    act.className = "go";
    const on = button("Go on", () => go({kind: "resume", from: states.length}));
    const bar = made("progress", {hidden: true, max: 1, value: 0, ariaLabel: "Progress"});
    const said = made("p", {className: "said"});
    said.setAttribute("aria-live", "polite");
    const clock = slider("Step", 0, 0, 1, 0, i => states[i] ? label(states[i]) : "");
    clock.input.addEventListener("input", () => { follows = false; display(Number(clock.input.value)); });

    function display(number) {
      clock.input.max = states.length - 1;
      clock.input.value = number;
      clock.tell();
      show(states[number]);
    }

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

    const engineHere = () => engine ?? (gpu ? "webgpu" : "wasm");
    const missing = () => (engine ? 0 : files.engines[engineHere()])
      + (loaded.has(network()) ? 0 : files.networks[network()].bytes);

    async function load() {
      const name = network(), {shards, beside} = files.networks[name], whole = missing();
      worker ??= new Worker(new URL("worker.js", here), {type: "module"});
      isLoading = true;
      engine = (await ask({kind: "load", network: name, shards, beside, on: engineHere()}, ({bytes}) => {
        bar.value = bytes / whole;
        said.textContent = `Loading: ${(bytes / 1e6).toFixed(1)} of ${(whole / 1e6).toFixed(1)} MB`;
      })).engine;
      isLoading = false;
      loaded.add(name);
    }
    function unload() {
      worker?.terminate();
      worker = engine = null;
      isLoading = false;
      loaded = new Set();
    }

    async function work(own) {
      if (!loaded.has(network())) await load();
      if (own.kind !== "resume") states = [];
      follows = true;
      const before = states.length, since = performance.now(), isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
      await ask(own, state => {
        states.push(state);
        bar.value = state.number / state.of;
        const seconds = (performance.now() - since) / 1000, isLast = state.number === state.of;
        const each = seconds / (states.length - before), left = Math.round(each * (state.of - state.number));
        said.textContent = isLast
          ? `Done in ${seconds.toFixed(1)} s, ${Math.round(1000 * seconds / (state.of - before))} ms a step, by ${ENGINES[engine]}.`
          : `Step ${state.number + 1} of ${state.of}, about ${left < 2 ? "a second" : `${left} s`} left`;
        if (follows && (isLast || !isStill)) display(states.length - 1);
        clock.input.max = states.length - 1;
      });
    }

    // By the graphics card if that can be had and works, else by the processor.
    async function go(own = message()) {
      if (isRunning) halt();
      isRunning = true;
      isStopped = false;
      said.textContent = "Starting …";
      bar.hidden = false;
      bar.removeAttribute("value");
      tell();
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
      tell();
    }
    function halt() {
      isRunning = false;
      bar.hidden = true;
      isStopped = !isLoading && states.length > 0 && states.at(-1).t >= 0;
      said.textContent = isLoading ? "Stopped." : `Stopped after ${states.length} steps.`;
      run++;
      if (isLoading) unload();
      else worker?.postMessage({kind: "stop", id: run});
      tell();
    }

    // The button says what is still to be loaded.
    function tell() {
      act.textContent = isRunning ? "Stop" : missing() ? `Load ${(missing() / 1e6).toFixed(1)} MB and start` : "Start";
      on.hidden = !isStopped;
      hide();
    }

    // The setting, all of it, is in the page's address; what a setting has by default is left out.
    function changed(setting) {
      if (isRunning) halt();
      isStopped = false;
      const all = `${new URLSearchParams(setting)}`;
      history.replaceState(null, "", all ? `#${all}` : location.pathname + location.search);
      tell();
    }
    const link = button("Copy a link to this", async () => {
      refresh();
      try {
        await navigator.clipboard.writeText(location.href);
        said.textContent = "The link is copied.";
      } catch {
        said.textContent = "The link is this page's address.";
      }
    });

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
        tell();
      }, () => {});
    }
    return {act, on, link, bar, said, clock, go, tell, changed, states: () => states};
  }

  // Planes of numbers, from `low` to 1, on a canvas: one plane is grey, three are colours.
  function paint(canvas, pictures, {side, low = 0, columns = pictures.length}) {
    canvas.width = side * columns;
    canvas.height = side * Math.ceil(pictures.length / columns);
    const context = canvas.getContext("2d"), size = side ** 2;
    pictures.forEach((picture, k) => {
      const image = new ImageData(side, side), last = picture.length - size;
      for (let i = 0; i < size; i++) {
        for (let channel = 0; channel < 3; channel++) {
          const value = (picture[i + Math.min(channel * size, last)] - low) / (1 - low);
          image.data[4 * i + channel] = Math.round(255 * Math.min(Math.max(value, 0), 1));
        }
        image.data[4 * i + 3] = 255;
      }
      context.putImageData(image, k % columns * side, Math.floor(k / columns) * side);
    });
  }

  // A square to draw on, with mouse, finger or keys. `ink(i, amount)` marks pixel i, `picture` is what there is.
  function pad(side, {ink, picture, low, describe, changed, radius = () => 1.9}) {
    const canvas = made("canvas", {className: "pad", tabIndex: 0});
    canvas.setAttribute("role", "img");
    let pen = [side / 2, side / 2], last = null;
    function draw() {
      paint(canvas, [picture()], {side, low});
      if (document.activeElement === canvas) {
        const context = canvas.getContext("2d");
        context.fillStyle = "#f2a878";
        context.fillRect(pen[0], pen[1], 1, 1);
      }
      canvas.setAttribute("aria-label", `${describe()}; the pen is at ${pen.join(", ")}`);
    }
    function dot([x, y]) {
      const reach = Math.ceil(radius());
      for (let v = Math.round(y) - reach; v <= Math.round(y) + reach; v++) {
        for (let u = Math.round(x) - reach; u <= Math.round(x) + reach; u++) {
          const amount = Math.min(1, radius() - Math.hypot(u - x, v - y));
          if (amount > 0 && u >= 0 && v >= 0 && u < side && v < side) ink(v * side + u, amount);
        }
      }
    }
    const place = ({clientX, clientY}) => {
      const box = canvas.getBoundingClientRect();
      return [(clientX - box.left) / box.width * side - 0.5, (clientY - box.top) / box.height * side - 0.5];
    };
    canvas.addEventListener("pointerdown", event => {
      canvas.setPointerCapture(event.pointerId);
      dot(last = place(event));
      draw();
    });
    canvas.addEventListener("pointermove", event => {
      if (!canvas.hasPointerCapture(event.pointerId) || !last) return;
      const to = place(event), far = Math.ceil(2 * Math.hypot(to[0] - last[0], to[1] - last[1])) || 1;
      for (let i = 1; i <= far; i++) dot(last.map((from, k) => from + (to[k] - from) * i / far));
      last = to;
      draw();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; changed(); });
    canvas.addEventListener("keydown", event => {
      const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key] ?? [0, 0];
      if (dx || dy) pen = [pen[0] + dx, pen[1] + dy].map(each => Math.min(Math.max(each, 0), side - 1));
      else if (event.key === " ") dot(pen);
      else return;
      event.preventDefault();
      draw();
      if (event.key === " ") changed();
    });
    for (const turn of ["focus", "blur"]) canvas.addEventListener(turn, draw);
    return {canvas, draw};
  }

  // A canvas with a line above it that says what it shows.
  function frame() {
    const canvas = made("canvas", {}), caption = made("p", {});
    canvas.setAttribute("role", "img");
    return {canvas, caption, whole: made("div", {}, caption, canvas)};
  }

  const nearest = (options, wanted) => {
    const far = options.map(each => Math.abs(each - wanted));
    return Math.max(far.indexOf(Math.min(...far)), 0);
  };

  // Where a walk of `count` steps begins that has a share of noise at its start.
  const startIndex = (share, count) => Math.min(Math.round((1 - share) * count), count - 1);

  function seedRow(value, next) {
    const input = made("input", {type: "number", min: 0, max: 2 ** 31, step: 1, value});
    const other = button("Next seed", () => { input.value = Number(input.value) + 1; next(); });
    return {input, row: row("Seed", input, other)};
  }

  const setting = (all, start) =>
    Object.entries(all).filter(([key, value]) => `${value}` !== `${start[key] ?? ""}`);
  const asked = (start, address) => ({...start, ...Object.fromEntries(new URLSearchParams(address))});

  return {asked, frame, nearest, pad, paint, runner, seedRow, setting, startIndex};
})();
