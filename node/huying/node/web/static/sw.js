// The service worker of the village's console: the report page opens without a network.
// VERSION, KEPT and sending.js stand above, written by the server. Kept are the form's shell, its style, script
// and icon; no page of a person, and no answer of the node.
"use strict";

const CACHE = `huying-${VERSION}`;
const SHELL = KEPT[0];
const PAGE_MS = 8000; // a page that has not begun to come by then counts as not coming
const FILE_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(KEPT.map((path) => new Request(path, { cache: "reload", credentials: "same-origin" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("huying-") && name !== CACHE) await caches.delete(name);
    }
    await self.clients.claim();
  })());
});

// The answer of the network, or a rejection after a while.
const soon = (request, milliseconds) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error("late")), milliseconds);
  fetch(request).then(resolve, reject).finally(() => clearTimeout(timer));
});

const kept = async (path) => {
  const cache = await caches.open(CACHE);
  return (await cache.match(path)) || Response.error();
};

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    // Who signs out takes their name off the handset; reports that wait stay, bound to them.
    if (url.pathname === "/sign-out") event.waitUntil(forgetPerson());
    if (request.method !== "GET") return;
    // Another page may take its time, and is shown late rather than not.
    const answer = url.pathname === "/report" ? soon(request, PAGE_MS) : fetch(request);
    event.respondWith(answer.catch(() => kept(SHELL)));
  } else if (request.method === "GET" && url.pathname.startsWith("/static/") && KEPT.includes(url.pathname)) {
    event.respondWith(soon(request, FILE_MS).catch(() => kept(url.pathname)));
  }
});

// A report waited, and the browser says that there is a network again: the page may be closed.
self.addEventListener("sync", (event) => {
  if (event.tag === huyingSending.LOCK) event.waitUntil(sendWaiting());
});

// Rejects where something has to be tried again, so that the browser does. What wants a person (a
// sign-in, a refusal) stays as it is until somebody opens the page.
const sendWaiting = async () => {
  const sent = await huyingSending.alone(async () => {
    const facts = await huyingSending.facts();
    for (const entry of await huyingSending.all()) {
      if (!facts || entry.person !== facts.person || entry.state !== "waiting") continue;
      const told = await huyingSending.attempt(entry);
      if (told.state === "wait") return false;
      if (told.state !== "written") return true;
      await huyingSending.remove(entry.id);
      const pages = await self.clients.matchAll({ type: "window" });
      for (const page of pages) page.postMessage({ what: huyingSending.LOCK, entry, told });
    }
    return true;
  });
  if (!sent) throw new Error("a report waits");
};

const forgetPerson = () => new Promise((resolve) => {
  const opening = indexedDB.open("huying-outbox");
  opening.onerror = resolve;
  opening.onsuccess = () => {
    const database = opening.result;
    if (!database.objectStoreNames.contains("facts")) {
      database.close();
      resolve();
      return;
    }
    const done = database.transaction("facts", "readwrite");
    done.objectStore("facts").clear();
    done.oncomplete = done.onabort = () => {
      database.close();
      resolve();
    };
  };
});
