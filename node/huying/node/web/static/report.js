// The report form: photos made smaller in the handset, the place, what others will see, and the way
// into the outbox. On the shell it fills the form with what the person's last visit left here.
"use strict";

(() => {
  const SIDE_PIXELS_MAX = 1600;
  const QUALITY = 0.82;
  const PREVIEW_MS = 700;
  const LOCATE_MS = 20000;
  const form = document.getElementById("report");
  const words = form.dataset;
  const $ = (id) => document.getElementById(id);
  const photosMax = Number(words.photosMax);
  const shell = !form.elements.person;
  let photos = []; // of { name, file, ready }: as it was chosen, and the promise of a smaller one
  let who = shell ? null : { person: form.elements.person.value, name: $("outbox").dataset.name };
  let busy = false;

  const drawId = () =>
    [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const problem = (text) => {
    const said = $("report-problem");
    said.textContent = text;
    said.hidden = !text;
    if (text) said.focus();
  };

  // --- photos ------------------------------------------------------------------------------
  const smaller = async (file) => {
    // A browser that does not turn pictures by their EXIF would lose which way is up.
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
      return blob || file;
    } catch {
      return file; // the node says whether it is a picture
    } finally {
      URL.revokeObjectURL(url);
    }
  };
  // Why the node would refuse a file, told while it can still be taken anew; "" where it would not.
  const unusable = async (blob) => {
    const bytes = new Uint8Array(await new Response(blob.slice(0, 16)).arrayBuffer());
    const start = String.fromCharCode(...bytes);
    if (start.startsWith("\xff\xd8\xff") || start.startsWith("\x89PNG") || /^RIFF....WEBP/s.test(start)) return "";
    return /^....ftyp(?:he|mif|msf)/s.test(start) ? words.heic : words.noPicture;
  };
  const thumb = (photo) => {
    const made = document.createElement("li");
    const image = document.createElement("img");
    image.alt = photo.name;
    photo.drop = () => {
      photos = photos.filter((one) => one !== photo);
      URL.revokeObjectURL(image.src);
      made.remove();
      counted();
    };
    const drop = document.createElement("button");
    drop.type = "button";
    drop.textContent = "✕";
    drop.setAttribute("aria-label", `${words.remove}: ${photo.name}`);
    drop.onclick = photo.drop;
    photo.ready.then(async (blob) => {
      photo.refused = await unusable(blob);
      if (!photo.refused) {
        image.src = URL.createObjectURL(blob);
        return;
      }
      photo.drop();
      problem(`${photo.name}: ${photo.refused}`);
    });
    made.append(image, drop);
    return made;
  };
  const counted = () => {
    for (const input of form.querySelectorAll(".photo-input")) input.disabled = photos.length >= photosMax;
  };
  const add = (files) => {
    for (const file of files) {
      if (photos.length >= photosMax) {
        problem(words.tooMany);
        break;
      }
      const photo = { name: file.name || "photo.jpg", file, ready: smaller(file) };
      photos.push(photo);
      $("thumbs").append(thumb(photo));
    }
    counted();
  };
  for (const input of form.querySelectorAll(".photo-input")) {
    input.addEventListener("change", () => {
      add([...input.files]);
      input.value = "";
    });
  }

  // --- the place ---------------------------------------------------------------------------
  if (navigator.geolocation && window.isSecureContext) {
    $("locate").hidden = false;
    $("locate-button").addEventListener("click", () => {
      $("located").textContent = words.locating;
      navigator.geolocation.getCurrentPosition(({ coords }) => {
        const metres = Math.min(999999, Math.round(coords.accuracy));
        const text = `${coords.latitude.toFixed(6)},${coords.longitude.toFixed(6)} ±${metres} m`;
        form.elements.coordinates.value = text;
        $("located").textContent = `${words.located} ${metres} ${words.metres}`;
      }, () => {
        $("located").textContent = words.notLocated;
      }, { enableHighAccuracy: true, timeout: LOCATE_MS, maximumAge: 60000 });
    });
  }

  // --- what others will see ----------------------------------------------------------------
  let previewing = 0;
  const preview = async () => {
    const text = form.elements.text.value.trim();
    const seen = $("seen-text");
    // Without digits there is nothing to mask, and nothing to ask.
    if (!/\d.*\d.*\d.*\d.*\d.*\d.*\d/su.test(text.normalize("NFKC"))) {
      seen.textContent = text || seen.dataset.usual;
      return;
    }
    seen.textContent = words.maskedLater;
    if (shell || navigator.onLine === false) return;
    const body = new FormData();
    body.set("text", text);
    try {
      const answer = await fetch("/report/preview", { method: "POST", body, credentials: "same-origin", redirect: "manual" });
      const told = answer.ok ? await answer.json() : {};
      if (told.public !== undefined && text === form.elements.text.value.trim()) seen.textContent = told.public;
    } catch { /* it is masked when it is sent */ }
  };
  form.elements.text.addEventListener("input", () => {
    clearTimeout(previewing);
    previewing = setTimeout(preview, PREVIEW_MS);
  });

  // --- sending -----------------------------------------------------------------------------
  const entryOf = async () => {
    const skipped = new Set(["photo", "request_id", "person", "draft_key", "draft_page"]);
    const fields = [...new FormData(form)].filter(([name, value]) => !skipped.has(name) && typeof value === "string" && value);
    const kept = [];
    for (const photo of photos) {
      // Made smaller it would have lost what is to be kept of it.
      const blob = form.elements.keep_metadata.checked ? photo.file : await photo.ready;
      const refused = await unusable(blob);
      if (refused) {
        problem(`${photo.name}: ${refused}`); // the form stays
        return null;
      }
      kept.push({ name: photo.name.replace(/\.[^.]*$/, "") + (blob.type === "image/jpeg" ? ".jpg" : ""), blob });
    }
    return {
      id: form.elements.request_id.value, person: who.person, name: who.name, made: Date.now(),
      fields, photos: kept, state: "waiting", said: "", tries: 0, next: 0,
    };
  };
  const clear = () => {
    const grid = form.elements.grid ? form.elements.grid.value : "";
    form.reset();
    for (const radio of form.querySelectorAll(".tile-radio")) radio.checked = false;
    for (const name of ["category_other", "address", "coordinates", "text", "reporter_name", "reporter_phone"]) form.elements[name].value = "";
    if (grid) form.elements.grid.value = grid;
    form.elements.request_id.value = drawId();
    for (const image of $("thumbs").querySelectorAll("img")) URL.revokeObjectURL(image.src);
    photos = [];
    $("thumbs").textContent = "";
    for (const part of form.querySelectorAll("details")) part.open = false;
    $("located").textContent = "";
    counted();
    preview();
    window.scrollTo(0, 0);
  };
  const submit = async () => {
    const entry = await entryOf();
    if (!entry) return;
    try {
      await huyingOutbox.put(entry);
    } catch {
      // No room, or no database: the one chance is that the node answers now.
      const told = await huyingOutbox.attempt(entry);
      if (told.state !== "written") {
        problem(told.said || words.full);
        return;
      }
      huyingOutbox.written(entry, told);
      clear();
      return;
    }
    if (navigator.storage && navigator.storage.persist) navigator.storage.persist();
    clear();
    await huyingOutbox.flush(true);
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation(); // the guard against a second press is our own
    if (busy || !who) return;
    busy = true;
    const button = $("report-submit");
    const said = button.textContent;
    button.disabled = true;
    if (photos.length) button.textContent = words.busy;
    problem("");
    try {
      await submit();
    } finally {
      busy = false;
      button.disabled = false;
      button.textContent = said;
    }
  });

  // --- the shell ---------------------------------------------------------------------------
  const tile = (matter, number) => {
    const made = document.importNode($("matter-template").content, true);
    const [radio, label] = made.children;
    radio.id = `k-${number}`;
    radio.value = matter.value;
    label.htmlFor = radio.id;
    label.classList.toggle("long", matter.label.length > 8);
    label.querySelector("use").setAttribute("href", `#i-${matter.icon}`);
    label.querySelector("span").textContent = matter.label;
    return made;
  };
  const place = (grids) => {
    const field = $("grid-field");
    if (!grids.length) return;
    const one = document.createElement(grids.length === 1 ? "input" : "select");
    one.name = "grid";
    if (grids.length === 1) {
      one.type = "hidden";
      one.value = grids[0].code;
      const line = document.createElement("p");
      line.className = "place-line";
      line.textContent = grids[0].name;
      field.append(line, one);
      return;
    }
    one.id = "f-grid";
    one.required = true;
    for (const grid of grids) one.append(new Option(grid.name, grid.code));
    const label = document.createElement("label");
    label.htmlFor = one.id;
    label.textContent = $("grid-field").dataset.label;
    field.append(label, one);
  };
  const fill = async () => {
    const found = await huyingOutbox.facts().catch(() => null);
    if (!found) {
      $("nobody-note").hidden = false;
      $("offline-note").hidden = true;
      return;
    }
    who = { person: found.person, name: found.name };
    form.elements.request_id.value = drawId();
    $("matter-tiles").prepend(...found.matters.map(tile));
    document.querySelector("label[for=m-other]").className = `matter span-${3 - found.matters.length % 3}`;
    place(found.grids);
    chooseGrid();
    $("whose").textContent = found.name;
    $("whose-line").hidden = false;
    $("report-submit").disabled = false;
  };
  // The node has answered: what the shell says of it is over.
  document.addEventListener("huying-written", () => {
    if (shell) $("offline-note").hidden = true;
  });
  // What the shell will need the next time.
  const remember = () => {
    const matters = [...form.querySelectorAll(".tile-radio[data-icon]")].map((radio) => ({ value: radio.value, label: radio.dataset.label, icon: radio.dataset.icon }));
    const grid = form.elements.grid;
    const options = grid && grid.options ? [...grid.options].map((o) => ({ code: o.value, name: o.textContent })) : null;
    const grids = options || (grid ? [{ code: grid.value, name: grid.dataset.name }] : []);
    return huyingOutbox.keepFacts({ ...who, matters, grids }).catch(() => null);
  };
  // The grid that was chosen last is chosen again: most people walk one.
  const lastGrid = () => `huying-grid-${who.person}`;
  const chooseGrid = () => {
    const grid = form.elements.grid;
    if (!grid || !grid.options || grid.value) return;
    try {
      const last = localStorage.getItem(lastGrid());
      if ([...grid.options].some((option) => option.value === last)) grid.value = last;
    } catch { /* this browser keeps nothing */ }
  };
  form.addEventListener("change", (event) => {
    if (event.target.name !== "grid" || !who) return;
    try {
      localStorage.setItem(lastGrid(), event.target.value);
    } catch { /* likewise */ }
  });
  form.classList.add("scripted");
  if (shell) {
    fill();
  } else {
    remember();
    chooseGrid();
  }
  if (!shell && "serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js", { scope: "/" }).catch(() => null);
})();
