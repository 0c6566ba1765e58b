// Shows at once why the session ended. Without JavaScript the next page says it.
const main = document.querySelector("main[data-events]");
if (main) {
  const events = new EventSource(main.dataset.events);
  events.addEventListener("session-ended", (event) => {
    events.close();
    const message = document.createElement("p");
    message.setAttribute("role", "alert");
    message.textContent = event.data;
    const link = document.createElement("a");
    link.href = "/";
    link.textContent = "Sign in again";
    // The page has nothing of the user any more.
    main.replaceChildren(main.querySelector("h1"), message, link);
  });
}
