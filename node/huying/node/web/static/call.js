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
    let at = list?.calls?.indexOf(document.body.dataset.call) ?? -1;
    if (!bar || at < 0 || !/^\/(?!\/)/.test(list.at)) return;
    const back = bar.querySelector("[data-back]");
    if (back) {
      back.setAttribute("href", list.at);
      back.textContent = `← ${list.name}`;
    }
    if (list.calls.length < 2) return;
    const links = [[bar.querySelector("[data-walk='-1']"), "k"], [bar.querySelector("[data-walk='1']"), "j"]];
    const point = () => {
      for (const [link, key] of links) {
        const other = list.calls[at + Number(link.dataset.walk)];
        const known = /^[0-9a-f]{32}$/.test(other || "");
        link.classList.toggle("hidden", !known);
        if (known) link.href = `/calls/${other}`;
        if (known) link.dataset.key = key;
        else delete link.dataset.key;
      }
    };
    point();
    bar.querySelector("[data-walk=place]").textContent = `${at + 1} / ${list.calls.length}`;
    bar.querySelector(".walk").classList.remove("hidden");
    // Pressed again before the next page has come, a key leads one further.
    bar.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-walk]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      location.assign(link.href);
      at += Number(link.dataset.walk);
      point();
    });
    const early = window.huyingEarly || [];
    const to = at + early.filter((key) => key === "j").length - early.filter((key) => key === "k").length;
    const other = list.calls[Math.min(Math.max(to, 0), list.calls.length - 1)];
    if (to !== at && other !== document.body.dataset.call && /^[0-9a-f]{32}$/.test(other)) location.assign(`/calls/${other}`);
  };
  walk();
  window.huyingEarly = null;
  ready();
  document.getElementById("refusal")?.focus();
})();
