// Copies a snippet, and keeps a live tail fresh while its page is looked at. Everything works without: the tail has a link to refresh.
const EVERY = 1500;
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}
for (const place of document.querySelectorAll("[data-live]")) {
  let paused = false;
  const show = () => {
    const button = place.querySelector("[data-live-pause]");
    if (!button) return;
    button.hidden = false;
    button.textContent = paused ? "Go on" : "Pause";
  };
  place.addEventListener("click", (event) => {
    if (!event.target.closest("[data-live-pause]")) return;
    paused = !paused;
    show();
  });
  const ask = async () => {
    if (!paused && !document.hidden && !place.contains(document.activeElement)) {
      const answer = await fetch(place.dataset.live, { credentials: "same-origin" }).catch(() => null);
      if (answer?.ok && !answer.redirected) place.innerHTML = await answer.text();
      show();
    }
    setTimeout(ask, EVERY);
  };
  show();
  setTimeout(ask, EVERY);
}
