// Before anything is painted: the remembered look, else the system's. A classic script in its own file, since the CSP
// allows no inline ones. The keys are those of src/lib/preferences.ts.
(() => {
  let look = null;
  try {
    look = localStorage.getItem("rixin.look");
  } catch {
    // storage is off: the system decides
  }
  const dark = look === "dark" || (look !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
