// Reports that wait in this handset until the node has them. A report is kept in IndexedDB with its
// photos under its request id, bound to the person who filled it in, and removed when the server has
// said that it is written; the id makes a report that is sent twice be written once.
"use strict";

const huyingOutbox = (() => {
  const AGAIN_MS_MIN = 5000;
  const AGAIN_MS_MAX = 300000;
  const box = document.getElementById("outbox");
  const words = box.dataset;
  const $ = (id) => document.getElementById(id);
  let me = words.person; // whose reports are sent; on the shell, who used the page last
  let timer = 0;
  let sending = ""; // the id of the report that is on its way, or "-" between two

  const { all, alone, facts, keepFacts, one, put, remove } = huyingSending;

  // --- sending -----------------------------------------------------------------------------
  const attempt = async (entry) => {
    const told = await huyingSending.attempt(entry);
    if (told.state !== "refused") return told;
    const zh = document.documentElement.lang.startsWith("zh");
    return { ...told, said: `${(zh ? told.zh : told.en) || told.status} ${told.detail || ""}`.trim() };
  };
  // Have the worker send it when the network is back, though this page may be closed by then.
  const askWorker = async () => {
    if (!("serviceWorker" in navigator) || !navigator.serviceWorker.controller) return;
    const registration = await navigator.serviceWorker.ready;
    if (registration.sync) await registration.sync.register(huyingSending.LOCK).catch(() => null);
  };

  const later = (tries) =>
    Math.min(AGAIN_MS_MAX, AGAIN_MS_MIN * 2 ** tries) * (0.8 + 0.4 * Math.random());

  // Send what waits, oldest first; `now` also what is not due, or waits for a sign-in.
  const flush = async (now) => {
    if (sending) return show();
    if (!me) return;
    sending = "-";
    clearTimeout(timer);
    try {
      await alone(() => send(now));
    } finally {
      sending = "";
      await show();
      await plan();
    }
  };
  const send = async (now) => {
    for (const entry of await all()) {
      const due = now ? entry.state !== "refused" : entry.state === "waiting" && entry.next <= Date.now();
      if (entry.person !== me || !due) continue;
      sending = entry.id;
      show();
      const told = await attempt(entry);
      sending = "-";
      if (told.state === "written") {
        await remove(entry.id);
        written(entry, told);
        continue;
      }
      entry.tries += 1;
      entry.next = Date.now() + later(entry.tries - 1);
      entry.state = told.state === "wait" ? "waiting" : told.state;
      entry.said = told.said || "";
      // Deleted by hand meanwhile: it must not come back.
      if (await one(entry.id)) await put(entry);
      // One silence is enough: the others would wait as long.
      if (told.state === "wait") await askWorker();
      if (told.state === "wait" || told.state === "sign-in" || told.state === "other") break;
    }
  };
  const plan = async () => {
    clearTimeout(timer);
    const due = (await all()).filter((e) => e.person === me && e.state === "waiting").map((e) => e.next);
    // At least a while: another tab, or the worker, may be sending just now.
    if (due.length) timer = setTimeout(() => flush(false), Math.max(2000, Math.min(...due) - Date.now()));
  };

  // --- what is shown -----------------------------------------------------------------------
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const clock = (at) => {
    const date = new Date(at);
    const two = (number) => String(number).padStart(2, "0");
    const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
    return date.toDateString() === new Date().toDateString() ? time : `${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
  };
  const stateOf = (entry, busy) => {
    if (entry.id === busy) return words.sending;
    if (entry.state === "refused") return `${words.refused}: ${entry.said}`;
    if (entry.state === "sign-in") return words.signedOut;
    if (entry.state === "other") return words.other;
    return entry.tries ? `${words.next} ${clock(entry.next)}` : "";
  };
  const row = (entry, busy) => {
    const made = element("li", "", `outbox-row ${entry.state}`);
    const field = (name) => (entry.fields.find(([key]) => key === name) || [])[1] || "";
    const category = field("category") === "other" ? field("category_other") : field("category");
    const head = element("p", "", "outbox-head");
    head.append(element("strong", entry.person === me ? category : entry.name));
    const photos = entry.photos.length ? ` · ${entry.photos.length} ${words.photos}` : "";
    head.append(element("span", ` ${words.filled} ${clock(entry.made)}${photos}`, "hint"));
    made.append(head);
    if (entry.person !== me) {
      made.append(element("p", words.other, "hint"));
      return made; // whose it is decides about it
    }
    if (field("text")) made.append(element("p", field("text"), "said-text clip"));
    const said = stateOf(entry, busy);
    if (said) made.append(element("p", said, entry.state === "refused" ? "outbox-refused" : "hint"));
    const actions = element("p", "", "actions");
    if (entry.state === "refused") {
      const again = element("button", words.retry);
      again.type = "button";
      again.onclick = async () => {
        await put({ ...entry, state: "waiting", next: 0 });
        flush(false);
      };
      actions.append(again);
      if (entry.photos.length) {
        const bare = element("button", words.withoutPhotos);
        bare.type = "button";
        bare.onclick = async () => {
          await put({ ...entry, photos: [], state: "waiting", next: 0 });
          flush(false);
        };
        actions.append(bare);
      }
    }
    const drop = element("button", words.delete, "danger small");
    drop.type = "button";
    drop.setAttribute("aria-label", `${words.delete}: ${category} ${clock(entry.made)}`);
    drop.disabled = entry.id === busy;
    drop.onclick = async () => {
      if (!window.confirm(words.sure)) return;
      await remove(entry.id);
      await show();
      $("outbox-sent").prepend(element("div", words.gone, "notice warn"));
    };
    actions.append(drop);
    made.append(actions);
    return made;
  };
  const show = async () => {
    const entries = await all();
    const busy = sending;
    const own = entries.filter((entry) => entry.person === me);
    box.hidden = !entries.length;
    const waits = own.some((entry) => entry.state === "waiting");
    const stuck = own.length > 0 && own.every((entry) => entry.state === "refused");
    const count = `${own.length} ${stuck ? words.stuck : words.count}`;
    $("outbox-count").textContent = !own.length ? words.none : waits && !busy ? `${words.waiting} · ${count}` : count;
    $("outbox-said").textContent = busy ? words.sending : own.some((e) => e.state === "sign-in") ? words.signedOut : "";
    $("outbox-send").hidden = !own.some((entry) => entry.state !== "refused");
    $("outbox-send").disabled = Boolean(busy);
    $("outbox-sign-in").hidden = !own.some((entry) => entry.state === "sign-in");
    $("outbox-list").textContent = "";
    $("outbox-list").append(...entries.map((entry) => row(entry, busy)));
  };
  const written = (entry, told) => {
    const made = element("div", "", "notice good");
    const head = element("p");
    head.append(element("strong", told.repeated ? words.again : words.written), ` ${clock(Date.now())} · `);
    const link = element("a", words.open);
    link.href = told.url;
    head.append(link);
    made.append(head);
    if (told.public) made.append(element("p", words.seen + told.public, "said-text"));
    $("outbox-sent").prepend(made);
    document.dispatchEvent(new Event("huying-written"));
  };

  // --- when it is tried --------------------------------------------------------------------
  const start = async () => {
    try {
      if (!me) {
        const found = await facts();
        me = found ? found.person : "";
      }
      await show();
    } catch {
      return; // no database in this browser: reports are sent at once, or not taken
    }
    $("outbox-send").addEventListener("click", () => flush(true));
    window.addEventListener("online", () => flush(true));
    document.addEventListener("visibilitychange", () => document.hidden || flush(true));
    if ("serviceWorker" in navigator) {
      navigator.serviceWorker.addEventListener("message", ({ data }) => {
        if (!data || data.what !== huyingSending.LOCK) return;
        written(data.entry, data.told);
        show();
      });
    }
    await flush(true);
  };
  const ready = start();
  return { put, flush, attempt, facts, keepFacts, written, show, ready };
})();
