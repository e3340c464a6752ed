// An import that is under way goes on by itself; without this, its button does.
"use strict";
document.getElementById("go-on")?.requestSubmit();
