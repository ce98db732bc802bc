// An animated GIF of pictures of equal size: planes of red, green and blue from -1 to 1.

globalThis.gif = (() => {
  const bytes16 = number => [number & 255, number >> 8];
  const level = value => Math.round(255 * Math.min(Math.max((value + 1) / 2, 0), 1));

  // A picture in 256 colours, by median cut: the box with the widest channel is halved until there are as many.
  function reduced(picture, size) {
    const codes = Array.from({length: size}, (_, i) =>
      [0, 1, 2].reduce((code, channel) => code << 8 | level(picture[i + channel * size]), 0));
    const boxOf = colours => {
      const ranges = [0, 1, 2].map(channel => {
        const values = colours.map(([, each]) => each[channel]);
        return Math.max(...values) - Math.min(...values);
      });
      const range = Math.max(...ranges);
      return {colours, range, channel: ranges.indexOf(range)};
    };
    const split = code => [code >> 16, code >> 8 & 255, code & 255];
    const boxes = [boxOf([...new Set(codes)].map(code => [code, split(code)]))];
    while (boxes.length < 256) {
      const widest = boxes.reduce((best, box, i) => box.range > boxes[best].range ? i : best, 0);
      const {colours, range, channel} = boxes[widest], half = colours.length >> 1;
      if (range === 0) break;
      colours.sort(([, a], [, b]) => a[channel] - b[channel]);
      boxes.splice(widest, 1, boxOf(colours.slice(0, half)), boxOf(colours.slice(half)));
    }
    const known = new Map(boxes.flatMap(({colours}, i) => colours.map(([code]) => [code, i])));
    const mean = ({colours}) => [0, 1, 2].map(channel =>
      Math.round(colours.reduce((sum, [, each]) => sum + each[channel], 0) / colours.length));
    const palette = [...boxes.map(mean), ...Array(256 - boxes.length).fill([0, 0, 0])];
    return {table: palette.flat(), indices: codes.map(code => known.get(code))};
  }

  // LZW with codes of 9 to 12 bits, cut into blocks.
  function packed(indices) {
    const out = [];
    let codes = new Map(), next = 258, width = 9, held = 0, count = 0, prefix = null;
    const put = code => {
      held |= code << count;
      for (count += width; count >= 8; count -= 8, held >>>= 8) out.push(held & 255);
    };
    const clear = () => { put(256); codes = new Map(); next = 258; width = 9; };
    clear();
    for (const index of indices) {
      const key = prefix === null ? null : prefix << 8 | index;
      if (prefix === null || codes.has(key)) {
        prefix = prefix === null ? index : codes.get(key);
        continue;
      }
      put(prefix);
      codes.set(key, next++);
      if (next > 1 << width) width++;
      if (next > 4095) clear();
      prefix = index;
    }
    put(prefix);
    put(257);
    if (count) out.push(held & 255);
    const blocks = [];
    for (let at = 0; at < out.length; at += 255) blocks.push(Math.min(255, out.length - at), ...out.slice(at, at + 255));
    return [8, ...blocks, 0];
  }

  // The last picture stays for two seconds.
  return (pictures, side, seconds = 0.2) => {
    const size = [...bytes16(side), ...bytes16(side)];
    return new Blob([Uint8Array.from([
      ...new TextEncoder().encode("GIF89a"), ...size, 0x70, 0, 0,
      0x21, 0xFF, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0,
      ...pictures.flatMap((picture, i) => {
        const {table, indices} = reduced(picture, side ** 2);
        const wait = Math.round(100 * (i === pictures.length - 1 ? 2 : seconds));
        return [0x21, 0xF9, 4, 0, ...bytes16(wait), 0, 0, 0x2C, 0, 0, 0, 0, ...size, 0x87, ...table, ...packed(indices)];
      }),
      0x3B,
    ])], {type: "image/gif"});
  };
})();
