// fundiff.guidance and fundiff.illusions: denoisers made of denoisers. One that has no parts is a leaf,
// whatever answers it.

globalThis.fundiff ??= {};

(() => {
  // Append all that is asked in a nest, and return what makes one answer of the answers.
  function asked(denoiser, x, leaves) {
    if (!denoiser.parts) {
      const index = leaves.push([denoiser, x]) - 1;
      return (t, answers) => answers[index];
    }
    const parts = denoiser.parts(x).map(([part, seen]) => asked(part, seen, leaves));
    return (t, answers) => denoiser.mix(x, t, parts.map(part => part(t, answers)));
  }

  const guided = (cond, uncond, scale) => ({
    parts: x => [[cond, x], [uncond, x]],
    mix: (x, t, [toward, from]) => from.map((each, i) => each + scale * (toward[i] - each)),
  });

  const sum = pictures => pictures[0].map((_, i) => pictures.reduce((all, each) => all + each[i], 0));

  const anagram = (pairs, weights = pairs.map(() => 1 / pairs.length)) => ({
    parts: x => pairs.map(([denoiser, view]) => [denoiser, view.apply(x)]),
    mix: (x, t, answers) =>
      sum(answers.map((eps, k) => pairs[k][1].invert(eps).map(each => weights[k] * each))),
  });

  const factorized = pairs => ({
    parts: x => pairs.map(([denoiser]) => [denoiser, x]),
    mix: (x, t, answers) => sum(answers.map((eps, k) => pairs[k][1](eps))),
  });

  Object.assign(fundiff, {anagram, asked, factorized, guided});
})();
