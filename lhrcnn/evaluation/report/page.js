"use strict";
// Shows the images that have an error of the chosen class and kinds, and of those errors alone.
(function () {
  const chosen = document.getElementById("class");
  const kinds = Array.from(document.querySelectorAll("input[name=kind]"));
  const cards = Array.from(document.querySelectorAll(".card"));
  const count = document.getElementById("count");
  function filter() {
    const name = chosen.value;
    const wanted = new Set(kinds.filter((box) => box.checked).map((box) => box.value));
    let shown = 0;
    for (const card of cards) {
      let some = false;
      for (const mark of card.querySelectorAll("[data-kind]")) {
        const fits = wanted.has(mark.dataset.kind) &&
          (!name || mark.dataset.class === name || mark.dataset.as === name);
        if (mark.tagName === "LI") mark.hidden = !fits;
        else mark.style.display = fits ? "" : "none";
        some = some || fits;
      }
      card.hidden = !some;
      shown += some ? 1 : 0;
    }
    count.textContent = shown + " of " + cards.length + " images";
  }
  if (!chosen) return;
  chosen.addEventListener("change", filter);
  for (const box of kinds) box.addEventListener("change", filter);
  filter();
})();
