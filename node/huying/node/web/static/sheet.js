// An import that is under way goes on by itself; without this, its button does.
"use strict";
document.querySelector("#go-on button[type=submit]")?.click();
