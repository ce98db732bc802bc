// fundiff.rng: the same numbers from the same seed. These files have the library's functions under its
// names, which a test compares with them. A picture is an array of numbers, of any length.

globalThis.fundiff ??= {};

(() => {
  const WORD = (1n << 64n) - 1n;
  const [GOLDEN, MIX_1, MIX_2] = [0x9E3779B97F4A7C15n, 0xBF58476D1CE4E5B9n, 0x94D049BB133111EBn];

  function mix(x) {
    x = (x ^ (x >> 30n)) * MIX_1 & WORD;
    x = (x ^ (x >> 27n)) * MIX_2 & WORD;
    return x ^ (x >> 31n);
  }

  function crc32(text) {
    let rest = -1;
    for (const byte of new TextEncoder().encode(text)) {
      rest ^= byte;
      for (let i = 0; i < 8; i++) rest = (rest >>> 1) ^ (rest & 1 ? 0xEDB88320 : 0);
    }
    return BigInt((rest ^ -1) >>> 0);
  }

  // The bits from which a picture's numbers are made.
  function bits(size, {seed = 0, picture = 0, stream = "start", step = 0} = {}) {
    const key = mix(mix(BigInt(seed) * GOLDEN & WORD) + crc32(`${stream} ${step}`) * GOLDEN & WORD);
    const own = mix(BigInt(picture) * GOLDEN + key & WORD);
    return Array.from({length: size}, (_, i) => mix(own + BigInt(i + 1) * GOLDEN & WORD));
  }

  function noise(count, size, {first = 0, ...what} = {}) {
    const half = Math.ceil(size / 2);
    return Array.from({length: count}, (_, i) => {
      const unit = bits(2 * half, {picture: first + i, ...what}).map(each => Number(each >> 11n) * 2 ** -53);
      const radius = unit.slice(0, half).map(each => Math.sqrt(-2 * Math.log(1 - each)));
      const angle = unit.slice(half).map(each => 2 * Math.PI * each);
      return [Math.cos, Math.sin].flatMap(wave => radius.map((each, k) => each * wave(angle[k]))).slice(0, size);
    });
  }

  Object.assign(fundiff, {bits, noise});
})();
