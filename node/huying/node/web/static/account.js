// A password may be looked at while it is typed, and slips are printed. Without this all works.
"use strict";

(() => {
  const english = document.documentElement.lang === "en";
  for (const field of document.querySelectorAll("[data-secret]")) {
    const input = field.querySelector("input");
    const row = document.createElement("div");
    row.className = "secret-row";
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-controls", input.id);
    const say = () => {
      const shown = input.type === "text";
      button.textContent = english ? (shown ? "Hide" : "Show") : shown ? "隐藏" : "显示";
      button.setAttribute("aria-pressed", String(shown));
    };
    button.addEventListener("click", () => {
      input.type = input.type === "text" ? "password" : "text";
      say();
      input.focus();
    });
    // Sent, it is hidden again: what is typed to be looked at must not be remembered as text.
    input.form?.addEventListener("submit", () => {
      input.type = "password";
    });
    say();
    input.replaceWith(row);
    row.append(input, button);
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.classList.remove("hidden");
    button.addEventListener("click", () => window.print());
  }
  document.getElementById("refusal")?.focus();
})();
