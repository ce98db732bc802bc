// fundiff.process and fundiff.solvers: formulas on one picture.

globalThis.fundiff ??= {};

(() => {
  const {at} = fundiff;

  function addNoise(schedule, x0, t, eps) {
    const left = at(schedule, t);
    return x0.map((each, i) => Math.sqrt(left) * each + Math.sqrt(1 - left) * eps[i]);
  }

  function predictX0(schedule, x, t, eps) {
    const left = at(schedule, t);
    return x.map((each, i) => (each - Math.sqrt(1 - left) * eps[i]) / Math.sqrt(left));
  }

  const vToEps = (schedule, x, t, v) => {
    const left = at(schedule, t);
    return x.map((each, i) => Math.sqrt(left) * v[i] + Math.sqrt(1 - left) * each);
  };

  // A step goes from t to s. Of the step before it knows {t, x0}, and z is fresh noise, if it draws.
  const ddimStep = (schedule, x, eps, t, s) => addNoise(schedule, predictX0(schedule, x, t, eps), s, eps);

  // The variance is the posterior's, or with `largeVariance` that of the step towards noise.
  const ddpm = ({largeVariance}) => Object.assign((schedule, x, eps, t, s, z) => {
    const [now, then] = [at(schedule, t), at(schedule, s)], alpha = now / then, beta = 1 - alpha;
    const sigma = s < 0 ? 0 : Math.sqrt(largeVariance ? beta : beta * (1 - then) / (1 - now));
    return predictX0(schedule, x, t, eps).map((each, i) =>
      Math.sqrt(then) * beta / (1 - now) * each
      + Math.sqrt(alpha) * (1 - then) / (1 - now) * x[i] + sigma * z[i]);
  }, {draws: true});
  const ddpmStep = ddpm({largeVariance: false}), ddpmStepLarge = ddpm({largeVariance: true});

  const logSnr = (schedule, t) => Math.log(at(schedule, t) / (1 - at(schedule, t))) / 2;

  function dpmStep(schedule, x, eps, t, s, z, last) {
    const h = logSnr(schedule, s) - logSnr(schedule, t), x0 = predictX0(schedule, x, t, eps);
    const ahead = last && s >= 0 ? h / (logSnr(schedule, t) - logSnr(schedule, last.t)) / 2 : 0;
    const kept = Math.sqrt((1 - at(schedule, s)) / (1 - at(schedule, t)));
    const gone = -Math.expm1(-h) * Math.sqrt(at(schedule, s));
    return x0.map((each, i) => kept * x[i] + gone * (each + (last ? ahead * (each - last.x0[i]) : 0)));
  }

  Object.assign(fundiff, {addNoise, ddimStep, ddpmStep, ddpmStepLarge, dpmStep, logSnr, predictX0, vToEps});
})();
