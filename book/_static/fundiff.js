// Diffusion in the plane of all pictures of two pixels: the library's functions under its names, which
// a test compares with them. A point is a pair of numbers, a schedule its table of alpha_bar.

(() => {
  // fundiff.rng: the same numbers from the same seed.
  const WORD = (1n << 64n) - 1n;
  const [GOLDEN, MIX_1, MIX_2] = [0x9E3779B97F4A7C15n, 0xBF58476D1CE4E5B9n, 0x94D049BB133111EBn];

  function mix(x) {
    x = (x ^ (x >> 30n)) * MIX_1 & WORD;
    x = (x ^ (x >> 27n)) * MIX_2 & WORD;
    return x ^ (x >> 31n);
  }

  function crc32(text) {
    let rest = -1;
    for (const byte of new TextEncoder().encode(text)) {
      rest ^= byte;
      for (let i = 0; i < 8; i++) rest = (rest >>> 1) ^ (rest & 1 ? 0xEDB88320 : 0);
    }
    return BigInt((rest ^ -1) >>> 0);
  }

  function noise(count, {seed = 0, first = 0, stream = "start", step = 0} = {}) {
    const key = mix(mix(BigInt(seed) * GOLDEN & WORD) + crc32(`${stream} ${step}`) * GOLDEN & WORD);
    const unit = bits => Number(bits >> 11n) * 2 ** -53;
    return Array.from({length: count}, (_, i) => {
      const picture = mix(BigInt(first + i) * GOLDEN + key & WORD);
      const radius = Math.sqrt(-2 * Math.log(1 - unit(mix(picture + GOLDEN & WORD))));
      const angle = 2 * Math.PI * unit(mix(picture + 2n * GOLDEN & WORD));
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  }

  // fundiff.schedule: the table of alpha_bar, and where to stop.
  function linear(steps = 1000, betaMin = 1e-4, betaMax = 0.02) {
    let left = 1;
    return Float64Array.from({length: steps}, (_, t) =>
      left *= 1 - betaMin - (betaMax - betaMin) * t / (steps - 1));
  }

  function flow(steps = 1000) {
    return Float64Array.from({length: steps}, (_, t) => {
      const tau = t < steps - 1 ? 1 - (t + 1) / steps : Math.min(0.0002, 0.5 / steps);
      return tau ** 2 / (tau ** 2 + (1 - tau) ** 2);
    });
  }

  const at = (schedule, t) => t < 0 ? 1 : schedule[t];

  function timesteps(schedule, count) {
    const top = schedule.length - 1;
    if (count === 1) return [top];
    return Array.from({length: count}, (_, i) => {
      const exact = top * (count - 1 - i) / (count - 1), below = Math.floor(exact);
      return exact - below === 0.5 ? below + below % 2 : Math.round(exact);
    });
  }

  // fundiff.mixtures: a mixture is {means, std}, of equal shares.
  function posterior({means, std}, schedule, [x, y], t) {
    const left = at(schedule, t), scale = Math.sqrt(left), variance = left * std ** 2 + 1 - left;
    const far = means.map(([a, b]) => (x - scale * a) ** 2 + (y - scale * b) ** 2);
    const least = Math.min(...far);
    const shares = far.map(each => Math.exp((least - each) / (2 * variance)));
    const sum = shares.reduce((a, b) => a + b, 0);
    const log = Math.log(sum / means.length / (2 * Math.PI * variance)) - least / (2 * variance);
    return {shares: shares.map(each => each / sum), scale, variance, log};
  }

  const logDensity = (mixture, schedule, point, t) => posterior(mixture, schedule, point, t).log;

  function score(mixture, schedule, [x, y], t) {
    const {shares, scale, variance} = posterior(mixture, schedule, [x, y], t);
    const mean = [0, 1].map(i => mixture.means.reduce((sum, m, k) => sum + shares[k] * m[i], 0));
    return [(scale * mean[0] - x) / variance, (scale * mean[1] - y) / variance];
  }

  function denoiser(mixture, schedule) {
    return (point, t) => {
      const sigma = Math.sqrt(1 - at(schedule, t));
      return score(mixture, schedule, point, t).map(each => -sigma * each);
    };
  }

  // fundiff.guidance and fundiff.process
  function guided(cond, uncond, scale) {
    return (point, t) => {
      const [to, from] = [cond(point, t), uncond(point, t)];
      return from.map((each, i) => each + scale * (to[i] - each));
    };
  }

  function predictX0(schedule, point, t, eps) {
    const left = at(schedule, t);
    return point.map((each, i) => (each - Math.sqrt(1 - left) * eps[i]) / Math.sqrt(left));
  }

  function ddimStep(schedule, point, eps, t, s) {
    const left = at(schedule, s), x0 = predictX0(schedule, point, t, eps);
    return x0.map((each, i) => Math.sqrt(left) * each + Math.sqrt(1 - left) * eps[i]);
  }

  function ddpmStep(schedule, point, eps, t, s, z) {
    const [now, then] = [at(schedule, t), at(schedule, s)], alpha = now / then, beta = 1 - alpha;
    const sigma = Math.sqrt(beta * (1 - then) / (1 - now));
    return predictX0(schedule, point, t, eps).map((each, i) =>
      Math.sqrt(then) * beta / (1 - now) * each
      + Math.sqrt(alpha) * (1 - then) / (1 - now) * point[i] + sigma * z[i]);
  }

  // fundiff.sampling: the states of a walk, each with all points.
  function denoise(denoiser, schedule, points, stops, {step = ddimStep, drawn = () => []} = {}) {
    const states = [{t: stops[0], points}];
    stops.forEach((t, number) => {
      const s = stops[number + 1] ?? -1, z = step === ddpmStep ? drawn(number) : [];
      points = points.map((point, i) => step(schedule, point, denoiser(point, t), t, s, z[i]));
      states.push({t: s, points});
    });
    return states;
  }

  window.fundiff = {
    noise, linear, flow, timesteps, posterior, logDensity, score, denoiser, guided, predictX0,
    ddimStep, ddpmStep, denoise,
  };
})();
