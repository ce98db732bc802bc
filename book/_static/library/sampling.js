// fundiff.sampling: the one loop.

globalThis.fundiff ??= {};

(() => {
  // Each state that it yields is answered with the noise in its pictures, at once or when it is known.
  function* denoise(schedule, x, stops, {step = fundiff.ddimStep, drawn = () => []} = {}) {
    for (const [number, t] of stops.entries()) {
      const eps = yield {t, x};
      const s = stops[number + 1] ?? -1, z = step === fundiff.ddimStep ? [] : drawn(number);
      x = x.map((each, i) => step(schedule, each, eps[i], t, s, z[i]));
    }
    yield {t: -1, x};
  }

  Object.assign(fundiff, {denoise});
})();
