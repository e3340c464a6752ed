// One call: phrases go into the answer, whoever writes learns that the call moved on, and the list
// that it was opened from leads on to the next one.
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
    // Where somebody was writing; a text that nobody touched yet goes on at its end.
    const at = area.dataset.caret ? area.selectionStart : area.value.length;
    const to = area.dataset.caret ? area.selectionEnd : at;
    const before = area.value.slice(0, at);
    const after = area.value.slice(to);
    const gap = before && !before.endsWith("\n") ? "\n" : "";
    const rest = after && !after.startsWith("\n") ? "\n" : "";
    area.setRangeText(gap + event.target.value + rest, at, to, "end");
    event.target.value = "";
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.tagName === "TEXTAREA") event.target.dataset.caret = "1";
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
  // Back to the list that the call was opened from, as it was narrowed, and on to the next one.
  const walk = () => {
    const bar = document.getElementById("walk");
    let list = null;
    try {
      list = JSON.parse(sessionStorage.getItem("huying.list"));
    } catch { /* none */ }
    const at = list?.calls?.indexOf(document.body.dataset.call) ?? -1;
    if (!bar || at < 0 || !/^\/(?!\/)/.test(list.at)) return;
    const back = bar.querySelector("[data-back]");
    if (back) {
      back.setAttribute("href", list.at);
      back.textContent = `← ${list.name}`;
    }
    if (list.calls.length < 2) return;
    bar.querySelector("[data-walk=place]").textContent = `${at + 1} / ${list.calls.length}`;
    for (const [link, key] of [[bar.querySelector("[data-walk='-1']"), "k"], [bar.querySelector("[data-walk='1']"), "j"]]) {
      const other = list.calls[at + Number(link.dataset.walk)];
      if (!/^[0-9a-f]{32}$/.test(other || "")) {
        link.classList.add("hidden");
        continue;
      }
      link.href = `/calls/${other}`;
      link.dataset.key = key;
    }
    bar.querySelector(".walk").classList.remove("hidden");
  };
  walk();
  ready();
  document.getElementById("refusal")?.focus();
})();
