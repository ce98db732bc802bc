// The plane of all pictures of two pixels, to play with; the files in library/ do the arithmetic.

(() => {
  const {asked, ddimStep, ddpmStep, denoise, denoiser, flow, guided, linear, logDensity, noise, timesteps} = fundiff;
  const {button, choice, made, slider} = controls;

  const REACH = 2, WALKERS = 150, DROPPED = 99, FINE = 72, ARROWS = 15;
  const STEPS = [1, 2, 3, 5, 10, 20, 50, 100, 200];
  const SAMPLERS = {
    ddpm: ["DDPM", linear(), ddpmStep],
    ddim: ["DDIM", linear(), ddimStep],
    flow: ["flow", flow(), ddimStep],
  };
  const START = {
    modes: [[-0.9, -0.5], [0.9, -0.6], [0.1, 0.9]],
    points: [[-0.9, 0.1], [-0.7, 0.7], [-0.1, 0.9], [0.5, 0.7], [0.7, 0.1], [-0.1, -0.1],
      [0.1, -0.7], [0.7, -0.9], [1.3, -0.7], [1.5, -0.1]],
  };
  function install(root) {
    const data = {modes: structuredClone(START.modes), points: structuredClone(START.points)};
    let dropped = [], states = [], stop = 0, timer = null, seed = 0, kept = new Map();

    const set = choice("Data", {modes: "three kinds", points: "your own points"}, "modes");
    const sampler = choice("Sampler",
      Object.fromEntries(Object.entries(SAMPLERS).map(([key, [words]]) => [key, words])), "ddim");
    const steps = slider("Steps", 0, STEPS.length - 1, 1, 6, i => `${STEPS[i]}`);
    const width = slider("Width of a kind", 0.05, 0.5, 0.05, 0.15, value => value.toFixed(2));
    const towards = choice("Guide towards",
      {none: "none", 0: "kind 1", 1: "kind 2", 2: "kind 3"}, "none");
    const scale = slider("Scale", 0, 8, 0.5, 2, value => value.toFixed(1));
    const field = made("input", {type: "checkbox", checked: true});
    const clock = slider("Stop", 0, 1, 1, 0, i => states[i]?.t === -1 ? "clean" : `t = ${states[i]?.t ?? 999}`);
    const play = button("Play", () => timer === null ? start() : pause());
    const again = button("New noise", () => { seed++; kept = new Map(); walk(); });
    const drop = button("Drop a point", () => add(noise(1, 2, {seed: 99, first: dropped.length})[0]));
    const clear = button("Start over", () => {
      data[set.input.value] = structuredClone(START[set.input.value]);
      dropped = [];
      place();
      walk();
    });
    const canvas = made("canvas", {});
    canvas.setAttribute("role", "img");
    const stage = made("div", {className: "stage"}, canvas);
    const said = made("p", {className: "said"});
    said.setAttribute("aria-live", "polite");
    root.replaceChildren(
      stage,
      made("div", {className: "clock"}, play, clock.row),
      said,
      made("div", {className: "controls"}, set.row, sampler.row, steps.row, width.row, towards.row,
        scale.row, controls.row("Arrows", field)),
      made("div", {className: "acts"}, drop, again, clear),
    );

    const isFinite_ = () => set.input.value === "points";
    const mixture = () =>
      ({means: data[set.input.value], std: isFinite_() ? 0 : Number(width.input.value)});
    const settings = () => {
      const [, schedule, step] = SAMPLERS[sampler.input.value], all = mixture();
      const goal = isFinite_() ? "none" : towards.input.value;
      const whole = denoiser(all, schedule);
      const one = goal === "none" ? null : denoiser({...all, means: [all.means[goal]]}, schedule);
      const guide = one === null ? whole : guided(one, whole, Number(scale.input.value));
      return {schedule, step, all, guide, stops: timesteps(schedule, STEPS[steps.input.value])};
    };

    function estimate(guide, point, t) {
      const leaves = [], answer = asked(guide, point, leaves);
      return answer(t, leaves.map(([leaf, seen]) => leaf(seen, t)));
    }

    function walk() {
      const share = stop / Math.max(states.length - 1, 1);
      const {schedule, step, guide, stops} = settings();
      if (!kept.has("start")) kept.set("start", noise(WALKERS, 2, {seed}));
      const drawn = (stream, number) => {
        if (!kept.has(number)) kept.set(number, noise(WALKERS + DROPPED, 2, {seed, stream, step: number}));
        return kept.get(number);
      };
      const loop = denoise(schedule, [...kept.get("start"), ...dropped], stops, {step, drawn});
      states = [];
      for (let next = loop.next(); !next.done; next = loop.next(states.at(-1).x.map(x => estimate(guide, x, states.at(-1).t)))) {
        states.push(next.value);
      }
      clock.input.max = states.length - 1;
      show(Math.round(share * (states.length - 1)));
    }

    function show(to) {
      stop = to;
      clock.input.value = to;
      clock.tell();
      draw();
    }

    function start() {
      if (stop === states.length - 1) show(0);
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
        show(states.length - 1);
        tell();
        return;
      }
      play.textContent = "Pause";
      const pause_ = Math.max(40, 3000 / states.length);
      timer = setInterval(() => {
        show(stop + 1);
        if (stop >= states.length - 1) pause();
      }, pause_);
    }

    function pause() {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
      tell();
    }

    // What a reader of the screen hears, and others read: where the walkers are now.
    function tell() {
      const {all, schedule} = settings(), {t, x: points} = states[stop];
      if (t >= 0) {
        said.textContent = `At t = ${t}, ${(100 * (1 - schedule[t])).toFixed(0)} % of the variance is noise.`;
        return;
      }
      const groups = all.means.map(() => []);
      let most = 0, squares = 0;
      for (const [x, y] of points.slice(0, WALKERS)) {
        const far = all.means.map(([a, b]) => Math.hypot(x - a, y - b)), least = Math.min(...far);
        groups[far.indexOf(least)].push([x, y]);
        most = Math.max(most, least);
      }
      for (const group of groups) {
        const [a, b] = [0, 1].map(i => group.reduce((sum, each) => sum + each[i], 0) / group.length);
        for (const [x, y] of group) squares += (x - a) ** 2 + (y - b) ** 2;
      }
      said.textContent = isFinite_()
        ? `Clean. No walker ends further than ${most.toFixed(3)} from one of your ${all.means.length} points.`
        : `Clean. Nearest to the kinds 1 to 3: ${groups.map(group => group.length).join(", ")} of ${WALKERS} walkers. `
          + `Each group's spread: ${Math.sqrt(squares / WALKERS / 2).toFixed(2)}; a kind's: ${all.std.toFixed(2)}.`;
    }

    function draw() {
      const style = getComputedStyle(root), ink = style.getPropertyValue("--plane-ink");
      const size = Math.round(canvas.clientWidth * devicePixelRatio);
      if (canvas.width !== size) canvas.width = canvas.height = size;
      const {schedule, all, guide} = settings(), {t} = states[stop], context = canvas.getContext("2d");
      const place_ = ([x, y]) => [(x / REACH + 1) * size / 2, (1 - y / REACH) * size / 2];
      context.clearRect(0, 0, size, size);
      if (t >= 0 || all.std > 0) {
        const ground = new ImageData(FINE, FINE), logs = new Float64Array(FINE * FINE);
        for (let i = 0; i < FINE * FINE; i++) {
          const x = ((i % FINE + 0.5) / FINE * 2 - 1) * REACH;
          const y = (1 - (Math.floor(i / FINE) + 0.5) / FINE * 2) * REACH;
          logs[i] = logDensity(all, schedule, [x, y], t);
        }
        const most = logs.reduce((a, b) => Math.max(a, b));
        const rgb = style.getPropertyValue("--plane-ground").match(/\d+/g).map(Number);
        logs.forEach((log, i) => ground.data.set([...rgb, 190 * Math.exp(log - most)], 4 * i));
        const small = made("canvas", {width: FINE, height: FINE});
        small.getContext("2d").putImageData(ground, 0, 0);
        context.drawImage(small, 0, 0, size, size);
      }
      if (field.checked && t >= 0) {
        context.strokeStyle = ink;
        context.lineWidth = size / 500;
        context.globalAlpha = 0.55;
        const gap = 2 * REACH / ARROWS;
        for (let i = 0; i < ARROWS * ARROWS; i++) {
          const from = [(i % ARROWS + 0.5) * gap - REACH, (Math.floor(i / ARROWS) + 0.5) * gap - REACH];
          const eps = estimate(guide, from, t), far = Math.hypot(...eps) || 1;
          const long = 0.8 * gap * Math.tanh(far) / far;
          arrow(context, place_(from), place_(from.map((each, k) => each - long * eps[k])));
        }
        context.globalAlpha = 1;
      }
      const colours = ["--plane-walker", "--plane-own"].map(name => style.getPropertyValue(name));
      const trail = states.slice(Math.max(0, stop - 12), stop + 1);
      states[stop].x.forEach((point, i) => {
        const own = i >= WALKERS;
        context.strokeStyle = context.fillStyle = colours[Number(own)];
        if (own || STEPS[steps.input.value] > 3) {
          context.globalAlpha = own ? 1 : 0.25;
          context.lineWidth = size / (own ? 250 : 600);
          context.beginPath();
          for (const state of own ? states.slice(0, stop + 1) : trail) context.lineTo(...place_(state.x[i]));
          context.stroke();
          context.globalAlpha = 1;
        }
        context.beginPath();
        context.arc(...place_(point), size / (own ? 90 : 220), 0, 2 * Math.PI);
        context.fill();
      });
      canvas.setAttribute("aria-label", `The plane ${t < 0 ? "without noise" : `at t = ${t}`}, with ${states[stop].x.length} walkers`);
    }

    function arrow(context, from, to) {
      const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
      const head = Math.min(0.35 * Math.hypot(to[0] - from[0], to[1] - from[1]), 12);
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      for (const turn of [2.6, -2.6]) {
        context.moveTo(...to);
        context.lineTo(to[0] + head * Math.cos(angle + turn), to[1] + head * Math.sin(angle + turn));
      }
      context.stroke();
    }

    // The data's points are buttons over the canvas: they are dragged, or moved by the arrow keys.
    function place() {
      for (const old of stage.querySelectorAll("button")) old.remove();
      const all = data[set.input.value];
      all.forEach((point, k) => {
        const handle = made("button", {type: "button", className: isFinite_() ? "own" : "mode"});
        const settle = () => {
          handle.style.left = `${(point[0] / REACH + 1) * 50}%`;
          handle.style.top = `${(1 - point[1] / REACH) * 50}%`;
          handle.setAttribute("aria-label",
            `${isFinite_() ? "Point" : "Kind"} ${k + 1} at ${point.map(each => each.toFixed(2)).join(", ")}`);
        };
        const move = (x, y) => {
          point[0] = Math.max(-1.9, Math.min(1.9, x));
          point[1] = Math.max(-1.9, Math.min(1.9, y));
          settle();
          walk();
        };
        handle.setAttribute("aria-description", isFinite_() ?
          "Arrow keys move it, Delete removes it" : "Arrow keys move it");
        handle.addEventListener("keydown", event => {
          const [dx, dy] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key] ?? [0, 0];
          if (dx || dy) move(point[0] + dx / 20, point[1] + dy / 20);
          else if (event.key === "Delete" && isFinite_() && all.length > 1) {
            all.splice(k, 1);
            place();
            walk();
            stage.querySelector("button").focus();
          } else return;
          event.preventDefault();
          tell();
        });
        handle.addEventListener("pointerdown", event => handle.setPointerCapture(event.pointerId));
        handle.addEventListener("pointermove", event => {
          if (handle.hasPointerCapture(event.pointerId)) move(...inPlane(event));
        });
        handle.addEventListener("pointerup", tell);
        settle();
        stage.append(handle);
      });
    }

    function inPlane({clientX, clientY}) {
      const box = canvas.getBoundingClientRect();
      return [((clientX - box.left) / box.width * 2 - 1) * REACH,
        (1 - (clientY - box.top) / box.height * 2) * REACH];
    }

    function add(point) {
      if (isFinite_() && data.points.length < 60) {
        data.points.push(point);
        place();
      } else if (!isFinite_() && dropped.length < DROPPED) {
        dropped.push(point);
        stop = 0;
      }
      walk();
      tell();
    }

    canvas.addEventListener("click", event => add(inPlane(event)));
    clock.input.addEventListener("input", () => {
      const to = Number(clock.input.value);
      pause();
      show(to);
      tell();
    });
    field.addEventListener("change", draw);
    for (const {input} of [sampler, steps, width, towards, scale]) {
      input.addEventListener("input", () => { pause(); walk(); tell(); });
    }
    set.input.addEventListener("input", () => {
      drop.textContent = isFinite_() ? "Add a point" : "Drop a point";
      for (const {row} of [width, towards, scale]) row.hidden = isFinite_();
      dropped = [];
      place();
      walk();
      tell();
    });
    new ResizeObserver(draw).observe(canvas);
    new MutationObserver(draw).observe(document.documentElement, {attributeFilter: ["data-theme"]});
    place();
    walk();
    show(30);
    tell();
  }

  for (const root of document.querySelectorAll(".fd-plane")) install(root);
})();
