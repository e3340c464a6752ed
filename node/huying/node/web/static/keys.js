// Asks a security key for its answer, and sends it with the form that the button stands in.
"use strict";

(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));

  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

  const listed = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const asked = {
    create: (options) =>
      navigator.credentials.create({
        publicKey: {
          ...options,
          challenge: bytes(options.challenge),
          user: { ...options.user, id: bytes(options.user.id) },
          excludeCredentials: listed(options.excludeCredentials),
        },
      }),
    get: (options) =>
      navigator.credentials.get({
        publicKey: {
          ...options,
          challenge: bytes(options.challenge),
          allowCredentials: listed(options.allowCredentials),
        },
      }),
  };

  const answerOf = (key) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature"]) {
      if (key.response[name]) response[name] = text(key.response[name]);
    }
    return JSON.stringify({ id: key.id, rawId: text(key.rawId), type: key.type, response });
  };

  for (const button of document.querySelectorAll("[data-key]")) {
    const form = button.form;
    const said = form.querySelector("[data-key-said]");
    button.classList.remove("hidden");
    form.querySelector("[data-key-none]").remove();
    form.addEventListener("submit", (event) => {
      if (form.elements.key_answer.value) return;
      event.preventDefault(); // Enter in the name's field asks the key, too
      button.click();
    });
    button.addEventListener("click", async () => {
      if (!form.reportValidity()) return;
      said.textContent = "";
      button.disabled = true;
      try {
        const key = await asked[button.dataset.key](JSON.parse(button.dataset.keyOptions));
        form.elements.key_answer.value = answerOf(key);
        form.submit();
      } catch {
        said.textContent = button.dataset.keyFailed;
        button.disabled = false;
      }
    });
  }
})();
