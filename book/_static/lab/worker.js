// The lab's engine, beside the page: it loads networks and walks with them, and says what it does.

import "../library/rng.js";
import "../library/schedule.js";
import "../library/process.js";
import "../library/networks.js";
import "../library/guidance.js";
import "../library/views.js";
import "../library/sampling.js";

const {addNoise, anagram, asked, bind, bindFlow, bindFolded, complement, cosine, ddimStep, ddpmStepLarge, denoise,
  dpmStep, factorized, flow, gaussianBlur, grey, guided, inpaint, linear, logSnrTimesteps, moved, negated, noise,
  predictX0, timesteps} = fundiff;

const ENGINES = {
  webgpu: ["ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm.gz"],
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm.gz"],
};
// What a network takes of one picture.
const DIGITS = {x: [1, 28, 28], time: [], condition: [10]};
const INPUTS = {
  "mnist-class": DIGITS,
  "mnist-flow": DIGITS,
  "mnist-denoiser": {x: [1, 28, 28]},
  "text-to-image": {x: [12, 32, 32], time: [], condition: [77, 384]},
};
const STOPPED = Symbol("stopped");
const product = numbers => numbers.reduce((a, b) => a * b, 1);

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

let engine = null, current = 0, stopped = null;
const sessions = new Map(), files = new Map();

// Fetch a file whole, and tell how much of it is there. What is packed is unpacked, unless the server did it.
async function fetched(url, tell) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: ${response.status} ${response.statusText}`);
  const parts = [];
  for (const reader = response.body.getReader();;) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    tell(value.length);
  }
  const whole = new Blob(parts), head = new Uint8Array(await whole.slice(0, 2).arrayBuffer());
  if (head[0] !== 0x1f || head[1] !== 0x8b) return whole;
  return new Response(whole.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
}

async function start(kind, tell) {
  const [script, binary] = ENGINES[kind], folder = new URL("../onnxruntime/", import.meta.url);
  const wasm = await fetched(new URL(binary, folder), tell);
  const ort = await import(new URL(script, folder));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await wasm.arrayBuffer();
  ort.env.logLevel = "error";
  return {ort, kind};
}

// A network comes in one or more shards, and may have other files beside it.
async function load({network, shards, beside, on}, say) {
  let bytes = 0;
  const tell = more => say({kind: "progress", bytes: bytes += more}), here = name => new URL(name, import.meta.url);
  engine ??= await start(on, tell);
  for (const name of beside) {
    if (!files.has(name)) files.set(name, await (await fetched(here(name), tell)).arrayBuffer());
  }
  if (!sessions.has(network)) {
    const parts = [];
    for (const name of shards) parts.push(await fetched(here(name), tell));
    const model = new Uint8Array(await new Blob(parts).arrayBuffer());
    const options = {executionProviders: [engine.kind]};
    sessions.set(network, await engine.ort.InferenceSession.create(model, options));
  }
}

// Call a network on a batch. The inputs are lists with one entry a picture.
async function call(network, inputs) {
  const feeds = {}, count = inputs.x.length;
  for (const [name, shape] of Object.entries(INPUTS[network])) {
    const size = product(shape), data = new Float32Array(count * size);
    inputs[name].forEach((each, i) => data.set(shape.length ? each : [each], i * size));
    feeds[name] = new engine.ort.Tensor("float32", data, [count, ...shape]);
  }
  const {out} = await sessions.get(network).run(feeds), size = out.data.length / count;
  return Array.from({length: count}, (_, i) => Array.from(out.data.subarray(i * size, (i + 1) * size)));
}

// fundiff.guidance.evaluate: one call of the network for everything that all pictures' denoisers ask.
async function evaluate({network, bound, denoisers}, x, t) {
  const leaves = [], answers = x.map((each, i) => asked(denoisers[i], each, leaves));
  const told = leaves.map(([, seen]) => bound.told(seen, t));
  const out = await call(network, {
    x: told.map(each => each.x), time: told.map(each => each.time), condition: leaves.map(([leaf]) => leaf.condition),
  });
  const eps = out.map((answer, i) => bound.eps(leaves[i][1], t, answer));
  return answers.map(answer => answer(t, eps));
}

// At 0 and at 1 one answer is enough.
const guide = (cond, uncond, scale) => scale === 1 ? cond : scale === 0 ? uncond : guided(cond, uncond, scale);

function digits({sampler, labels, scale, steps, seed, drawing, iStart = 0}) {
  const [network, schedule, bound, step] = {
    ddpm: ["mnist-class", linear(300), bind, ddpmStepLarge],
    ddim: ["mnist-class", linear(300), bind, ddimStep],
    flow: ["mnist-flow", flow(steps), bindFlow, ddimStep],
  }[sampler];
  const told = label => ({condition: Array.from({length: 10}, (_, i) => Number(i === label))}), none = told(-1);
  return {
    network, schedule, step, seed, drawing, bound: bound(schedule), size: product(DIGITS.x),
    stops: timesteps(schedule, steps).slice(drawing ? iStart : 0),
    numbers: labels.length ? labels : [0],  // so that a digit looks the same alone and among others
    denoisers: labels.length ? labels.map(label => guide(told(label), none, scale)) : [none],
  };
}

// The prompts' vectors are halves, one prompt's after another; what is missing of 77 is zeros.
function embedding([first, count]) {
  const halves = new DataView(files.get("prompts.bin"), 2 * 384 * first, 2 * 384 * count);
  const whole = new Float32Array(77 * 384);
  for (let i = 0; i < 384 * count; i++) {
    const bits = halves.getUint16(2 * i, true), power = bits >> 10 & 31, rest = bits & 1023;
    whole[i] = (bits >> 15 ? -1 : 1) * (power ? 2 ** (power - 15) * (1 + rest / 1024) : 2 ** -24 * rest);
  }
  return {condition: whole};
}

const view = name => name === "negate" ? negated :
  moved(new Uint16Array(files.get("views.bin"), 2 * 64 ** 2 * name, 64 ** 2));

function pictures({prompts, none, view: seen, split, scale, steps, seed, number = 0, drawing, mask, iStart = 0}) {
  const schedule = cosine(), stops = logSnrTimesteps(schedule, steps, 990);
  const conds = prompts.map(embedding), uncond = embedding(none);
  let denoiser = guide(conds[0], uncond, scale);
  if (seen !== undefined) {
    const views = [{apply: x => x, invert: x => x}, view(seen)];
    denoiser = anagram(views.map((each, i) => [guide(conds[i], uncond, scale), each]));
  } else if (split) {
    const far = {blur: gaussianBlur(33, 2), colour: grey}[split];
    denoiser = guide(factorized([[conds[0], far], [conds[1], complement(far)]]), uncond, scale);
  }
  return {
    network: "text-to-image", schedule, step: dpmStep, seed, bound: bindFolded(schedule), size: 3 * 64 ** 2,
    drawing: mask ? undefined : drawing, constraint: mask ? inpaint(drawing, mask) : null,
    stops: stops.slice(drawing && !mask ? iStart : 0), numbers: [number], denoisers: [denoiser],
  };
}

async function walk(plan, say, isOver) {
  const {schedule, stops, step, constraint, drawing, numbers, seed, size} = plan;
  const drawn = (stream, number) => numbers.map(first => noise(1, size, {seed, first, stream, step: number})[0]);
  const eps = drawn("start", 0), start = drawing ? eps.map(each => addNoise(schedule, drawing, stops[0], each)) : eps;
  const loop = denoise(schedule, start, stops, {step, drawn, constraint});
  return goOn({plan, loop, next: loop.next(), number: 0}, say, isOver);
}

// A walk that is stopped is kept, so that it can be gone on with.
async function goOn(walk, say, isOver) {
  const {plan, loop} = walk, {schedule, stops} = plan;
  stopped = null;
  while (walk.next.value.t >= 0) {
    const {t, x} = walk.next.value, eps = await evaluate(plan, x, t);
    const x0 = x.map((each, i) => predictX0(schedule, each, t, eps[i]));
    walk.said = {kind: "state", number: walk.number, of: stops.length, t, x, x0};
    say(walk.said);
    walk.next = loop.next(eps);
    walk.number++;
    await pause();  // or nobody could stop it
    if (isOver()) {
      stopped = walk;
      return STOPPED;
    }
  }
  const {t, x} = walk.next.value;
  say({kind: "state", number: walk.number, of: stops.length, t, x, x0: x});
}

// Who stops a walk may not have heard of its last step.
async function resume({from}, say, isOver) {
  while (!stopped) await pause(20);
  if (stopped.said.number === from) say(stopped.said);
  return goOn(stopped, say, isOver);
}

async function clean({drawing, sigma, seed}, say) {
  const [eps] = noise(1, drawing.length, {seed}), x = [drawing.map((each, i) => each + sigma * eps[i])];
  say({kind: "state", number: 1, of: 1, t: -1, x, x0: await call("mnist-denoiser", {x})});
}

const WORK = {
  load, clean, resume,
  digits: (what, ...others) => walk(digits(what), ...others),
  pictures: (what, ...others) => walk(pictures(what), ...others),
};

self.addEventListener("message", async ({data: {kind, id, ...what}}) => {
  current = id;
  const say = message => postMessage({id, ...message});
  try {
    if (await WORK[kind]?.(what, say, () => current !== id) !== STOPPED) say({kind: "done", engine: engine?.kind});
  } catch (error) {
    say({kind: "failed", why: `${error.message ?? error}`});
  }
});
