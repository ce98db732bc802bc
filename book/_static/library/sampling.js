// fundiff.sampling: the one loop.

globalThis.fundiff ??= {};

(() => {
  // Each state that it yields is answered with the noise in its pictures, at once or when it is known.
  // Noise for steps and constraint is drawn by what it is for: a list, one for each picture.
  function* denoise(schedule, x, stops, {step = fundiff.ddimStep, drawn = () => [], constraint = null} = {}) {
    const kept = (pictures, s, number) => {
      if (!constraint) return pictures;
      const z = drawn("constraint", number);
      return pictures.map((each, i) => constraint(schedule, each, s, z[i]));
    };
    x = kept(x, stops[0], 0);
    let last = null;
    for (const [number, t] of stops.entries()) {
      const eps = yield {t, x};
      const s = stops[number + 1] ?? -1, x0 = x.map((each, i) => fundiff.predictX0(schedule, each, t, eps[i]));
      const z = step.draws ? drawn("step", number) : [];
      x = kept(x.map((each, i) => step(schedule, each, eps[i], t, s, z[i], last && {t: last.t, x0: last.x0[i]})),
        s, number + 1);
      last = {t, x0};
    }
    yield {t: -1, x};
  }

  function inpaint(x0, mask) {
    return (schedule, x, s, z) => {
      const kept = fundiff.addNoise(schedule, x0, s, z);
      return x.map((each, i) => mask[i] * each + (1 - mask[i]) * kept[i]);
    };
  }

  Object.assign(fundiff, {denoise, inpaint});
})();
