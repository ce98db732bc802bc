// fundiff.mixtures: a mixture is {means, std}, of equal shares, in the plane of pictures of two pixels.

globalThis.fundiff ??= {};

(() => {
  const {at} = fundiff;

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

  Object.assign(fundiff, {denoiser, logDensity, posterior, score});
})();
