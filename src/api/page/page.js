// The page works without this: it asks before it signs anything out, keeps "2 minutes ago" true, and says once what was done.
"use strict";

const dialog = document.querySelector("dialog");
let asking;

if (dialog && dialog.showModal) {
  for (const form of document.querySelectorAll("form[data-ask]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      asking = form;
      document.getElementById("ask").textContent = form.dataset.ask;
      document.getElementById("means").textContent = form.dataset.means;
      dialog.returnValue = "";
      dialog.showModal();
    });
  }

  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "yes") {
      // The one that leads to a page which asks has been answered here.
      asking.method = "post";
      asking.submit();
    }
  });
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
let words;
try {
  words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en");
} catch {
  // No code of a language: what the server wrote does not change.
}

// By how long ago it was when the page was made: the clock of this device may be wrong. The first of these stands still
// while the device sleeps.
function refresh() {
  const since = Math.max(performance.now(), Date.now() - performance.timeOrigin);
  for (const time of document.querySelectorAll("time[data-age]")) {
    const age = Number(time.dataset.age) + since / 1000;
    const unit = UNITS.find(([, seconds]) => age >= seconds);
    if (words && unit) {
      time.textContent = words.format(-Math.floor(age / unit[1]), unit[0]);
    }
  }
}

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  time.title = moment.toLocaleString(words?.resolvedOptions().locale, {
    dateStyle: "full",
    timeStyle: "long",
  });
}

// What was done is said once: neither a reload nor a bookmark of this page says it again.
if (location.search.startsWith("?done=")) {
  history.replaceState(null, "", location.pathname);
}

// The way back leads to the list as it was left, also after a sign-out. The answer to a form is no list: to load it again
// would send the form again.
addEventListener("pageshow", (event) => {
  if (event.persisted && document.querySelector(".devices")) {
    location.reload();
  }
});

refresh();
setInterval(refresh, 15000);
