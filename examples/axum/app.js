// Forms cannot send DELETE, and the device API answers JSON: both go through fetch here.
async function send(method, path) {
  const answer = await fetch(path, { method });
  if (answer.ok || answer.status === 401 || answer.status === 403) {
    location.reload();
  } else {
    alert("That did not work. Please try again.");
  }
}

for (const button of document.querySelectorAll("button[data-session]")) {
  button.hidden = false;
  button.addEventListener("click", () => send("DELETE", `/sessions/${button.dataset.session}`));
}

for (const form of document.querySelectorAll('form[action="/sessions/logout-all"]')) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send("POST", "/sessions/logout-all");
  });
}
