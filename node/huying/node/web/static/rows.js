// Rows that are loaded again keep what was ticked and chosen; a row that is new or changed flashes;
// and a call that is opened knows the list that it was opened from.
"use strict";
(() => {
  const ticked = new Set();
  let marks = null;
  let chosen = "";
  const rows = () => [...document.querySelectorAll("[data-rows] [data-row][id]")];
  const boxes = () => [...document.querySelectorAll("[data-rows] input[type=checkbox][name=call]")];

  const count = () => {
    const all = boxes();
    const now = all.filter((box) => box.checked).length;
    document.querySelectorAll("[data-ticked]").forEach((element) => {
      element.textContent = now ? String(now) : "";
    });
    document.querySelectorAll("[data-needs-tick]").forEach((button) => {
      button.disabled = !now;
    });
    const whole = document.querySelector("[data-tick-all]");
    if (whole) {
      whole.hidden = !all.length;
      whole.checked = all.length > 0 && now === all.length;
      whole.indeterminate = now > 0 && now < all.length;
    }
  };

  const remember = () => {
    marks = new Map(rows().map((row) => [row.id, row.dataset.mark]));
  };

  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-tick-all]")) {
      boxes().forEach((each) => {
        each.checked = box.checked;
        ticked[box.checked ? "add" : "delete"](each.value);
      });
    } else if (box.matches("[data-rows] input[name=call]")) {
      ticked[box.checked ? "add" : "delete"](box.value);
    } else return;
    count();
  });

  // live.js marks the row that the keys are at; it is remembered for when the rows come anew.
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.("[data-row][id]");
    if (row) chosen = row.classList.contains("chosen") ? row.id : chosen;
  });

  document.addEventListener("huying:fresh", () => {
    boxes().forEach((box) => {
      box.checked = ticked.has(box.value);
    });
    rows().forEach((row) => {
      row.classList.toggle("chosen", row.id === chosen);
      if (marks && marks.get(row.id) !== row.dataset.mark) row.classList.add("fresh");
    });
    remember();
    count();
  });

  // The list that a call is opened from, for the way back and to the next one (call.js).
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-row] a[href^='/calls/']");
    if (!link) return;
    const links = [...document.querySelectorAll("[data-row] a[href^='/calls/']")];
    const calls = [...new Set(links.map((each) => each.pathname.split("/")[2]))];
    const name = document.querySelector("h1")?.textContent.trim() || "";
    try {
      sessionStorage.setItem("huying.list", JSON.stringify({ at: location.pathname + location.search, name, calls }));
    } catch { /* the way back is then the plain one */ }
  });

  boxes().forEach((box) => box.checked && ticked.add(box.value));
  remember();
  count();
})();
