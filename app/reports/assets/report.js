"use strict";
// Draws each figure as the page is read, anew when the system changes between light and dark.
(function () {
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const config = { displaylogo: false, responsive: true, scrollZoom: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d"], showSendToCloud: false };
  function changed(drawing, changes) {
    for (const [path, value] of changes) {
      let at = drawing;
      for (const step of path.slice(0, -1)) { at = at[step]; }
      at[path[path.length - 1]] = value;
    }
    return drawing;
  }
  function draw(place) {
    const held = document.getElementById("data-" + place.id).textContent;
    const drawing = JSON.parse(held);
    if (scheme.matches) { changed(drawing, drawing.dark); }
    Plotly.react(place, drawing.data, drawing.layout, config);
  }
  function all() { document.querySelectorAll(".drawing").forEach(draw); }
  scheme.addEventListener("change", all);
  all();
})();
