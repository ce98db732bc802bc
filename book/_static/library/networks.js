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

  // A network that sees 2 × 2 pixels folded into channels and tells the velocity between noise and picture.
  function bindFolded(schedule, fold = 2, channels = 3) {
    const side = size => Math.sqrt(size / channels);
    const places = size => {
      const wide = side(size), narrow = wide / fold;
      return Uint16Array.from({length: size}, (_, i) => {
        const [plane, row, column] = [Math.floor(i / narrow ** 2), Math.floor(i / narrow) % narrow, i % narrow];
        const [channel, down, across] = [Math.floor(plane / fold ** 2), Math.floor(plane / fold) % fold, plane % fold];
        return channel * wide ** 2 + (fold * row + down) * wide + fold * column + across;
      });
    };
    let from = new Uint16Array();
    const known = size => from.length === size ? from : from = places(size);
    return {
      told: (x, t) => ({x: Array.from(known(x.length), place => x[place]), time: t}),
      eps: (x, t, answer) => {
        const v = new Array(x.length);
        known(x.length).forEach((place, i) => { v[place] = answer[i]; });
        return fundiff.vToEps(schedule, x, t, v);
      },
    };
  }

  Object.assign(fundiff, {bind, bindFlow, bindFolded});
})();
