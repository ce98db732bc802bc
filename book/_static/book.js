// What pages do once they are read.

(() => {
  const ready = new Promise(resolve => document.addEventListener("DOMContentLoaded", resolve));
  const all = selector => [...document.querySelectorAll(selector)];

  function made(name, properties) {
    return Object.assign(document.createElement(name), properties);
  }

  // A page that says so plays its animation once, unless its reader wants nothing to move.
  ready.then(() => {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const player of all(".tag_plays .fd-animation")) {
      const watcher = new IntersectionObserver(entries => {
        if (!entries.some(entry => entry.isIntersecting)) return;
        watcher.disconnect();
        setTimeout(() => player.querySelector("button").click(), 600);
      }, {threshold: 0.5});
      watcher.observe(player);
    }
  });

  // One switch opens all code that is folded, on this page and on those that are read next.
  ready.then(() => {
    const folded = all(".bd-article details.hide");
    const title = document.querySelector(".bd-article h1");
    if (!folded.length || !title) return;
    const button = made("button", {type: "button", className: "code-switch"});
    let isOpen = false;
    const turn = open => {
      for (const each of folded) each.open = open;
      button.textContent = open ? "Fold the code" : "Show all code";
      isOpen = open;
    };
    button.addEventListener("click", () => {
      const open = !isOpen;
      turn(open);
      try { localStorage.setItem("code", open ? "open" : ""); } catch { /* private windows */ }
    });
    let kept = "";
    try { kept = localStorage.getItem("code"); } catch { /* private windows */ }
    turn(kept === "open");
    const line = document.querySelector(".bd-article .downloads");
    line ? line.append(" · ", button) : title.after(button);
  });

  // A picture fills the window when it is pressed; another press, or Escape, closes it.
  ready.then(() => {
    const window_ = made("dialog", {className: "enlarged"});
    window_.setAttribute("aria-label", "The picture, enlarged");
    window_.addEventListener("click", () => window_.close());
    document.body.append(window_);
    for (const picture of all(".bd-article :is(figure, .cell_output) img")) {
      if (picture.closest("a, button")) continue;
      // A chart's words shrink with it, before a picture's pixels do.
      if (picture.getAttribute("width") > (picture.src.endsWith(".svg") ? 800 : 1000)) {
        const frame = made("div", {className: "wide"});
        picture.replaceWith(frame);
        frame.append(picture);
      }
      picture.tabIndex = 0;
      picture.setAttribute("role", "button");
      picture.setAttribute("aria-description", "Press to enlarge");
      const enlarge = () => {
        const close = made("button", {type: "button", textContent: "Close", autofocus: true});
        const copy = made("img", {src: picture.currentSrc || picture.src, alt: picture.alt});
        window_.replaceChildren(made("div", {}), close);
        window_.firstChild.append(copy);
        window_.showModal();
      };
      picture.addEventListener("click", enlarge);
      picture.addEventListener("keydown", event => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        enlarge();
      });
    }
  });

  // What is wider than the page says that it scrolls, and can be scrolled by the keyboard too.
  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    const watcher = new ResizeObserver(entries => {
      for (const {target} of entries) {
        const parts = [target, ...target.querySelectorAll("mjx-container[display=true]")];
        const scrolling = parts.filter(part => part.scrollWidth > part.clientWidth + 1);
        for (const part of parts) {
          part.classList.toggle("scrolls", part === scrolling[0]);
          part.removeAttribute("tabindex");
        }
        for (const part of scrolling.slice(0, 1)) part.tabIndex = 0;
      }
    });
    for (const each of all("div.math, .bd-article .wide")) watcher.observe(each);
  });
})();
