// What pages do once they are read.

// A page that says so plays its animation once, unless its reader wants nothing to move.
document.addEventListener("DOMContentLoaded", () => {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const player of document.querySelectorAll(".tag_plays .fd-animation")) {
    const watcher = new IntersectionObserver(entries => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      watcher.disconnect();
      setTimeout(() => player.querySelector("button").click(), 600);
    }, {threshold: 0.5});
    watcher.observe(player);
  }
});

// Formulas that are wider than the page can be scrolled by the keyboard too.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const reach = () => {
    for (const formula of document.querySelectorAll("mjx-container[display=true]")) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    }
  };
  reach();
  addEventListener("resize", reach);
});
