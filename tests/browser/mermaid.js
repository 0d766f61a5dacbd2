"use strict";
// Reads diagrams ([{name, text, shows}], JSON, from standard input) with the real Mermaid in headless Chromium, and draws
// those that must show a text.

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const packages = process.env.FINRACE_PACKAGES;
const puppeteer = require(path.join(packages, "puppeteer-core"));

(async () => {
  const diagrams = JSON.parse(readFileSync(0, "utf8"));
  const browser = await puppeteer.launch({
    executablePath: process.env.FINRACE_CHROMIUM,
    userDataDir: process.env.FINRACE_PROFILE,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"],
  });
  try {
    const page = await browser.newPage();
    const trouble = [];
    page.on("pageerror", (error) => trouble.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => {
      trouble.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("request", (request) => trouble.push(`request: ${request.url()}`));
    await page.addScriptTag({ path: path.join(packages, "mermaid/dist/mermaid.min.js") });
    const wrong = await page.evaluate(async (diagrams) => {
      // As GitHub has it: no HTML from the diagram.
      window.mermaid.initialize({ startOnLoad: false, securityLevel: "strict", suppressErrorRendering: true });
      const wrong = [];
      for (const [index, { name, text, shows }] of diagrams.entries()) {
        try {
          const { diagramType } = await window.mermaid.parse(text);
          if (diagramType !== "sequence") {
            wrong.push(`${name}: read as ${diagramType}`);
          }
          if (shows.length > 0) {
            const { svg } = await window.mermaid.render(`diagram${index}`, text);
            const drawn = new DOMParser().parseFromString(svg, "text/html");
            const words = [...drawn.querySelectorAll("text")].map((it) => it.textContent).join(" ");
            for (const wanted of shows.filter((wanted) => !words.includes(wanted))) {
              wrong.push(`${name}: does not show ${wanted}, but ${words}`);
            }
            if (drawn.querySelector("script, img, iframe")) {
              wrong.push(`${name}: holds markup of the capture`);
            }
          }
        } catch (error) {
          wrong.push(`${name}: ${error.message}\n${text}`);
        }
      }
      return wrong;
    }, diagrams);
    assert.deepEqual([...wrong, ...trouble], []);
    console.log(`${diagrams.length} diagrams read, ${diagrams.filter((it) => it.shows.length > 0).length} drawn`);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
