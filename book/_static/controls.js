// What a page's players are made of.

globalThis.controls = (() => {
  const made = (name, properties, ...inside) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...inside);
    return element;
  };

  const row = (label, ...inside) => made("label", {}, made("span", {textContent: label}), ...inside);

  function choice(label, options, value) {
    const input = made("select", {}, ...Object.entries(options).map(([key, words]) =>
      made("option", {value: key, textContent: words})));
    input.value = value;
    return {row: row(label, input), input};
  }

  // A slider says its value in words, `said`, to the eye and to a screen reader.
  function slider(label, min, max, step, value, said) {
    const input = made("input", {type: "range", min, max, step, value}), output = made("output", {});
    const tell = () => {
      output.textContent = said(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    tell();
    input.addEventListener("input", tell);
    return {row: row(label, input, output), input, tell};
  }

  function button(words, act) {
    const button_ = made("button", {type: "button", textContent: words});
    button_.addEventListener("click", act);
    return button_;
  }

  return {button, choice, made, row, slider};
})();
