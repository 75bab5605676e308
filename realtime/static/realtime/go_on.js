// Goes on with an action by itself while its page is open, until it is done, an error stops it, or a
// request gets nowhere. Without scripts, and for those who only look on, there is the button.
"use strict";

{
  const SECONDS = 1;
  const says = document.getElementById("goes-on");
  const briefly = document.getElementById("briefly");
  let mark = null;
  let isAsking = false;
  let isStopped = false;

  // The first request need not take its time: the page that it leads to goes on.
  if (briefly) briefly.disabled = false;

  function say(text) {
    if (says.textContent === text) return;
    says.textContent = text;
    says.hidden = !text;
  }

  function stop(why) {
    isStopped = true;
    tag("stopped");
    say(`Stopped: ${why}`);
  }

  function tag(state) {
    const shown = document.querySelector(".heading .tag");
    shown.className = `tag ${state}`;
    shown.textContent = state;
  }

  async function goOn() {
    const form = document.getElementById("go-on");
    if (isAsking || isStopped) return;
    if (!form) return say("");
    if (form.dataset.mark === mark) return stop("what is left cannot be done yet.");
    mark = form.dataset.mark;
    isAsking = true;
    say("Working. It goes on by itself while this page is open.");
    tag("working");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const isPage = answer.ok && new URL(answer.url).pathname === location.pathname;
      if (!isPage) return stop("the server has not taken it. Load the page again.");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // Of live.js.
      morph(document.querySelector("[data-live]"), page.querySelector("[data-live]"));
    } catch {
      stop("the server does not answer. Load the page again once it does.");
    } finally {
      isAsking = false;
    }
  }

  if (says) {
    setInterval(goOn, SECONDS * 1000);
    goOn();
  }
}
