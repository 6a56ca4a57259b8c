// Renders /openapi.json and lets one try every operation. Nothing here becomes HTML from a string.
"use strict";

const $ = (id) => document.getElementById(id);

/** Makes an element: el("a", {href}, "text", child, …); a class is className, a handler onclick. */
function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

/** Text with `code` in it. */
function prose(text, tag = "p", className = "") {
  const node = el(tag, { className });
  (text || "").trim().split("`").forEach((part, i) => node.append(i % 2 ? el("code", {}, part) : part));
  return node;
}

let spec;
const deref = (node) => {
  let at = node;
  while (at && at.$ref) {
    const found = at.$ref.slice(2).split("/").reduce((n, key) => n[key.replaceAll("~1", "/").replaceAll("~0", "~")], spec);
    at = { ...found, ...Object.fromEntries(Object.entries(at).filter(([k]) => k !== "$ref")) };
  }
  return at;
};

function limits(s) {
  const say = [];
  const add = (key, word) => s[key] !== undefined && say.push(`${word} ${s[key]}`);
  if (s.enum && s.enum.length <= 8) say.push(s.enum.join(" | "));
  add("const", "always"); add("default", "default"); add("minimum", "from"); add("maximum", "to");
  add("maxLength", "at most characters:"); add("maxItems", "at most items:"); add("pattern", "like");
  return say.join(", ");
}

const typeOf = (s) => [].concat(s.type || (s.oneOf ? "one of" : "any")).join(" or ");

/** A schema as a tree that opens where one looks. */
function schemaTree(node, name, required, depth = 0) {
  const s = deref(node);
  const items = s.items && deref(s.items);
  const inner = s.properties ? s : items && items.properties ? items : null;
  const head = [
    name ? el("code", {}, name) : "", required ? " required " : " ",
    el("span", { className: "dim" }, [items ? `list of ${typeOf(items)}` : typeOf(s), limits(s)].filter(Boolean).join(", ")), " ",
    s.description ? prose(s.description, "span") : "",
  ];
  if (!inner || depth > 6) return el("div", { className: "field" }, ...head);
  const box = el("div", { className: "inner" });
  const details = el("details", { open: depth === 0 }, el("summary", {}, ...head), box);
  const fill = () => {
    if (box.childElementCount) return;
    for (const [key, value] of Object.entries(inner.properties)) {
      box.append(schemaTree(value, key, (inner.required || []).includes(key), depth + 1));
    }
  };
  if (depth === 0) fill();
  details.addEventListener("toggle", fill);
  return details;
}

function parameterRow(p, inputs) {
  const s = deref(p.schema);
  const input = s.enum
    ? el("select", {}, el("option", { value: "" }, "–"), ...s.enum.map((v) => el("option", {}, v)))
    : el("input", { placeholder: s.default ?? "" });
  input.setAttribute("aria-label", p.name);
  inputs.push({ p, input });
  return el("tr", {},
    el("td", {}, el("code", {}, p.name), el("div", { className: "dim" }, p.in + (p.required ? ", required" : ""))),
    el("td", {}, prose(p.description, "span"), el("div", { className: "dim" }, limits(s))),
    el("td", {}, input));
}

function bodyEditor(body) {
  const media = deref(body).content["application/json"];
  const examples = Object.entries(media.examples || {});
  const text = el("textarea", { spellcheck: false });
  text.setAttribute("aria-label", "Body");
  const pick = el("select", {}, el("option", { value: "" }, deref(body).required ? "Example…" : "No body"),
    ...examples.map(([key, e]) => el("option", { value: key }, e.summary)));
  pick.setAttribute("aria-label", "Example");
  pick.onchange = () => { text.value = pick.value ? JSON.stringify(media.examples[pick.value].value, null, 2) : ""; };
  return { text, node: el("div", {}, el("h3", {}, "Body"), schemaTree(media.schema, "", false), el("div", { className: "row" }, pick), text) };
}

/** The request that the form describes. */
function requestOf(method, path, inputs, editor) {
  const headers = {};
  const query = new URLSearchParams();
  let url = path;
  for (const { p, input } of inputs) {
    const value = input.value.trim();
    if (p.in === "path") url = url.replace(`{${p.name}}`, encodeURIComponent(value || "-"));
    else if (value && p.in === "query") query.set(p.name, value);
    else if (value && p.in === "header") headers[p.name] = value;
  }
  if ([...query].length) url += "?" + query;
  const token = $("token").value;
  if (token) headers.Authorization = "Bearer " + token;
  const init = { method: method.toUpperCase(), headers };
  if (editor && editor.text.value.trim()) {
    headers["Content-Type"] = "application/json";
    init.body = editor.text.value;
  }
  return { url, init };
}

const quote = (s) => "'" + s.replaceAll("'", `'\\''`) + "'";

function curlOf({ url, init }) {
  const parts = ["curl", "-sS"];
  if (init.method !== "GET") parts.push("-X", init.method);
  for (const [k, v] of Object.entries(init.headers)) parts.push("-H", quote(k === "Authorization" ? `${k}: Bearer $TOKEN` : `${k}: ${v}`));
  if (init.body) parts.push("-d", quote(init.body));
  return parts.concat(quote(location.origin + url)).join(" ");
}

async function show(response, out, signal) {
  const kind = response.headers.get("Content-Type") || "";
  const head = ["Location", "ETag", "Allow", "Retry-After", "X-Request-ID"]
    .filter((h) => response.headers.get(h)).map((h) => `${h}: ${response.headers.get(h)}`).join("\n");
  const body = el("pre", { tabIndex: 0 });
  out.replaceChildren(
    el("p", {}, el("strong", { className: response.ok ? "ok" : "no" }, `${response.status} ${response.statusText}`)),
    el("div", { className: "dim" }, head), body);
  if (!kind.startsWith("text/event-stream")) {
    const text = await response.text();
    body.textContent = text;
    if (kind.includes("json")) try { body.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  signal.addEventListener("abort", () => reader.cancel());
  for (let shown = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    shown = (shown + value).slice(-200_000);
    body.textContent = shown;
    body.scrollTop = body.scrollHeight;
  }
}

function tryPanel(method, path, inputs, editor) {
  const out = el("div");
  const send = el("button", { type: "button" }, "Send");
  const stop = el("button", { type: "button", className: "quiet", hidden: true }, "Stop");
  const asCurl = el("button", { type: "button", className: "quiet" }, "curl");
  const live = path.endsWith("/{jobId}/events") ? el("input", { type: "checkbox" }) : null;
  asCurl.onclick = () => out.replaceChildren(el("pre", { tabIndex: 0 }, curlOf(requestOf(method, path, inputs, editor))));
  send.onclick = async () => {
    const control = new AbortController();
    const { url, init } = requestOf(method, path, inputs, editor);
    if (live && live.checked) init.headers.Accept = "text/event-stream";
    stop.onclick = () => control.abort();
    stop.hidden = false;
    send.disabled = true;
    try {
      await show(await fetch(url, { ...init, signal: control.signal }), out, control.signal);
    } catch (e) {
      if (e.name !== "AbortError") out.replaceChildren(el("p", { className: "no" }, String(e)));
    }
    stop.hidden = true;
    send.disabled = false;
  };
  return el("div", {}, el("div", { className: "row" }, send, stop, asCurl, live && el("label", {}, live, " follow live")), out);
}

function operation(method, path, item, op) {
  const inputs = [];
  const parameters = [...(item.parameters || []), ...(op.parameters || [])].map(deref);
  const card = el("article", { id: op.operationId },
    el("h2", {}, el("span", { className: "verb " + method }, method.toUpperCase()), el("span", { className: "path" }, path),
      el("span", { className: "says" }, op.summary)),
    op.description ? prose(op.description) : null);
  if (parameters.length) {
    card.append(el("h3", {}, "Parameters"), el("table", {}, el("tbody", {}, ...parameters.map((p) => parameterRow(p, inputs)))));
  }
  const editor = op.requestBody ? bodyEditor(op.requestBody) : null;
  if (editor) card.append(editor.node);
  card.append(tryPanel(method, path, inputs, editor), el("h3", {}, "Answers"));
  for (const [status, raw] of Object.entries(op.responses)) {
    const r = deref(raw);
    const json = r.content && Object.entries(r.content).find(([kind, m]) => kind === "application/json" && m.schema);
    const head = [el("strong", { className: status < 400 ? "ok" : "no" }, status), " ", prose(r.description, "span")];
    card.append(json
      ? el("details", {}, el("summary", {}, ...head), schemaTree(json[1].schema, "", false))
      : el("div", { className: "field" }, ...head));
  }
  return card;
}

function errorTable() {
  const codes = spec.components.schemas.Problem.properties.code["x-codes"];
  return el("article", { id: "errors" }, el("h2", {}, "Codes of errors"),
    el("table", {}, el("tbody", {}, ...Object.entries(codes).map(([code, meaning]) =>
      el("tr", { id: code }, el("td", {}, el("code", {}, code)), el("td", {}, prose(meaning, "span")))))));
}

function render() {
  const nav = [], main = [el("h1", {}, spec.info.summary)];
  for (const text of spec.info.description.trim().split("\n\n")) main.push(prose(text, "p", "lead"));
  for (const tag of spec.tags) {
    nav.push(el("h2", {}, tag.name));
    main.push(el("h1", {}, tag.name[0].toUpperCase() + tag.name.slice(1)), prose(tag.description, "p", "lead"));
    for (const [path, item] of Object.entries(spec.paths)) {
      for (const method of ["get", "post", "delete"]) {
        const op = item[method];
        if (!op || !op.tags.includes(tag.name)) continue;
        nav.push(el("a", { href: "#" + op.operationId }, el("span", { className: "verb " + method }, method.toUpperCase()), op.summary));
        main.push(operation(method, path, item, op));
      }
    }
  }
  nav.push(el("h2", {}, "more"), el("a", { href: "#errors" }, "Codes of errors"), el("a", { href: "/openapi.yaml" }, "openapi.yaml"));
  $("title").textContent = spec.info.title;
  $("summary").textContent = spec.info.summary;
  $("nav").replaceChildren(...nav);
  $("main").replaceChildren(...main, errorTable());
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

async function begin() {
  $("token").value = sessionStorage.getItem("token") || "";
  $("token").oninput = () => sessionStorage.setItem("token", $("token").value);
  try {
    spec = await (await fetch("/openapi.json")).json();
    render();
  } catch (e) {
    $("main").replaceChildren(el("p", { className: "no" }, `The description could not be read: ${e}`));
  }
}
begin();
