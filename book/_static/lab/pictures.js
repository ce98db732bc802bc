// The lab's second page: pictures from words, edits, repainted parts, anagrams and hybrids.

(() => {
  const {button, choice, made, slider} = controls;
  const {asked, frame, nearest, pad, paint, runner, seedRow, setting, startIndex} = lab;
  const {complement, gaussianBlur, grey, moved, negated} = fundiff;
  const SIDE = 64, PLANE = SIDE ** 2, SIZE = 3 * PLANE, LOW = -1;
  const TASKS = {paint: "Paint from words", edit: "Edit a picture", inpaint: "Repaint a part", anagram: "Make an anagram",
    hybrid: "Make a hybrid"};
  const VIEWS = {flip: "flipped upside down", mirror: "in a mirror", "rotate-90": "turned by 90°, to the left",
    "rotate-180": "turned by 180°", negate: "as a negative", jigsaw: "as a jigsaw", patches: "in shuffled patches",
    circle: "with its middle turned", skew: "skewed", hinge: "turned round a hinge"};
  const SPLITS = {blur: "from afar", colour: "without colour"};
  const SOURCES = {"drawn-house": "a drawn house", "drawn-fish": "a drawn fish", campanile: "the Campanile", cat: "a cat",
    coffee: "a cup of coffee", astronaut: "an astronaut", rocket: "a rocket", blank: "a blank sheet", own: "a file of yours"};
  const START = {task: "paint", style: "a photo of", subject: "a dog", style2: "an oil painting of",
    subject2: "a snowy mountain village", view: "flip", split: "blur", scale: 4, steps: 12, seed: 0, start: 0.6,
    source: "drawn-house"};
  const STEPS = [4, 6, 8, 10, 12, 16, 20, 34];
  const here = document.currentScript.src, COLOURS = ["#000000", "#ffffff", "#c03028", "#e8a030", "#f0d840", "#48983c",
    "#3868c0", "#8848a0", "#805030"];
  const blank = () => new Array(SIZE).fill(0.8);

  // A picture's middle square, at 64 pixels a side, from -1 to 1.
  async function read64(blob) {
    const image = await createImageBitmap(blob), side = Math.min(image.width, image.height);
    const canvas = made("canvas", {width: SIDE, height: SIDE}), context = canvas.getContext("2d", {willReadFrequently: true});
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, SIDE, SIDE);
    context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
    const {data} = context.getImageData(0, 0, SIDE, SIDE);
    return Array.from({length: SIZE}, (_, i) => data[4 * (i % PLANE) + Math.floor(i / PLANE)] / 127.5 - 1);
  }

  function install(root) {
    const files = JSON.parse(root.dataset.files), fixed = root.dataset.setting;
    const {styles, subjects, tokens, views} = files;
    const firsts = tokens.reduce((all, count) => [...all, all.at(-1) + count], [0]);
    const numberOf = (style, subject) => 1 + subjects.indexOf(subject) * styles.length + styles.indexOf(style);
    const embedding = number => [firsts[number], tokens[number]];
    let drawing = blank(), mask = new Array(PLANE).fill(0), tables = null;

    const named = values => Object.fromEntries(values.map(each => [each, each || "(no style)"]));
    const words = (label, style, subject) => {
      const parts = [choice("Style", named(styles), style), choice("Subject", named(subjects), subject)];
      for (const {input} of parts) input.setAttribute("aria-label", `${label}: ${input === parts[0].input ? "style" : "subject"}`);
      return {row: made("div", {className: "words"}, made("span", {textContent: label}), ...parts.map(each => each.input)),
        style: parts[0].input, subject: parts[1].input,
        text: () => `${parts[0].input.value} ${parts[1].input.value}`.trim()};
    };
    const task = choice("What to do", TASKS, START.task);
    const one = words("Words", START.style, START.subject), two = words("Second", START.style2, START.subject2);
    const view = choice("The second, seen", VIEWS, START.view);
    const split = choice("The first, seen", SPLITS, START.split);
    const scale = slider("Guidance γ", 0, 10, 0.5, START.scale, value => value.toFixed(1));
    const steps = slider("Steps", 0, STEPS.length - 1, 1, STEPS.indexOf(START.steps), i => `${STEPS[i]}`);
    const forget = slider("Noise at the start", 0.1, 0.95, 0.05, START.start, value => `${Math.round(100 * value)} %`);
    const seed = seedRow(START.seed, () => { changed(); runs.go(); });

    const source = choice("Picture", SOURCES, START.source);
    const file = made("input", {type: "file", accept: "image/*", ariaLabel: "A picture of yours"});
    const brush = choice("Pen", Object.fromEntries(COLOURS.map((each, i) => [each, ["black", "white", "red", "orange", "yellow",
      "green", "blue", "purple", "brown"][i]])), COLOURS[2]);
    const width = slider("Width", 1, 8, 0.5, 2, value => `${value} px`);
    const wipe = button("Unmark all", () => { mask.fill(0); draw(); changed(); });
    const rgb = () => [1, 3, 5].map(at => parseInt(brush.input.value.slice(at, at + 2), 16) / 127.5 - 1);
    const isMarking = () => task.input.value === "inpaint";
    const {canvas, draw} = pad(SIDE, {
      low: LOW,
      radius: () => Number(width.input.value),
      ink: (i, amount) => {
        if (isMarking()) mask[i] = 1;
        else rgb().forEach((colour, c) => { drawing[i + c * PLANE] += amount * (colour - drawing[i + c * PLANE]); });
      },
      picture: () => isMarking()
        ? drawing.map((each, i) => mask[i % PLANE] ? 0.35 * each + 0.65 * [0.9, 0.1, -0.4][Math.floor(i / PLANE)] : each) : drawing,
      describe: () => isMarking()
        ? `The picture, ${mask.filter(Boolean).length} of ${PLANE} pixels marked to be repainted` : "The picture",
      changed,
    });
    const hint = made("p", {});
    const board = made("div", {className: "board"}, made("div", {className: "controls"}, source.row, file, brush.row, width.row),
      canvas, hint, made("div", {className: "acts"}, wipe));

    const frames = [frame(), frame(), frame()];
    const strip = made("div", {className: "strip"});
    const result = made("div", {className: "result", hidden: true},
      made("div", {className: "pair"}, ...frames.map(each => each.whole)));
    const runs = runner(files, {
      network: () => "text-to-image", message, show, hide, refresh: changed, label: ({t}) => t < 0 ? "done" : `t = ${t}`,
    });
    const last = () => runs.states().at(-1);
    const take = button("Go on with this", () => {
      drawing = last().x0[0].map(each => Math.min(Math.max(each, -1), 1));
      if (!["edit", "inpaint"].includes(task.input.value)) task.input.value = "edit";
      source.input.value = "own";
      mask.fill(0);
      draw();
      changed();
    });
    const keep = button("Keep", () => {
      const small = made("canvas", {}), address = location.href;
      paint(small, [last().x0[0]], {side: SIDE, low: LOW});
      const open = made("a", {href: address, title: one.text()}, small);
      small.setAttribute("role", "img");
      small.setAttribute("aria-label", said());
      strip.append(open);
    });
    const download = (href, ending) =>
      made("a", {href, download: `${said().replace(/\W+/g, "-").slice(0, 60)}.${ending}`}).click();
    const savePng = button("Save as PNG", () => {
      const large = made("canvas", {width: 8 * SIDE, height: 8 * SIDE}), context = large.getContext("2d");
      context.imageSmoothingEnabled = false;
      context.drawImage(frames[0].canvas, 0, 0, large.width, large.height);
      download(large.toDataURL("image/png"), "png");
    });
    const saveGif = button("Save the walk as GIF", () => {
      const large = 4 * SIDE;
      const frames = runs.states().map(({x0: [picture]}) => Array.from({length: 3 * large ** 2}, (_, i) => {
        const [channel, row, column] = [Math.floor(i / large ** 2), Math.floor(i / large) % large, i % large];
        return picture[channel * PLANE + (row >> 2) * SIDE + (column >> 2)];
      }));
      const url = URL.createObjectURL(gif(frames, large));
      download(url, "gif");
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    });
    result.append(runs.clock.row, made("div", {className: "acts"}, keep, take, savePng, saveGif), strip);
    root.replaceChildren(
      made("div", {className: "controls"}, task.row, one.row, two.row, view.row, split.row, scale.row, steps.row, forget.row, seed.row),
      board, made("div", {className: "acts"}, runs.act, runs.on, runs.link), runs.bar, runs.said, result);

    const hasTwo = () => ["anagram", "hybrid"].includes(task.input.value);
    const hasPicture = () => ["edit", "inpaint"].includes(task.input.value);
    const said = () => hasTwo() ? `${one.text()} and ${two.text()}` : one.text();

    function message() {
      const what = task.input.value, count = STEPS[steps.input.value];
      tables ??= fetch(new URL("views.bin", here)).then(found => found.arrayBuffer());  // while there is a network
      const numbers = [one, ...hasTwo() ? [two] : []].map(({style, subject}) => numberOf(style.value, subject.value));
      const own = {kind: "pictures", prompts: numbers.map(embedding), none: embedding(0), scale: Number(scale.input.value),
        steps: count, seed: Math.trunc(Number(seed.input.value))};
      if (what === "anagram") own.view = view.input.value === "negate" ? "negate" : views.indexOf(view.input.value);
      if (what === "hybrid") own.split = split.input.value;
      if (hasPicture()) own.drawing = [...drawing];
      if (what === "edit") own.iStart = startIndex(Number(forget.input.value), count);
      if (what === "inpaint") own.mask = Array.from({length: SIZE}, (_, i) => mask[i % PLANE]);
      return own;
    }
    // A picture of the reader's own is nowhere but on this page, so it isn't in the link; a mask is.
    const packed = () => {
      const runs_ = [];
      mask.forEach((each, i) => { if (each !== (i ? mask[i - 1] : 0)) runs_.push(i); });
      return runs_.map(each => each.toString(36)).join(".");
    };
    function changed() {
      if (fixed) return;
      const all = {task: task.input.value, style: one.style.value, subject: one.subject.value};
      if (hasTwo()) Object.assign(all, {style2: two.style.value, subject2: two.subject.value});
      if (all.task === "anagram") all.view = view.input.value;
      if (all.task === "hybrid") all.split = split.input.value;
      Object.assign(all, {scale: scale.input.value, steps: STEPS[steps.input.value], seed: seed.input.value});
      if (hasPicture()) all.source = source.input.value;
      if (all.task === "edit") all.start = forget.input.value;
      if (all.task === "inpaint" && mask.some(Boolean)) all.mask = packed();
      runs.changed(setting(all, START));
    }
    async function open(name) {
      if (name === "own") return;
      drawing = name === "blank" ? blank()
        : await fetch(new URL(`pictures/${name}.png`, here)).then(found => found.blob()).then(read64);
      draw();
    }
    async function read() {
      const all = asked(START, fixed ?? location.hash.slice(1));
      for (const [name, control] of Object.entries({task: task.input, style: one.style, subject: one.subject, style2: two.style,
        subject2: two.subject, view: view.input, split: split.input, source: source.input})) {
        if ([...control.options].some(option => option.value === all[name])) control.value = all[name];
      }
      for (const [name, control] of Object.entries({scale, start: forget, seed})) {
        if (Number.isFinite(Number(all[name]))) control.input.value = all[name];
      }
      steps.input.value = nearest(STEPS, all.steps);
      mask.fill(0);
      const edges = (all.mask ?? "").split(".").map(each => parseInt(each, 36)).filter(each => each >= 0 && each < PLANE);
      edges.forEach((from, k) => { if (k % 2 === 0) mask.fill(1, from, edges[k + 1] ?? PLANE); });
      for (const control of [scale, steps, forget]) control.tell();
      runs.tell();
      if (hasPicture()) await open(source.input.value);
    }
    function hide() {
      const what = task.input.value;
      two.row.hidden = !hasTwo();
      one.row.firstChild.textContent = hasTwo() ? "First" : "Words";
      if (fixed) for (const part of [task.row, one.row, two.row, scale.row, steps.row, take, keep, runs.link]) part.hidden = true;
      view.row.hidden = what !== "anagram" || Boolean(fixed);
      split.row.hidden = what !== "hybrid";
      board.hidden = !hasPicture();
      forget.row.hidden = what !== "edit";
      brush.row.hidden = what !== "edit";
      wipe.hidden = what !== "inpaint";
      file.hidden = source.input.value !== "own";
      hint.textContent = what === "inpaint" ? "Mark what is to be repainted."
        : "Draw on it with mouse or finger; by the keyboard the arrow keys move the pen, and Space puts a dot.";
    }

    // What the eye is told to see of a picture: an anagram's second view, a hybrid from afar.
    async function second(picture) {
      if (task.input.value === "anagram") {
        if (view.input.value === "negate") return negated.apply(picture);
        return moved(new Uint16Array(await tables, 2 * PLANE * views.indexOf(view.input.value), PLANE)).apply(picture);
      }
      if (task.input.value === "hybrid") return {blur: gaussianBlur(33, 2), colour: grey}[split.input.value](picture);
      return null;
    }
    async function show({x, x0, t}) {
      const other = await second(x0[0]);
      const captions = [t < 0 ? "The result" : "The clean estimate: x̂₀", "On the way: xₜ",
        task.input.value === "anagram" ? `The same, ${VIEWS[view.input.value]}` : `The same, ${SPLITS[split.input.value]}`];
      result.hidden = false;
      [x0[0], x[0], other].forEach((picture, i) => {
        frames[i].whole.hidden = !picture || (i === 1 && t < 0);
        if (!picture) return;
        paint(frames[i].canvas, [picture], {side: SIDE, low: LOW});
        frames[i].caption.textContent = captions[i];
        frames[i].canvas.setAttribute("aria-label", `${captions[i]}: ${said()}`);
        frames[i].canvas.style.width = "16rem";
      });
      for (const each of [keep, take, savePng, saveGif]) each.disabled = t >= 0;
    }

    for (const input of [one.style, one.subject, two.style, two.subject, view.input, split.input, scale.input,
      steps.input, forget.input, seed.input]) input.addEventListener("input", changed);
    for (const {input} of [task, source]) {
      input.addEventListener("input", () => { if (hasPicture()) open(source.input.value); changed(); });
    }
    file.addEventListener("change", async () => {
      if (!file.files.length) return;
      try {
        drawing = await read64(file.files[0]);
        draw();
      } catch {
        runs.said.textContent = `${file.files[0].name} can't be read as a picture.`;
      }
    });
    addEventListener("hashchange", read);
    read();
  }

  for (const root of document.querySelectorAll(".fd-lab.pictures")) install(root);
})();
