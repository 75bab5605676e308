// Keeps the page up to date, and adds buttons that copy. Without scripts the page is complete, as of
// when it was loaded.
"use strict";

const SECONDS = 5;
const MOST_SECONDS = 60;
const GIVE_UP_SECONDS = 30;
// What a refresh changes on every page; a page's own part is marked with data-live. A page on which
// something is to be confirmed has none: it stays as it was read.
const EVERYWHERE = ["#verdict", "footer"];
const FORM_FIELDS = "input, textarea, select";
const TICKED = ["checkbox", "radio"];
const DISCLOSED = ["DETAILS", "DIALOG"];

// ---- Change a part of the page into what it should be, and touch nothing that is so already:
// focus, selected text, scrolled boxes, opened details and typed text stay.

function key(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  return node.id || node.getAttribute("data-key") || node.getAttribute("aria-labelledby");
}

function alike(one, other) {
  return one.nodeName === other.nodeName && key(one) === key(other);
}

function isSelected(node) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(node, true);
}

// ---- What the reader has typed or chosen.

function isChosen(field) {
  if (TICKED.includes(field.type)) return field.checked !== field.defaultChecked;
  if (field.nodeName !== "SELECT") return false;
  const first = [...field.options].findIndex((option) => option.defaultSelected);
  return field.selectedIndex !== Math.max(first, 0);
}

function isTyped(field) {
  if (field.nodeName === "SELECT" || TICKED.includes(field.type)) return false;
  return field.type !== "hidden" && field.value !== field.defaultValue;
}

function hasField(part, isSo) {
  return Boolean(part) && [...part.querySelectorAll(FORM_FIELDS)].some(isSo);
}

function drop(node) {
  // A form that is gone, and in which somebody has typed, goes with the text.
  if (node.nodeType !== Node.ELEMENT_NODE || !hasField(node, isTyped)) node.remove();
}

function morph(old, wanted) {
  if (old.isEqualNode(wanted)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    // Replacing the text would end the selection; the next refresh brings it.
    if (old.data !== wanted.data && !isSelected(old)) old.data = wanted.data;
    return;
  }
  morphAttributes(old, wanted);
  morphChildren(old, wanted);
}

function morphAttributes(old, wanted) {
  const isTheReaders = (name) =>
    (name === "open" && DISCLOSED.includes(old.nodeName)) ||
    (name === "value" && old.matches(FORM_FIELDS) && ![...TICKED, "hidden"].includes(old.type));
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && !isTheReaders(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value && !isTheReaders(name)) old.setAttribute(name, value);
  }
}

function morphChildren(old, wanted) {
  const keys = new Set([...wanted.childNodes].map(key).filter(Boolean));
  for (const child of [...old.childNodes]) {
    if (key(child) && !keys.has(key(child))) drop(child);
  }
  let next = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    let found = next;
    while (found && !alike(found, child)) found = found.nextSibling;
    if (!found) {
      old.insertBefore(document.importNode(child, true), next);
      continue;
    }
    if (found === next) next = next.nextSibling;
    else move(old, found, next);
    morph(found, child);
  }
  while (next) {
    const after = next.nextSibling;
    drop(next);
    next = after;
  }
}

function move(parent, node, before) {
  const focused = document.activeElement;
  parent.insertBefore(node, before);
  // What is moved loses the focus.
  if (node.contains(focused)) focused.focus({ preventScroll: true });
}

// ---- Refresh: every 5 seconds, less often while the server is slow or away, never in a hidden tab.

const button = document.getElementById("live");
const words = document.createElement("p");
let running = true;
let asking = false;
let timer = 0;
let failures = 0;
let trouble = "";
let lostAt = null;
let isLoggedOut = false;
let isHeld = false;
let shownAt = new Date();

try { running = localStorage.getItem("realtime-live") !== "paused"; } catch { /* no storage */ }

function clock(when) {
  return `${when.toISOString().slice(11, 19)} UTC`;
}

function told() {
  if (isLoggedOut) return "You are logged out. Load the page again to log in.";
  if (!running) return `Live updates are paused. This page is as of ${clock(shownAt)}.`;
  if (lostAt) return `${trouble} since ${clock(lostAt)}. This page is as of ${clock(shownAt)}, and tries again by itself.`;
  if (isHeld) return `Something is chosen: what it is chosen from stays as of ${clock(shownAt)}.`;
  return "";
}

function say() {
  const text = told();
  const pressed = String(running);
  // Screen readers speak when the words change, and only then are they touched.
  if (words.textContent === text && button.getAttribute("aria-pressed") === pressed) return;
  button.setAttribute("aria-pressed", pressed);
  button.classList.toggle("lost", Boolean(lostAt) || isLoggedOut);
  words.textContent = text;
  words.hidden = !text;
}

function lose(why) {
  failures += 1;
  if (trouble !== why || !lostAt) lostAt = new Date();
  trouble = why;
}

// What an answer other than the page says, in words.
function reason(status, page) {
  if (status === 403) return "You may not look at this page any more,";
  if (status === 404) return "Nothing is at this address any more,";
  // It comes with a verdict of its own; an answer of whatever stands before the site has none.
  if (status === 503 && page.getElementById("verdict")) return "The database has not answered";
  return `The server has answered with an error (${status})`;
}

function show(page, parts) {
  for (const part of parts) {
    const [old, wanted] = [document, page].map((where) => where.querySelector(part));
    if (old && wanted) morph(old, wanted);
  }
}

async function refresh() {
  clearTimeout(timer);
  if (!running || asking || isLoggedOut || document.hidden) return;
  asking = true;
  const began = performance.now();
  try {
    const response = await fetch(location.href, {
      headers: { Accept: "text/html" },
      signal: AbortSignal.timeout(GIVE_UP_SECONDS * 1000),
    });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!running) return;
    if (!response.ok) {
      show(page, ["#verdict"]);
      lose(reason(response.status, page));
      return;
    }
    // Only the pages of those who are logged in have the button.
    isLoggedOut = !page.getElementById("live");
    if (isLoggedOut) return;
    addCopyButtons(page);
    show(page, EVERYWHERE);
    isHeld = hasField(document.querySelector("[data-live]"), isChosen);
    // A search that finds one thing now leads to the page of that.
    if (!isHeld && !response.redirected) {
      show(page, ["[data-live]"]);
      shownAt = new Date();
    }
    failures = 0;
    lostAt = null;
  } catch {
    lose("The server has not answered");
  } finally {
    asking = false;
    say();
    const took = (performance.now() - began) / 1000;
    const wait = Math.min(Math.max(SECONDS * 2 ** failures, took * 10), MOST_SECONDS);
    timer = setTimeout(refresh, wait * 1000);
  }
}

if (button) {
  words.className = "live-says";
  words.setAttribute("role", "status");
  document.querySelector("header").after(words);
  words.hidden = true;
  button.hidden = false;
  button.addEventListener("click", () => {
    running = !running;
    try { localStorage.setItem("realtime-live", running ? "on" : "paused"); } catch { /* no storage */ }
    say();
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  addEventListener("online", refresh);
  say();
  timer = setTimeout(refresh, SECONDS * 1000);
}

// ---- Copy: a button after everything that is marked with data-copy, its name.

function addCopyButtons(page) {
  if (!navigator.clipboard) return;
  for (const marked of page.querySelectorAll("[data-copy]")) {
    const copy = page.createElement("button");
    copy.type = "button";
    copy.className = "copies";
    copy.textContent = "Copy";
    copy.setAttribute("aria-label", `Copy ${marked.getAttribute("data-copy")}`);
    marked.after(" ", copy);
  }
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("button.copies");
  if (!copy) return;
  let done = "Copied";
  try { await navigator.clipboard.writeText(copy.previousElementSibling.textContent); }
  catch { done = "Not copied"; }
  copy.textContent = done;
  setTimeout(() => { copy.textContent = "Copy"; }, 2000);
});

addCopyButtons(document);
