// The lab's engine, beside the page: it loads networks and walks with them, and says what it does.

import "../library/rng.js";
import "../library/schedule.js";
import "../library/process.js";
import "../library/networks.js";
import "../library/sampling.js";

const {addNoise, bind, bindFlow, ddimStep, ddpmStepLarge, denoise, flow, guided, linear, noise, predictX0,
  timesteps} = fundiff;
const SIDE = 28, SIZE = SIDE ** 2, CLASSES = 10;
const SAMPLERS = {
  ddpm: {network: "mnist-class", schedule: () => linear(300), bind, step: ddpmStepLarge},
  ddim: {network: "mnist-class", schedule: () => linear(300), bind, step: ddimStep},
  flow: {network: "mnist-flow", schedule: steps => flow(steps), bind: bindFlow, step: ddimStep},
};
const BUILDS = {
  webgpu: ["ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm.gz"],
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm.gz"],
};

const STOPPED = Symbol("stopped");

let engine = null, current = 0;
const sessions = new Map();

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
  if (head[0] !== 0x1f || head[1] !== 0x8b) return whole.arrayBuffer();
  return new Response(whole.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function start(kind, tell) {
  const [script, binary] = BUILDS[kind], folder = new URL("../onnxruntime/", import.meta.url);
  const wasm = await fetched(new URL(binary, folder), tell);
  const ort = await import(new URL(script, folder));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = "error";
  return {ort, kind};
}

async function load({network, on}, say) {
  let bytes = 0;
  const tell = more => say({kind: "progress", bytes: bytes += more});
  engine ??= await start(on, tell);
  if (!sessions.has(network)) {
    const model = await fetched(new URL(`${network}.onnx`, import.meta.url), tell);
    const options = {executionProviders: [engine.kind]};
    sessions.set(network, await engine.ort.InferenceSession.create(new Uint8Array(model), options));
  }
}

// Call a network on a batch. The inputs are lists with one entry a picture.
async function call(network, inputs) {
  const shapes = {x: [1, SIDE, SIDE], time: [], condition: [CLASSES]};
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, rows]) => [name,
    new engine.ort.Tensor("float32", Float32Array.from(rows.flat()), [rows.length, ...shapes[name]])]));
  const {out} = await sessions.get(network).run(feeds);
  return inputs.x.map((_, i) => [...out.data.subarray(i * SIZE, (i + 1) * SIZE)]);
}

const oneHot = label => Array.from({length: CLASSES}, (_, i) => Number(i === label));

// One call answers with and without the class; without one, or at scale 1, half of it is enough.
async function estimate({network, bound, labels, scale}, x, t) {
  const asks = labels.length ? (scale === 1 ? [1] : scale === 0 ? [0] : [1, 0]) : [0];
  const told = x.map(each => bound.told(each, t)), every = list => asks.flatMap(() => list);
  const answers = await call(network, {
    x: every(told.map(each => each.x)),
    time: every(told.map(each => each.time)),
    condition: asks.flatMap(is => x.map((_, i) => oneHot(is ? labels[i] : -1))),
  });
  const eps = answers.map((answer, i) => bound.eps(x[i % x.length], t, answer));
  return asks.length === 1 ? eps : x.map((_, i) => guided(eps[i], eps[i + x.length], scale));
}

// Picture number i is the digit i, so that it looks the same alone and among others.
async function walk({sampler, labels, scale, steps, seed, drawing, iStart = 0}, say, isOver) {
  const {network, bind, step, ...its} = SAMPLERS[sampler];
  const schedule = its.schedule(steps), bound = bind(schedule);
  const stops = timesteps(schedule, steps).slice(drawing ? iStart : 0);
  const numbers = labels.length ? labels : [0];
  const drawn = what => numbers.map(first => noise(1, SIZE, {seed, first, ...what})[0]);
  const start = drawing ? drawn().map(eps => addNoise(schedule, drawing, stops[0], eps)) : drawn();
  const loop = denoise(schedule, start, stops, {step, drawn: number => drawn({stream: "step", step: number})});
  let next = loop.next(), number = 0;
  for (; next.value.t >= 0; number++) {
    const {t, x} = next.value, eps = await estimate({network, bound, labels, scale}, x, t);
    say({kind: "state", number, of: stops.length, t, x, x0: x.map((each, i) => predictX0(schedule, each, t, eps[i]))});
    await new Promise(resolve => setTimeout(resolve));  // or nobody could stop it
    if (isOver()) return STOPPED;
    next = loop.next(eps);
  }
  const {t, x} = next.value;
  say({kind: "state", number, of: stops.length, t, x, x0: x});
}

async function clean({drawing, sigma, seed}, say) {
  const [eps] = noise(1, SIZE, {seed}), x = [drawing.map((each, i) => each + sigma * eps[i])];
  say({kind: "state", number: 1, of: 1, t: -1, x, x0: await call("mnist-denoiser", {x})});
}

self.addEventListener("message", async ({data: {kind, id, ...what}}) => {
  current = id;
  const say = message => postMessage({id, ...message});
  try {
    const work = {load, walk, clean}[kind];
    if (await work?.(what, say, () => current !== id) !== STOPPED) say({kind: "done", engine: engine?.kind});
  } catch (error) {
    say({kind: "failed", why: `${error.message ?? error}`});
  }
});
