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

  const at = (schedule, t) => t < 0 ? 1 : schedule[t];

  function timesteps(schedule, count, start = schedule.length - 1) {
    if (count === 1) return [start];
    return Array.from({length: count}, (_, i) => {
      const exact = start * (count - 1 - i) / (count - 1), below = Math.floor(exact);
      return exact - below === 0.5 ? below + below % 2 : Math.round(exact);
    });
  }

  Object.assign(fundiff, {at, flow, linear, timesteps});
})();
