// fundiff.networks: what a network is told at a timestep, and how its answer becomes noise.

globalThis.fundiff ??= {};

(() => {
  const {at} = fundiff;

  const bind = schedule => ({
    told: (x, t) => ({x, time: (t + 1) / schedule.length}),
    eps: (x, t, answer) => answer,
  });

  // The network of flow matching tells the velocity on a straight line from noise to picture.
  function bindFlow(schedule) {
    const line = (x, t) => {
      const [picture, noise] = [Math.sqrt(at(schedule, t)), Math.sqrt(1 - at(schedule, t))];
      return {x: x.map(each => each / (picture + noise)), time: picture / (picture + noise)};
    };
    return {
      told: line,
      eps: (x, t, answer) => {
        const {x: point, time: tau} = line(x, t);
        return point.map((each, i) => each - tau * answer[i]);
      },
    };
  }

  Object.assign(fundiff, {bind, bindFlow});
})();
