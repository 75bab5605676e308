// Refreshes the page every 5 seconds until it is paused. Without scripts the page is complete, as of
// when it was loaded.
"use strict";

const SECONDS = 5;
const button = document.getElementById("live");
let running = true;
let fetching = false;

try { running = localStorage.getItem("realtime-live") !== "paused"; } catch { /* no storage */ }

function show() {
  button.setAttribute("aria-pressed", String(running));
  button.hidden = false;
}

function identity(element) {
  return element && element.getAttribute("href");
}

async function refresh() {
  if (!running || fetching || document.hidden) return;
  fetching = true;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    // After a logout the answer is the login page: show that, not old figures.
    if (response.redirected) return location.reload();
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector("[data-live]");
    const old = document.querySelector("[data-live]");
    const footer = page.querySelector("footer");
    if (!fresh || !running) return;
    const focused = old.contains(document.activeElement) ? identity(document.activeElement) : null;
    old.replaceWith(document.adoptNode(fresh));
    if (footer) document.querySelector("footer").replaceWith(document.adoptNode(footer));
    if (focused) {
      const again = [...document.querySelectorAll("[data-live] a")]
        .find((element) => identity(element) === focused);
      if (again) again.focus({ preventScroll: true });
    }
    button.classList.remove("lost");
  } catch {
    button.classList.add("lost");
  } finally {
    fetching = false;
  }
}

button.addEventListener("click", () => {
  running = !running;
  try { localStorage.setItem("realtime-live", running ? "on" : "paused"); } catch { /* no storage */ }
  show();
  refresh();
});
document.addEventListener("visibilitychange", refresh);
show();
setInterval(refresh, SECONDS * 1000);
