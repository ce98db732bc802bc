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
