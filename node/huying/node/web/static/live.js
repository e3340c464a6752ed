// Keeps a page fresh, its drafts safe, and the keyboard useful. Without it every page still works.
"use strict";

// --- the menu of a handset is wider than the screen: where one is comes into sight ------------
(() => {
  const menu = document.querySelector("nav.menu");
  const here = menu?.querySelector("[aria-current]");
  if (here) menu.scrollLeft = here.offsetLeft - (menu.clientWidth - here.offsetWidth) / 2;
})();

// --- what stirs is loaded again -------------------------------------------------------------
// Elements with data-live="topic …" and an id are swapped for those of the page loaded anew; one
// that somebody is typing in is left alone until the next time.
(() => {
  const QUIET_MS = 250; // several changes at once are one reload
  const live = () => [...document.querySelectorAll("[data-live][id]")];
  const topicsOf = (element) => element.dataset.live.split(/\s+/).filter(Boolean);
  let source = null;
  let timer = 0;
  let stirred = new Set();

  const busy = (element) =>
    element.querySelector("form[data-typed]") !== null ||
    (element.contains(document.activeElement) &&
      /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName) &&
      !ticks(document.activeElement));
  // What is ticked in a list of rows is kept by rows.js, however often they come anew.
  const ticks = (element) => element.type === "checkbox" && element.closest("[data-rows]");
  document.addEventListener("input", (event) => {
    if (event.target.form?.method === "post" && !ticks(event.target)) event.target.form.dataset.typed = "1";
  });

  const refresh = async () => {
    const wanted = stirred;
    stirred = new Set();
    // What a form gave has no address to be loaded from again.
    if (document.body.dataset.posted !== undefined && !document.body.dataset.page) return;
    const targets = live().filter((e) => topicsOf(e).some((t) => wanted.has(t)) && !busy(e));
    if (!targets.length) return;
    let text;
    try {
      const answer = await fetch(document.body.dataset.page || location.href, { headers: { "X-Live": "1" }, credentials: "same-origin" });
      if (answer.redirected || !answer.ok) return;
      text = await answer.text();
    } catch {
      return; // the node or the network is away; the next change tries again
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const old of targets) {
      const fresh = page.getElementById(old.id);
      if (fresh && document.contains(old) && fresh.outerHTML !== old.outerHTML && !busy(old)) {
        const open = [...old.querySelectorAll("details[id][open]")].map((d) => d.id);
        const held = document.activeElement && old.contains(document.activeElement) ? document.activeElement.id : "";
        const node = document.importNode(fresh, true);
        if (old.dataset.flash !== undefined) node.classList.add("fresh");
        old.replaceWith(node);
        open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
        if (held) document.getElementById(held)?.focus({ preventScroll: true });
      }
    }
    document.dispatchEvent(new CustomEvent("huying:fresh"));
  };

  const connect = () => {
    const topics = [...new Set(live().flatMap(topicsOf))];
    if (!topics.length || !document.querySelector("details.who")) return;
    const query = new URLSearchParams(topics.map((t) => ["topic", t]));
    const call = document.body.dataset.call;
    query.set("seen", document.body.dataset.seen || "");
    if (call) query.set("call", call);
    source = new EventSource(`/live?${query}`);
    source.onmessage = (event) => {
      // The first message tells what stirred since the page was asked for, also after a cut.
      JSON.parse(event.data).topics.forEach((t) => stirred.add(t));
      if (stirred.size) {
        clearTimeout(timer);
        timer = setTimeout(refresh, QUIET_MS);
      }
    };
  };

  // A browser opens six connections to one host: a page nobody looks at gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      connect();
    }
  });
  window.addEventListener("pagehide", () => source?.close());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // from the back button: what it shows may be old
  });
  connect();
})();

// --- what is being worked on is looked at again ---------------------------------------------
// An element with data-reload-seconds="2" stands where something is counted or brought in. What
// somebody types meanwhile is not taken from them: the page waits until they are done.
(() => {
  const element = document.querySelector("[data-reload-seconds]");
  const typing = () =>
    document.querySelector("form[data-typed]") !== null ||
    /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
  const again = () =>
    setTimeout(() => (typing() ? again() : location.reload()), Number(element.dataset.reloadSeconds) * 1000);
  if (element) again();
})();

// --- drafts ----------------------------------------------------------------------------------
// A form with a draft_key is saved a moment after each change, by POST /drafts.
(() => {
  const WAIT_MS = 1200;
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    const key = form?.elements.draft_key?.value;
    if (!key) return;
    clearTimeout(form.draftTimer);
    form.draftTimer = setTimeout(async () => {
      const said = form.querySelector("[data-draft-state]");
      const data = new FormData(form);
      for (const [name, value] of [...data]) if (typeof value !== "string") data.delete(name);
      let text = said?.dataset.lost || "";
      const stop = form.draftStop = form.draftStop || new AbortController();
      try {
        const answer = await fetch("/drafts", { method: "POST", body: data, credentials: "same-origin", signal: stop.signal });
        if (answer.ok) text = said?.dataset.kept || "";
      } catch {
        if (stop.signal.aborted) return;
      }
      if (said) said.textContent = text;
    }, WAIT_MS);
  });
  // One press, one request.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    clearTimeout(form.draftTimer);
    // On a slow line it would come after the form, as a draft of what was sent.
    form.draftStop?.abort();
    delete form.draftStop;
    if (form.method !== "post" || form.dataset.sent) {
      if (form.dataset.sent) event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 8000);
  });
})();

// --- keys ------------------------------------------------------------------------------------
// j and k move along rows with data-row, Enter opens one, x ticks it, / goes to the search, ? tells
// the keys; a link or button with data-key is pressed by its own. Never while somebody types.
(() => {
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("chosen"));
    const next = all[Math.min(all.length - 1, Math.max(0, at + step))];
    all.forEach((row) => row.classList.toggle("chosen", row === next));
    next.scrollIntoView({ block: "nearest" });
    (next.querySelector("a") || next).focus({ preventScroll: true });
  };
  // What a key does, without the key itself and the badges beside it.
  const named = (element) => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("kbd, .badge, [aria-hidden]").forEach((e) => e.remove());
    return copy.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
  };
  let goes = 0; // when g was pressed: a digit that follows soon is a place in the menu
  const help = () => {
    let dialog = document.getElementById("keys");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "keys";
      const zh = document.documentElement.lang.startsWith("zh");
      const lines = [["j / k", zh ? "下一行 / 上一行" : "next / previous row"], ["Enter", zh ? "打开" : "open"], ["x", zh ? "勾选" : "tick"], ["/", zh ? "搜索" : "search"], ["?", zh ? "快捷键" : "these keys"], ["Esc", zh ? "关闭" : "close"], ["g 1…9", zh ? "菜单第几项" : "the menu, by place"]];
      if (document.querySelector("form.step-form")) lines.push(["Ctrl+Enter", zh ? "送出正在填写的一步" : "send the step being written"]);
      document.querySelectorAll("[data-key]").forEach((e) => e.dataset.key.length === 1 && lines.push([e.dataset.key, named(e)]));
      const list = document.createElement("dl");
      list.className = "facts";
      for (const [key, what] of lines) {
        const dt = document.createElement("dt");
        const kbd = document.createElement("kbd");
        kbd.textContent = key;
        dt.append(kbd);
        const dd = document.createElement("dd");
        dd.textContent = what;
        list.append(dt, dd);
      }
      const title = document.createElement("h2");
      title.textContent = zh ? "快捷键" : "Keys";
      const close = document.createElement("form");
      close.method = "dialog";
      const button = document.createElement("button");
      button.textContent = zh ? "关闭" : "Close";
      close.append(button);
      dialog.setAttribute("aria-label", title.textContent);
      dialog.append(title, list, close);
      document.body.append(dialog);
    }
    dialog.showModal();
  };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      const form = event.target.closest?.("form.step-form");
      if (!form) return;
      event.preventDefault();
      form.querySelector("button:not([name]):not([formaction])")?.click();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox") {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const chosen = document.querySelector("[data-row].chosen");
    const own = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    const menu = event.timeStamp - goes < 1500 && /^[1-9]$/.test(event.key);
    goes = event.key === "g" && !own ? event.timeStamp : 0;
    if (goes) return;
    if (menu) document.querySelectorAll("nav.menu a")[Number(event.key) - 1]?.click();
    else if (event.key === "j" && !own) move(1);
    else if (event.key === "k" && !own) move(-1);
    else if (event.key === "x" && chosen) chosen.querySelector("input[type=checkbox]")?.click();
    else if (event.key === "/") document.querySelector("[data-search]")?.focus();
    else if (event.key === "?") help();
    else if (own) {
      const details = own.closest("details");
      if (own.tagName === "SUMMARY") {
        details.open = !details.open;
        if (details.open) details.querySelector("textarea, input:not([type=hidden]), select")?.focus();
      } else own.click();
    } else return;
    event.preventDefault();
  });
})();
