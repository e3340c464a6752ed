// On a call's page: j and k that were pressed before the page's other scripts ran are kept for
// call.js, so this one is not deferred. Just these two: no deed is done on a page not yet seen.
"use strict";

window.huyingEarly = [];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  if (event.key === "j" || event.key === "k") window.huyingEarly?.push(event.key);
});
