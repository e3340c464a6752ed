// One report that waits in this handset: where it is kept, and one try to send it. The page and the
// service worker share it; whoever of them tries, the request id makes it be written once.
"use strict";

const huyingSending = (() => {
  const SEND_MS = 120000; // photos over a slow network; what takes longer is tried again
  const LOCK = "huying-outbox";
  let opened = null;

  const open = () => {
    opened = opened || new Promise((resolve, reject) => {
      const asked = indexedDB.open("huying-outbox", 2);
      asked.onupgradeneeded = () => {
        const names = asked.result.objectStoreNames;
        if (!names.contains("reports")) asked.result.createObjectStore("reports", { keyPath: "id" });
        if (!names.contains("facts")) asked.result.createObjectStore("facts", { keyPath: "key" });
      };
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => {
        opened = null;
        reject(asked.error);
      };
    });
    return opened;
  };
  // Resolves when the transaction is on the disk, with what the request gave.
  const act = async (store, mode, work) => {
    const database = await open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(store, mode);
      const request = work(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error || new Error("aborted"));
    });
  };
  const all = async () => {
    const found = await act("reports", "readonly", (store) => store.getAll());
    return found.sort((a, b) => a.made - b.made);
  };
  const one = (id) => act("reports", "readonly", (store) => store.get(id));
  const put = (entry) => act("reports", "readwrite", (store) => store.put(entry));
  const remove = (id) => act("reports", "readwrite", (store) => store.delete(id));
  const facts = () => act("facts", "readonly", (store) => store.get("person"));
  const keepFacts = (found) => act("facts", "readwrite", (store) => store.put({ ...found, key: "person" }));

  // What became of one try: written, wait (try again), sign-in, other, or refused. Only an answer
  // of our own server counts: a portal that answers for it says nothing of "written".
  const attempt = async (entry) => {
    const body = new FormData();
    for (const [name, value] of entry.fields) body.append(name, value);
    body.set("request_id", entry.id);
    body.set("person", entry.person);
    body.set("waited_seconds", String(Math.max(0, Math.round((Date.now() - entry.made) / 1000))));
    for (const photo of entry.photos) body.append("photo", photo.blob, photo.name);
    const stop = new AbortController();
    const stopping = setTimeout(() => stop.abort(), SEND_MS);
    try {
      const answer = await fetch("/report", {
        method: "POST", body, credentials: "same-origin", redirect: "manual",
        headers: { Accept: "application/json" }, signal: stop.signal,
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) return { state: "sign-in" };
      const isJson = (answer.headers.get("Content-Type") || "").startsWith("application/json");
      const told = isJson ? await answer.json() : {};
      if (answer.status === 200 && told.state === "written") return told;
      if (answer.status === 409) return { state: "other" };
      if (answer.status >= 400 && answer.status < 500 && ![408, 421, 425, 429].includes(answer.status)) {
        return { state: "refused", status: answer.status, zh: told.zh, en: told.en, detail: told.detail };
      }
      return { state: "wait" };
    } catch {
      return { state: "wait" };
    } finally {
      clearTimeout(stopping);
    }
  };

  // Does the work while nobody else sends from this handset; `false` where somebody does. A browser
  // without locks does it in any case: what is sent twice is written once.
  const alone = (work) => {
    if (!navigator.locks) return work();
    return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? work() : false));
  };

  return { LOCK, all, alone, attempt, facts, keepFacts, one, put, remove };
})();
