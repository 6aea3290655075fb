// Adds an empty line to a list of variants or metrics, and submits a select that asks for it.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add-line]");
  if (!button) return;
  const list = document.getElementById(button.dataset.addLine);
  const template = document.getElementById(button.dataset.addLine + "-template");
  const index = list.querySelectorAll(".as-line").length;
  list.insertAdjacentHTML("beforeend", template.innerHTML.replaceAll("__i__", index));
  const total = document.getElementById(button.dataset.addLine + "-count");
  total.value = index + 1;
  list.lastElementChild.querySelector("input, select").focus();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit-on-change]")) event.target.form.submit();
});
