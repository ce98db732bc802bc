// fundiff.schedule: a schedule is its table of alpha_bar.

globalThis.fundiff ??= {};

(() => {
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

  function cosine(steps = 1000) {
    const signal = fraction => Math.cos((fraction + 0.008) / 1.008 * Math.PI / 2) ** 2;
    let left = 1;
    return Float64Array.from({length: steps}, (_, t) =>
      left *= 1 - Math.min(1 - signal((t + 1) / steps) / signal(t / steps), 0.999));
  }

  const at = (schedule, t) => t < 0 ? 1 : schedule[t];

  function timesteps(schedule, count, start = schedule.length - 1) {
    if (count === 1) return [start];
    return Array.from({length: count}, (_, i) => {
      const exact = start * (count - 1 - i) / (count - 1), below = Math.floor(exact);
      return exact - below === 0.5 ? below + below % 2 : Math.round(exact);
    });
  }

  // At even distances in the logarithm of the signal-to-noise ratio.
  function logSnrTimesteps(schedule, count, start) {
    const places = Array.from({length: start + 1}, (_, t) => Math.log(schedule[t] / (1 - schedule[t])) / 2);
    const stops = [];
    for (let i = 0; i < count; i++) {
      const mark = places[start] + (count > 1 ? i / (count - 1) : 0) * (places[0] - places[start]);
      let t = 0;
      places.forEach((place, k) => { if (Math.abs(place - mark) < Math.abs(places[t] - mark)) t = k; });
      stops.push(Math.max(count - 1 - i, Math.min(t, i ? stops[i - 1] - 1 : start)));
    }
    return stops;
  }

  Object.assign(fundiff, {at, cosine, flow, linear, logSnrTimesteps, timesteps});
})();
