// One call: phrases go into the answer, and whoever writes learns that the call moved on.
// Without it the page still works.
"use strict";

(() => {
  // The menu of phrases is of no use without a script, so it is hidden until here.
  const ready = () => {
    for (const pick of document.querySelectorAll("[data-phrases].hidden")) {
      pick.classList.remove("hidden");
    }
  };
  document.addEventListener("change", (event) => {
    const pick = event.target.closest?.("[data-phrases]");
    if (!pick || !event.target.value) return;
    const area = document.getElementById(pick.dataset.phrases);
    const at = area.selectionStart ?? area.value.length;
    const before = area.value.slice(0, at);
    const gap = before && !before.endsWith("\n") ? "\n" : "";
    area.setRangeText(gap + event.target.value, at, area.selectionEnd ?? at, "end");
    event.target.value = "";
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
  document.addEventListener("huying:fresh", () => {
    ready();
    const standing = document.getElementById("standing");
    const steps = document.getElementById("steps");
    const moved = document.getElementById("moved");
    if (standing && steps && moved) {
      moved.classList.toggle("hidden", standing.dataset.steps === steps.dataset.steps);
    }
  });
  ready();
  document.getElementById("refusal")?.focus();
})();
