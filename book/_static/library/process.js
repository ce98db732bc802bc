// fundiff.process and fundiff.guidance: formulas on one picture.

globalThis.fundiff ??= {};

(() => {
  const {at} = fundiff;

  const guided = (cond, uncond, scale) => uncond.map((each, i) => each + scale * (cond[i] - each));

  function addNoise(schedule, x0, t, eps) {
    const left = at(schedule, t);
    return x0.map((each, i) => Math.sqrt(left) * each + Math.sqrt(1 - left) * eps[i]);
  }

  function predictX0(schedule, x, t, eps) {
    const left = at(schedule, t);
    return x.map((each, i) => (each - Math.sqrt(1 - left) * eps[i]) / Math.sqrt(left));
  }

  const ddimStep = (schedule, x, eps, t, s) => addNoise(schedule, predictX0(schedule, x, t, eps), s, eps);

  // The variance is the posterior's, or with `largeVariance` that of the step towards noise.
  const ddpm = ({largeVariance}) => (schedule, x, eps, t, s, z) => {
    const [now, then] = [at(schedule, t), at(schedule, s)], alpha = now / then, beta = 1 - alpha;
    const sigma = s < 0 ? 0 : Math.sqrt(largeVariance ? beta : beta * (1 - then) / (1 - now));
    return predictX0(schedule, x, t, eps).map((each, i) =>
      Math.sqrt(then) * beta / (1 - now) * each
      + Math.sqrt(alpha) * (1 - then) / (1 - now) * x[i] + sigma * z[i]);
  };
  const ddpmStep = ddpm({largeVariance: false}), ddpmStepLarge = ddpm({largeVariance: true});

  Object.assign(fundiff, {addNoise, ddimStep, ddpmStep, ddpmStepLarge, guided, predictX0});
})();
