// The code is behind "#", which browsers keep to themselves.
function show() {
  const code = location.hash.slice(1).toLowerCase();
  if (!/^[a-z]{4}-[a-z]{4}-[a-z]{4}$/.test(code)) return;
  for (const place of document.querySelectorAll("[data-code]")) place.textContent = code;
}
addEventListener("hashchange", show);
show();
