// The key `/` goes to the search box, from wherever nobody is typing.
"use strict";

{
  const box = document.getElementById("find");
  const hint = document.querySelector(".find kbd");
  if (box) {
    hint.hidden = false;
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      box.focus();
      box.select();
    });
  }
}
