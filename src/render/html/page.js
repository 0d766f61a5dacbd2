"use strict";
(() => {
  const PAGE_LENGTH = 50;
  // More incidents than this are shown with alike ones together.
  const FEW = 50;
  const SEPARATOR = "\u001e";

  const root = document.documentElement;
  const at = (id) => document.getElementById(id);
  const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u00a0");
  const counted = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
  const say = (words) => {
    at("said").textContent = words;
  };

  root.classList.add("script");

  at("theme").addEventListener("change", (event) => {
    if (event.target.value) {
      root.dataset.theme = event.target.value;
    } else {
      delete root.dataset.theme;
    }
  });

  // Copying: what has no clipboard (an old browser, a page served over plain HTTP) gets the words selected instead.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) {
      return;
    }
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
      say("Copied");
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected: press Ctrl+C";
      say("Selected: press Ctrl+C to copy");
    }
  });

  // A packet's row and its arrow carry the same data-segment: pointing at one shows the other.
  const link = (element) => {
    const story = element.closest(".story");
    const segment = element.closest("[data-segment]");
    for (const hot of document.querySelectorAll(".story .hot")) {
      hot.classList.remove("hot");
    }
    for (const linked of document.querySelectorAll(".story.linked")) {
      linked.classList.remove("linked");
    }
    if (!story || !segment) {
      return;
    }
    for (const part of story.querySelectorAll(`[data-segment="${segment.dataset.segment}"]`)) {
      part.classList.add("hot");
      // Within the packet list only: the page itself must not move under the pointer.
      const list = part.closest(".packets");
      if (list && part !== segment) {
        const [row, box] = [part.getBoundingClientRect(), list.getBoundingClientRect()];
        if (row.top < box.top || row.bottom > box.bottom) {
          list.scrollTop += row.top - box.top - box.height / 2;
        }
      }
    }
    story.classList.add("linked");
  };
  document.addEventListener("mouseover", (event) => link(event.target));
  document.addEventListener("focusin", (event) => link(event.target));

  // One of several elements can be reached with Tab, the others with the arrow keys.
  const rove = (event, elements) => {
    const from = elements.indexOf(event.target);
    const to = { ArrowDown: from + 1, ArrowUp: from - 1, Home: 0, End: elements.length - 1 }[event.key];
    if (from < 0 || to === undefined) {
      return false;
    }
    event.preventDefault();
    const element = elements[to];
    if (element) {
      elements[from].tabIndex = -1;
      element.tabIndex = 0;
      element.focus();
    }
    return true;
  };
  document.addEventListener("keydown", (event) => {
    const packet = event.target.closest(".packets tbody tr");
    if (packet) {
      rove(event, [...packet.parentElement.children]);
    }
  });

  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) {
      details.open = true;
    }
  });

  if (!at("data")) {
    at("print").addEventListener("click", () => print());
    root.dataset.ready = "";
    return;
  }

  const data = JSON.parse(at("data").textContent);
  const rows = data.rows.map((row) => ({
    id: row[0],
    timeText: row[1],
    time: row[2],
    cause: data.causes[row[3]],
    server: data.servers[row[4]],
    request: data.requests[row[5]],
    shape: data.shapes[row[6]],
    who: row[7],
    idleText: row[8],
    idle: row[9],
    proof: row[10],
    race: row[11] === 1,
    block: row[12],
    place: row[13],
  }));
  const alikeKey = (row) => [row.cause, row.race, row.server, row.shape].join(SEPARATOR);

  const table = at("table");
  const body = table.tBodies[0];
  const state = { sort: "id", down: false, page: 0, group: null };
  // What was opened, by id: pages and sorting keep it.
  const opened = new Set();

  const options = (select, all, names) => {
    select.replaceChildren(new Option(all, ""), ...names.map(([name, value, number]) =>
      new Option(`${name} (${grouped(number)})`, value)));
  };
  const count = (names, of) => names.map((name) => [name, name, rows.filter((row) => of(row) === name).length]);
  const racing = rows.filter((row) => row.race).length;
  options(at("cause"), "all", [
    ...(racing && racing < rows.length ? [["the race", "race", racing]] : []),
    ...count(data.causes, (row) => row.cause),
  ]);
  options(at("server"), "all", count(data.servers, (row) => row.server));
  at("alike").checked = rows.length > FEW;

  const words = new Map();
  const wordsOf = (row) => {
    let known = words.get(row.id);
    if (known === undefined) {
      known = [`#${row.id}`, row.timeText, row.server, row.request, row.cause, row.idleText, row.proof, row.who]
        .join(" ").toLowerCase();
      words.set(row.id, known);
    }
    return known;
  };

  const matching = () => {
    const wanted = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    // `stream 7` is not stream 70.
    const phrase = /\bstream\s+(\d+)/.exec(at("search").value.toLowerCase());
    const cause = at("cause").value;
    const server = at("server").value;
    return rows.filter((row) =>
      (!state.group || alikeKey(row) === state.group) &&
      (!cause || (cause === "race" ? row.race : row.cause === cause)) &&
      (!server || row.server === server) &&
      (!phrase || row.who.endsWith(`stream ${phrase[1]}`)) &&
      wanted.every((word) => wordsOf(row).includes(word)));
  };

  // Rows that are alike as one entry; each entry has the rows it stands for.
  const entries = () => {
    const matched = matching();
    if (!at("alike").checked || state.group) {
      return matched.map((row) => ({ rows: [row] }));
    }
    const groups = new Map();
    for (const row of matched) {
      const key = alikeKey(row);
      if (groups.has(key)) {
        groups.get(key).rows.push(row);
      } else {
        groups.set(key, { key, rows: [row] });
      }
    }
    return [...groups.values()];
  };

  const sorted = (list) => {
    const of = {
      id: (entry) => entry.rows[0].id,
      time: (entry) => entry.rows[0].time,
      idle: (entry) => entry.rows[0].idle,
      number: (entry) => entry.rows.length,
    }[state.sort] || ((entry) => entry.rows[0][state.sort]);
    const sign = state.down ? -1 : 1;
    const order = (a, b) => (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0);
    return list.map((entry) => [of(entry), entry])
      .sort(([a, x], [b, y]) => sign * order(a, b) || x.rows[0].id - y.rows[0].id)
      .map(([, entry]) => entry);
  };

  const cell = (row, name, text, className) => {
    const td = row.insertCell();
    td.dataset.name = name;
    td.textContent = text;
    if (className) {
      td.className = className;
    }
    return td;
  };
  const span = (list, key, text) => {
    const least = list.reduce((a, b) => (b[key] < a[key] ? b : a));
    const most = list.reduce((a, b) => (b[key] > a[key] ? b : a));
    // Broken at the dash only.
    const [from, to] = [least[text], most[text]].map((it) => it.replaceAll(" ", "\u00a0"));
    return from === to ? from : `${from} – ${to}`;
  };

  const drawEntry = (entry) => {
    const first = entry.rows[0];
    const several = entry.rows.length > 1;
    const row = body.insertRow();
    row.className = "row";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "open";
    button.tabIndex = -1;
    if (several) {
      button.textContent = `×${grouped(entry.rows.length)}`;
      button.setAttribute("aria-label", `Show the ${entry.rows.length} incidents like #${first.id}`);
      button.dataset.group = entry.key;
    } else {
      row.id = `incident-${first.id}`;
      button.textContent = first.id;
      button.setAttribute("aria-label", `Incident ${first.id}`);
      button.setAttribute("aria-expanded", "false");
      button.dataset.id = first.id;
    }
    const number = row.insertCell();
    number.className = "number";
    number.append(button);
    cell(row, "time", span(entry.rows, "time", "timeText"));
    cell(row, "server", first.server);
    cell(row, "request", several ? first.shape : first.request);
    cell(row, "cause", first.cause);
    cell(row, "idle", span(entry.rows, "idle", "idleText"), "number");
    cell(row, "proof", several ? `${grouped(entry.rows.length)} alike, from #${first.id} on: open to see each` : first.proof);
    if (!several && opened.has(first.id)) {
      unfold(row, first);
    }
  };

  let shown = [];
  const draw = () => {
    const list = sorted(entries());
    const pages = Math.max(1, Math.ceil(list.length / PAGE_LENGTH));
    state.page = Math.min(state.page, pages - 1);
    shown = list.slice(state.page * PAGE_LENGTH, (state.page + 1) * PAGE_LENGTH);
    body.replaceChildren();
    shown.forEach(drawEntry);
    const buttons = body.querySelectorAll("button.open");
    if (buttons.length) {
      buttons[0].tabIndex = 0;
    }
    for (const head of table.tHead.querySelectorAll("[data-sort]")) {
      const chosen = head.dataset.sort === state.sort || (head.dataset.sort === "id" && state.sort === "number");
      head.setAttribute("aria-sort", !chosen ? "none" : state.down ? "descending" : "ascending");
    }
    const matched = list.reduce((sum, entry) => sum + entry.rows.length, 0);
    const what = matched === rows.length
      ? counted(rows.length, "incident")
      : `${grouped(matched)} of ${counted(rows.length, "incident")}`;
    const kinds = list.length === matched ? "" : `, in ${counted(list.length, "kind")}`;
    const back = at("shown");
    back.textContent = `${what}${kinds}.`;
    if (state.group) {
      const button = document.createElement("button");
      button.type = "button";
      button.id = "leave";
      button.textContent = "Back to all kinds";
      button.addEventListener("click", () => enter(null));
      back.append(" ", button);
    }
    at("pages").hidden = pages === 1;
    at("page").textContent = `${state.page + 1} of ${pages}`;
    at("previous").disabled = state.page === 0;
    at("next").disabled = state.page === pages - 1;
  };

  // Blocks of stories, unpacked once and only when asked for.
  const blocks = new Map();
  const unpack = async (block) => {
    const bytes = Uint8Array.from(atob(at(`block-${block}`).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return (await new Response(stream).text()).split(SEPARATOR);
  };
  const storyOf = async (row) => {
    if (!blocks.has(row.block)) {
      blocks.set(row.block, unpack(row.block));
    }
    return (await blocks.get(row.block))[row.place];
  };

  const unfold = async (tr, row) => {
    const button = tr.querySelector("button");
    button.setAttribute("aria-expanded", "true");
    tr.classList.add("opened");
    const detail = document.createElement("tr");
    detail.className = "detail";
    detail.dataset.id = row.id;
    const td = detail.insertCell();
    td.colSpan = tr.cells.length;
    td.textContent = "…";
    tr.after(detail);
    try {
      td.innerHTML = await storyOf(row);
    } catch (error) {
      td.textContent = `This browser cannot unpack the incident (${error.message}). A newer one can, and so can: finrace show.`;
    }
    detail.dataset.ready = "";
  };
  const fold = (tr, id) => {
    opened.delete(id);
    const detail = body.querySelector(`tr.detail[data-id="${id}"]`);
    if (detail) {
      detail.remove();
    }
    tr.classList.remove("opened");
    tr.querySelector("button").setAttribute("aria-expanded", "false");
  };
  const rowOf = (id) => rows.find((row) => row.id === id);

  const toggle = (button) => {
    if (button.dataset.group !== undefined) {
      enter(button.dataset.group);
      return;
    }
    const id = Number(button.dataset.id);
    const tr = button.closest("tr");
    if (opened.has(id)) {
      fold(tr, id);
    } else {
      opened.add(id);
      unfold(tr, rowOf(id));
    }
  };
  const enter = (group) => {
    const left = state.group;
    state.group = group;
    state.page = 0;
    draw();
    const button = left
      ? [...body.querySelectorAll("button.open")].find((other) => other.dataset.group === left)
      : body.querySelector("button.open");
    if (button) {
      button.focus();
    }
  };

  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    // A click that ends a selection is no click.
    if (row && String(getSelection()) === "") {
      toggle(row.querySelector("button.open"));
    }
  });
  table.addEventListener("keydown", (event) => {
    const button = event.target.closest("button.open");
    if (button) {
      rove(event, [...body.querySelectorAll("button.open")]);
    }
    if (event.key === "Escape") {
      const row = event.target.closest("tr.row");
      const detail = event.target.closest("tr.detail") || (row && row.nextElementSibling);
      if (detail && detail.classList.contains("detail")) {
        const tr = detail.previousElementSibling;
        fold(tr, Number(detail.dataset.id));
        tr.querySelector("button").focus();
      } else if (state.group) {
        enter(null);
      }
    }
  });
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !writing && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      at("search").focus();
    }
  });

  const filtered = () => {
    state.page = 0;
    draw();
  };
  at("search").addEventListener("input", filtered);
  for (const id of ["cause", "server", "alike"]) {
    at(id).addEventListener("change", filtered);
  }
  at("find").addEventListener("submit", (event) => event.preventDefault());
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    at(id).addEventListener("click", () => {
      state.page += step;
      draw();
      table.scrollIntoView({ block: "nearest" });
    });
  }
  for (const head of table.tHead.querySelectorAll("[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const together = at("alike").checked && !state.group;
      const sort = head.dataset.sort === "id" && together ? "number" : head.dataset.sort;
      // The greatest groups are what one looks for first.
      state.down = state.sort === sort ? !state.down : sort === "number";
      state.sort = sort;
      draw();
    });
  }

  // A link to an incident opens it, wherever it is.
  const follow = () => {
    const id = Number((/^#incident-(\d+)$/.exec(location.hash) || [])[1]);
    const row = rowOf(id);
    if (!row) {
      return;
    }
    at("search").value = at("cause").value = at("server").value = "";
    at("alike").checked = false;
    state.group = null;
    opened.add(id);
    state.page = Math.floor(sorted(entries()).findIndex((entry) => entry.rows[0] === row) / PAGE_LENGTH);
    draw();
    const tr = at(`incident-${id}`);
    tr.scrollIntoView();
    tr.querySelector("button").focus();
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const target = event.target.closest('a[href^="#incident-"]');
    if (target && target.hash === location.hash) {
      follow();
    }
  });

  // What is shown is printed open: each incident of this page with its ladder.
  at("print").addEventListener("click", async () => {
    for (const entry of shown) {
      if (entry.rows.length === 1) {
        opened.add(entry.rows[0].id);
      }
    }
    draw();
    await Promise.allSettled(shown.filter((entry) => entry.rows.length === 1).map((entry) => storyOf(entry.rows[0])));
    await new Promise((resolve) => setTimeout(resolve));
    print();
  });

  draw();
  follow();
  root.dataset.ready = "";
})();
