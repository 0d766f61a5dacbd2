"use strict";
// Opens pages of finrace in headless Chromium and uses them: node drive.js PART PAGE...
// Nothing here waits for a time: each step waits until the page shows what it must show.

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const puppeteer = require(path.join(process.env.FINRACE_PACKAGES, "puppeteer-core"));

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A container's /dev/shm is small.
  "--disable-dev-shm-usage",
];

// What must never happen on any page: an error, a word on the console, a request for anything but the page itself.
const watch = (page, url, trouble) => {
  page.on("console", (message) => trouble.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => trouble.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    trouble.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (request.url().split("#")[0] !== url) {
      trouble.push(`request: ${request.url()}`);
    }
  });
};

const open = async (browser, file, trouble, prepare = async () => {}) => {
  const page = await browser.newPage();
  const url = pathToFileURL(file).href;
  watch(page, url, trouble);
  await page.setViewport({ width: 1100, height: 900 });
  await page.evaluateOnNewDocument(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  await prepare(page);
  await page.goto(url);
  return page;
};
const ready = (page) => page.waitForSelector("html[data-ready]");

const texts = (page, selector) => page.$$eval(selector, (found) => found.map((it) => it.textContent.trim()));
const column = (page, number) => texts(page, `#table tr.row > td:nth-child(${number})`);
const until = (page, test, ...args) => page.waitForFunction(test, { polling: "mutation" }, ...args);
const focused = (page) => page.evaluate(() => document.activeElement.textContent);
const rowsAre = (page, number) =>
  until(page, (wanted) => document.querySelectorAll("#table tr.row").length === wanted, number);

const parts = {};

parts.incidents = async (browser, [file], trouble) => {
  const page = await open(browser, file, trouble);
  await ready(page);
  const all = await column(page, 5);
  assert.deepEqual([...all].sort(), ["crossed-fin", "crossed-fin", "died-mid-request", "stale-reuse"]);
  assert.match(await page.$eval("#shown", (it) => it.textContent), /^4 incidents/);

  // Filter, and back.
  await page.select("#cause", "stale-reuse");
  await rowsAre(page, 1);
  assert.deepEqual(await column(page, 5), ["stale-reuse"]);
  assert.match(await page.$eval("#shown", (it) => it.textContent), /^1 of 4 incidents/);
  await page.select("#cause", "race");
  await rowsAre(page, 2);
  await page.select("#cause", "");
  await rowsAre(page, 4);

  // Search, from the keyboard, over what the row shows and the stream.
  await page.keyboard.press("/");
  await page.keyboard.type("STALE");
  await rowsAre(page, 1);
  await page.$eval("#search", (it) => it.select());
  await page.keyboard.type("stream 0");
  await rowsAre(page, 4);
  await page.$eval("#search", (it) => it.select());
  await page.keyboard.type("no such thing");
  await rowsAre(page, 0);
  await page.$eval("#search", (it) => it.select());
  await page.keyboard.press("Backspace");
  await rowsAre(page, 4);

  // Sort by cause, down and up; idle times by their length, not their letters.
  const head = async (name) => {
    await page.click(`#table [data-sort=${name}] button`);
    return page.$eval(`#table [data-sort=${name}]`, (it) => it.ariaSort);
  };
  assert.equal(await head("cause"), "ascending");
  assert.deepEqual(await column(page, 5), [...all].sort());
  assert.equal(await head("cause"), "descending");
  assert.deepEqual(await column(page, 5), [...all].sort().reverse());
  assert.equal(await head("idle"), "ascending");
  const idle = (await column(page, 6)).map((text) => parseFloat(text));
  assert.deepEqual(idle, [...idle].sort((a, b) => a - b));
  await head("id");

  // Open an incident with a click: its packets, its ladder, its filter.
  const first = "tr.detail[data-ready]";
  await page.click("#incident-1");
  await page.waitForSelector(`${first} svg`);
  assert.equal(await page.$eval("#incident-1 button", (it) => it.ariaExpanded), "true");
  const rows = await page.$$(`${first} .packets tbody tr`);
  assert.ok(rows.length > 6);
  assert.ok((await texts(page, `${first} code`)).includes("tcp.stream eq 0"));

  // Pointing at a packet shows its arrow, and pointing at the arrow shows the packet.
  const hot = (selector) => page.$$eval(`${first} ${selector}.hot`, (found) => found.map((it) => it.dataset.segment));
  await rows[6].hover();
  await until(page, () => document.querySelector("tr.detail g.hot"));
  assert.deepEqual(await hot("g"), ["6"]);
  assert.deepEqual(await hot("tr"), ["6"]);
  await (await page.$(`${first} svg text[data-segment="7"]`)).hover();
  await until(page, () => document.querySelector('tr.detail tr.hot[data-segment="7"]'));
  assert.deepEqual(await hot("g"), ["7"]);

  // The keyboard alone: the row is one stop, arrows move, Enter opens, the packets are one stop more, Escape goes back.
  await page.focus("#incident-1 button");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(page), "2");
  assert.equal(await page.$$eval("#table button.open[tabindex='0']", (found) => found.length), 1);
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelectorAll("tr.detail[data-ready] svg").length === 2);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.closest(".packets") !== null), true);
  await page.keyboard.press("End");
  const last = await page.evaluate(() => document.activeElement.dataset.segment);
  await until(page, (segment) => document.querySelector(`tr.detail g.hot[data-segment="${segment}"]`), last);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "focus can be seen");
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "2");
  assert.equal(await page.$$eval("tr.detail", (found) => found.length), 1);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  assert.equal(await page.$$eval("tr.detail", (found) => found.length), 0);

  // A link from the explanations leads to its incident and opens it.
  const link = await page.$('.cause a[href="#incident-1"]');
  await link.click();
  await page.waitForSelector(`#incident-1.opened + ${first} svg`);
  assert.equal(await focused(page), "1");

  // Copying a filter.
  await browser.defaultBrowserContext().setPermission(pathToFileURL(file).origin, {
    permission: { name: "clipboard-write" },
    state: "granted",
  }).catch(() => {});
  await page.click(`${first} .filters .copy`);
  await until(page, () => /^(Copied|Selected)/.test(document.querySelector("tr.detail .filters .copy").textContent));

  // Alike incidents together: both crossings are of different paths and stay apart, and one row stands for what is alike.
  await page.click("#alike");
  assert.match(await page.$eval("#shown", (it) => it.textContent), /^4 incidents/);
};

parts.colours = async (browser, [file], trouble) => {
  const page = await open(browser, file, trouble);
  await ready(page);
  const colour = (selector, property) =>
    page.$eval(selector, (it, name) => getComputedStyle(it)[name], property);
  const paper = () => Promise.all([colour("body", "backgroundColor"), colour("svg .page", "fill")]);
  const light = ["rgb(255, 255, 255)", "rgb(255, 255, 255)"];
  const dark = ["rgb(15, 20, 27)", "rgb(15, 20, 27)"];
  const prefer = (value) => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
  await prefer("light");
  assert.deepEqual(await paper(), light);
  await prefer("dark");
  assert.deepEqual(await paper(), dark);
  await page.select("#theme", "light");
  assert.deepEqual(await paper(), light);
  await prefer("light");
  await page.select("#theme", "dark");
  assert.deepEqual(await paper(), dark);

  // Paper is light whatever the screen is, tools are not printed, and what is folded is open.
  await page.emulateMediaType("print");
  assert.deepEqual(await paper(), light);
  for (const selector of ["#find", "#print", ".copy", "#pages"]) {
    assert.equal(await colour(selector, "display"), "none", selector);
  }
  await page.emulateMediaType(undefined);
  const printed = await page.evaluate(() => new Promise((resolve) => {
    window.print = () => {
      dispatchEvent(new Event("beforeprint"));
      resolve({
        incidents: document.querySelectorAll("tr.row").length,
        ladders: document.querySelectorAll("tr.detail[data-ready] svg").length,
        folded: document.querySelectorAll("details:not([open])").length,
      });
    };
    document.getElementById("print").click();
  }));
  assert.deepEqual(printed, { incidents: 2, ladders: 2, folded: 0 });

  // No ladder is cut by the edge of the paper (A4 at 96 dpi, 14 mm margins) or taller than a page.
  await page.emulateMediaType("print");
  await page.setViewport({ width: 688, height: 1017 });
  const areas = await page.$$eval("figure svg", (found) => found.map((it) => {
    const { left, right, height } = it.getBoundingClientRect();
    return { left, right, height };
  }));
  assert.ok(areas.length >= 3);
  for (const { left, right, height } of areas) {
    assert.ok(left >= 0 && right <= 688 && height <= 1017, JSON.stringify({ left, right, height }));
  }
  assert.ok((await page.pdf({ format: "A4" })).length > 10_000);
};

parts.plain = async (browser, [lost, healthy], trouble) => {
  for (const [file, headline] of [[lost, "1 request lost to the keep-alive race"], [healthy, /^No request was lost, but 1 server is at risk$/]]) {
    const page = await open(browser, file, trouble, (page) => page.setJavaScriptEnabled(false));
    const [said] = await texts(page, "h1");
    headline instanceof RegExp ? assert.match(said, headline) : assert.equal(said, headline);
    const shown = await page.$$eval("h1, section, #table tr, figure svg", (found) =>
      found.filter((it) => it.checkVisibility()).map((it) => it.tagName));
    assert.ok(shown.includes("H1") && shown.includes("SECTION"));
    assert.ok((await texts(page, "[aria-labelledby=servers] td")).includes("AT RISK"));
    if (file === lost) {
      assert.deepEqual(await texts(page, "#table tbody td:nth-child(5)"), ["crossed-fin"]);
      assert.ok(shown.includes("TR") && shown.includes("svg"));
    }
    // What only a script could serve is not offered.
    assert.equal(await page.$$eval(".needs-script", (found) => found.some((it) => it.checkVisibility())), false);
  }
};

parts.hostile = async (browser, [file], trouble) => {
  const page = await open(browser, file, trouble);
  await ready(page);
  await page.click("#alike").catch(() => {});
  await page.$eval("#alike", (it) => it.checked && it.click());
  await rowsAre(page, 5);
  for (const id of [1, 2, 3, 4, 5]) {
    await page.click(`#incident-${id}`);
    await page.waitForSelector(`#incident-${id} + tr.detail[data-ready] svg`);
  }
  const requests = await column(page, 4);
  assert.ok(requests.includes("POST /</script><script>document.title='hurt'</script>"), requests.join("\n"));
  assert.notEqual(await page.title(), "hurt");
  assert.equal(await page.$$eval("body img, body style, svg script, svg[onload], main script", (found) => found.length), 0);
  assert.equal(await page.$$eval("*", (found) => found.filter((it) =>
    it.getAttributeNames().some((name) => name.startsWith("on"))).length), 0);
  const captures = await texts(page, "[aria-labelledby=captures] tbody th");
  assert.match(captures.join(), /<img src=x onerror=alert\(1\)>/);
  assert.doesNotMatch(await page.evaluate(() => document.body.textContent), /[\u202e\u2028]/u);
  // Even where markup gets in, the policy runs nothing.
  await page.evaluate(() => {
    const image = document.createElement("div");
    image.innerHTML = "<img src='data:,' onerror=\"document.title='hurt'\">";
    document.body.append(image);
  });
  await until(page, () => document.querySelector("body img"));
  assert.notEqual(await page.title(), "hurt");
  const policy = trouble.filter((line) => line.includes("policy") || line.includes("Content Security Policy"));
  assert.ok(policy.length > 0, "the policy speaks up");
  trouble.splice(0, trouble.length, ...trouble.filter((line) =>
    !line.includes("policy") && !line.includes("Content Security Policy") && !line.startsWith("request: data:")));
};

parts.many = async (browser, [file], trouble) => {
  const begin = performance.now();
  const page = await open(browser, file, trouble);
  await ready(page);
  // Two frames later it has been painted.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const opened = performance.now() - begin;
  const shown = await page.$eval("#shown", (it) => it.textContent);
  assert.match(shown, /^10\u00a0000 incidents, in \d+ kinds/);
  const groups = await column(page, 1);
  assert.ok(groups.length > 8 && groups.length <= 50 && groups.every((text) => text.startsWith("×")), groups.join());
  assert.ok(await page.evaluate(() => document.querySelectorAll("*").length) < 5_000, "the page is not ten thousand rows");

  // Into a kind, to its last page, and open one there.
  await page.click("tr.row button.open");
  await page.waitForSelector("#leave");
  const number = Number((await page.$eval("#shown", (it) => it.textContent)).match(/^([\d\u00a0]+) of/)[1].replace(/\u00a0/g, ""));
  assert.ok(number > 100);
  await page.click("#next");
  await until(page, () => document.getElementById("page").textContent.startsWith("2 of"));
  const before = performance.now();
  await page.click("tr.row button.open");
  await page.waitForSelector("tr.detail[data-ready] svg");
  const unpacked = performance.now() - before;
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await until(page, () => !document.getElementById("leave"));

  // One of ten thousand, by its number in the path.
  await page.$eval("#alike", (it) => it.click());
  const typed = performance.now();
  await page.type("#search", "/items/9956");
  await rowsAre(page, 1);
  const searched = performance.now() - typed;
  await page.click("tr.row");
  await page.waitForSelector("tr.detail[data-ready] svg");
  assert.match(await page.$eval("tr.detail h3", (it) => it.textContent), /POST \/items\/9956/);
  const size = (readFileSync(file).length / 1e6).toFixed(1);
  console.log(`10 000 incidents: ${size} MB, shown after ${opened.toFixed(0)} ms, an incident opens in ` +
    `${unpacked.toFixed(0)} ms, eleven letters are searched in ${searched.toFixed(0)} ms`);
};

parts.alone = async (browser, [lost, whole], trouble) => {
  for (const file of [lost, whole]) {
    const page = await open(browser, file, trouble);
    await ready(page);
    const rows = await page.$$(".packets tbody tr");
    assert.ok(rows.length > 6);
    await rows[3].hover();
    await until(page, () => document.querySelector('g.hot[data-segment="3"]'));
    assert.equal(await page.$$eval("#table", (found) => found.length), 0);
  }
};

(async () => {
  const [part, ...pages] = process.argv.slice(2);
  const browser = await puppeteer.launch({
    executablePath: process.env.FINRACE_CHROMIUM,
    userDataDir: process.env.FINRACE_PROFILE,
    headless: true,
    args: FLAGS,
  });
  const trouble = [];
  try {
    await parts[part](browser, pages, trouble);
    assert.deepEqual(trouble, []);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
