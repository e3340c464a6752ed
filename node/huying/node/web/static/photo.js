// Photos made smaller before they are sent, and shown as they were chosen. Without this script the
// files go as they are, and the server makes them smaller: nothing here is needed.
(() => {
  "use strict";
  const SIDE_PIXELS_MAX = 1920;
  const QUALITY = 0.85;
  const KEPT_BYTES = 400 * 1024; // what is this small already is sent as it is

  const smaller = async (file) => {
    // A browser that does not turn pictures by their EXIF would lose which way is up.
    if (!file.type.startsWith("image/") || file.size <= KEPT_BYTES) return file;
    if (!CSS.supports("image-orientation", "from-image")) return file;
    const url = URL.createObjectURL(file);
    try {
      const image = new Image();
      image.src = url;
      await image.decode();
      const scale = Math.min(1, SIDE_PIXELS_MAX / Math.max(image.naturalWidth, image.naturalHeight));
      const canvas = document.createElement("canvas");
      canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
      canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
      const pen = canvas.getContext("2d");
      pen.fillStyle = "#fff"; // a JPEG knows no transparency
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(image, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
      if (!blob || blob.size >= file.size) return file;
      return new File([blob], file.name.replace(/\.[^.]*$/, "") + ".jpg", { type: "image/jpeg" });
    } catch {
      return file; // the server says whether it is a picture
    } finally {
      URL.revokeObjectURL(url);
    }
  };

  // What some handsets make, and the server can't read: said now, while it can be taken anew.
  const isHeic = async (file) => {
    const bytes = new Uint8Array(await new Response(file.slice(0, 12)).arrayBuffer());
    return /^....ftyp(?:he|mif|msf)/s.test(String.fromCharCode(...bytes));
  };

  const kilobytes = (bytes) => `${Math.max(1, Math.round(bytes / 1024))} KB`;

  const show = (list, files) => {
    for (const old of list.querySelectorAll("img")) URL.revokeObjectURL(old.src);
    list.textContent = "";
    list.append(
      ...files.map((file) => {
        const item = document.createElement("li");
        if (file.type.startsWith("image/")) {
          const image = document.createElement("img");
          image.src = URL.createObjectURL(file);
          image.alt = file.name;
          item.append(image);
        } else {
          item.append(file.name);
        }
        return item;
      }),
    );
  };

  const enhance = (input) => {
    const field = input.closest(".photo-field");
    if (!field || input.dataset.ready) return;
    input.dataset.ready = "1";
    const most = Number(input.dataset.most) || 1;
    const said = field.querySelector(".photo-said");
    const list = field.querySelector(".photo-thumbs");
    const keep = field.querySelector('input[name="keep_metadata"]');
    let chosen = [];
    let turn = 0;
    const fit = async () => {
      const mine = ++turn;
      const refused = await Promise.all(chosen.map(isHeic));
      const taken = chosen.filter((_, place) => !refused[place]);
      const kept = await Promise.all(taken.slice(0, most).map(keep && keep.checked ? (file) => file : smaller));
      if (mine !== turn) return; // chosen anew meanwhile
      const files = new DataTransfer();
      for (const file of kept) files.items.add(file);
      input.files = files.files; // tells no `change`
      show(list, kept);
      const bytes = kept.reduce((sum, file) => sum + file.size, 0);
      const count = kept.length ? `${input.dataset.chosen} ${kept.length} · ${kilobytes(bytes)}` : "";
      const wrong = taken.length < chosen.length ? input.dataset.heic : taken.length > most ? input.dataset.tooMany : "";
      said.textContent = [wrong, count].filter(Boolean).join(" ");
    };
    input.addEventListener("change", () => {
      chosen = [...input.files];
      fit();
    });
    // Made smaller a photo loses what the box would keep: ticked, the files go as they were chosen.
    if (keep) keep.addEventListener("change", () => chosen.length && fit());
  };

  const enhanceAll = (root) => root.querySelectorAll("input[data-photo]").forEach(enhance);
  enhanceAll(document);
  // A part of the page that was fetched anew brings inputs of its own.
  new MutationObserver((changes) => {
    for (const change of changes)
      for (const node of change.addedNodes) if (node instanceof Element) enhanceAll(node.parentNode || node);
  }).observe(document.body, { childList: true, subtree: true });
})();
