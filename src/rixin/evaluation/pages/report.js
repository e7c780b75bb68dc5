// The page as a whole: drawn at once but for the samples, drawn again when the language changes.
function drawSwitches() {
  const root = document.documentElement;
  root.lang = language === "zh" ? "zh-CN" : "en";
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const words = document.getElementById("language");
  words.textContent = say("other");
  words.lang = language === "zh" ? "en" : "zh-CN";
  words.onclick = () => {
    language = language === "zh" ? "en" : "zh";
    draw();
  };
  const theme = document.getElementById("theme");
  theme.textContent = say(dark ? "light" : "dark");
  theme.onclick = () => {
    root.dataset.theme = dark ? "light" : "dark";
    drawSwitches();
  };
}

function draw() {
  drawSwitches();
  drawTop();
  drawDecision();
  drawStandings();
  drawDifferences();
  drawScores();
  drawCost();
  drawNotes();
  drawAgain();
  document.getElementById("samples-title").textContent = say("samples");
  if (samples) {
    drawFilters();
    drawList();
  } else document.getElementById("count").textContent = say("loading");
}

draw();
narrow.addEventListener("change", () => samples && drawList());
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  document.getElementById("search")?.focus();
});
unpack().then(
  (unpacked) => {
    samples = unpacked;
    draw();
    document.documentElement.dataset.ready = "";
  },
  (error) => {
    document.getElementById("count").textContent = say("broken", { why: error.message });
  },
);
