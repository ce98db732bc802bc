// fundiff.views, fundiff.permutations and fundiff.filters, for pictures of three square planes.

globalThis.fundiff ??= {};

(() => {
  // A view that moves pixels is where each comes from in a plane; the library says it.
  function moved(from) {
    const size = from.length, to = new Uint16Array(size);
    from.forEach((place, i) => to[place] = i);
    const through = places => x => x.map((_, i) => x[i - i % size + places[i % size]]);
    return {apply: through(from), invert: through(to)};
  }

  const negated = {apply: x => x.map(each => -each), invert: x => x.map(each => -each)};

  function gaussianBlur(kernelSize, sigma) {
    const half = (kernelSize - 1) / 2;
    const kernel = Array.from({length: kernelSize}, (_, i) => Math.exp(-((i - half) ** 2) / (2 * sigma ** 2)));
    const whole = kernel.reduce((a, b) => a + b);
    return x => {
      const side = Math.sqrt(x.length / 3);
      const mirror = i => i < 0 ? -i : i >= side ? 2 * side - 2 - i : i;
      const along = (picture, stride) => picture.map((_, i) => {
        const place = Math.floor(i / stride) % side, start = i - place * stride;
        return kernel.reduce((all, weight, k) => all + weight * picture[start + mirror(place + k - half) * stride], 0) / whole;
      });
      return along(along(x, 1), side);
    };
  }

  function grey(x) {
    const size = x.length / 3;
    return x.map((_, i) => (x[i % size] + x[i % size + size] + x[i % size + 2 * size]) / 3);
  }

  const complement = part => x => {
    const own = part(x);
    return x.map((each, i) => each - own[i]);
  };

  Object.assign(fundiff, {complement, gaussianBlur, grey, moved, negated});
})();
