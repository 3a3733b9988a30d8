// tests/invoke/form.test.ts
import assert from "node:assert/strict";
import { test } from "node:test";

// src/invoke/literal.ts
function literalToJson(text) {
  const reader = new Reader(text);
  const json = reader.value();
  return json !== null && reader.isAtEnd() ? json : null;
}
function literalsToJson(text) {
  const list = literalToJson(`[${text}]`) === null ? null : new Reader(`[${text}]`).items("[", "]");
  return list !== null && list.length > 0 ? list : null;
}
var NAMES = /* @__PURE__ */ new Map([
  ["None", "null"],
  ["True", "true"],
  ["False", "false"]
]);
var NUMBER = /[+-]?(?:\d[\d_]*)(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+(?:[eE][+-]?\d+)?/y;
var NAME = /[A-Za-z_]\w*/y;
var ESCAPES = { n: "\n", r: "\r", t: "	", "\\": "\\", "'": "'", '"': '"' };
var Reader = class {
  constructor(text) {
    this.text = text;
  }
  text;
  at = 0;
  isAtEnd() {
    this.skipSpace();
    return this.at === this.text.length;
  }
  value() {
    this.skipSpace();
    const head = this.text[this.at] ?? "";
    if (head === "'" || head === '"') {
      return this.quoted(head);
    }
    if (head === "{") {
      return this.dictionary();
    }
    return head === "[" || head === "(" ? this.sequence(head) : this.word();
  }
  word() {
    const name = this.match(NAME);
    return name ? NAMES.get(name) ?? null : this.number();
  }
  sequence(opening) {
    const items = this.items(opening, opening === "[" ? "]" : ")");
    return items && `[${items.join(", ")}]`;
  }
  items(opening, closing) {
    const items = [];
    this.take(opening);
    while (!this.take(closing)) {
      const item = this.value();
      if (item === null || !(this.take(",") || this.isBefore(closing))) {
        return null;
      }
      items.push(item);
    }
    return items;
  }
  dictionary() {
    const entries = [];
    this.take("{");
    while (!this.take("}")) {
      const key = this.value();
      const value = key?.startsWith('"') && this.take(":") ? this.value() : null;
      if (value === null || !(this.take(",") || this.isBefore("}"))) {
        return null;
      }
      entries.push(`${key}: ${value}`);
    }
    return `{${entries.join(", ")}}`;
  }
  number() {
    const number = this.match(NUMBER);
    return number && numberToJson(number);
  }
  quoted(quote) {
    let text = "";
    for (this.at++; this.at < this.text.length; this.at++) {
      const letter = this.text.charAt(this.at);
      if (letter === quote) {
        this.at++;
        return JSON.stringify(text);
      }
      if (letter !== "\\") {
        text += letter;
        continue;
      }
      const escaped = this.escape();
      if (escaped === null) {
        return null;
      }
      text += escaped;
    }
    return null;
  }
  /** What a backslash and what follows mean; leaves `at` on the last letter of it. */
  escape() {
    const letter = this.text[++this.at] ?? "";
    const digits = { x: 2, u: 4, U: 8 }[letter];
    if (digits === void 0) {
      return ESCAPES[letter] ?? null;
    }
    const hex = this.text.slice(this.at + 1, this.at + 1 + digits);
    if (!/^[0-9a-fA-F]+$/.test(hex) || parseInt(hex, 16) > 1114111) {
      return null;
    }
    this.at += digits;
    return String.fromCodePoint(parseInt(hex, 16));
  }
  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    this.at += found ? found[0].length : 0;
    return found && found[0];
  }
  take(letter) {
    const isThere = this.isBefore(letter);
    this.at += isThere ? 1 : 0;
    return isThere;
  }
  isBefore(letter) {
    this.skipSpace();
    return this.text[this.at] === letter;
  }
  skipSpace() {
    while (/\s/.test(this.text[this.at] ?? "")) {
      this.at++;
    }
  }
};
function numberToJson(number) {
  const plain = number.replace(/_/g, "").replace(/^\+/, "");
  const pointed = plain.replace(/^(-?)\./, "$10.").replace(/\.(?=$|[eE])/, ".0");
  return pointed.replace(/^(-?)0+(?=\d)/, "$1");
}

// src/invoke/body.ts
function bodyOf(fields, texts) {
  const only = fields.length === 1 ? fields[0] : void 0;
  if (only?.type === "bytes") {
    return { text: textOf(only, texts), contentType: "application/octet-stream" };
  }
  const given = /* @__PURE__ */ new Map();
  const faults = /* @__PURE__ */ new Map();
  for (const field2 of fields) {
    const read = readField(field2, textOf(field2, texts));
    if (read.fault !== void 0) {
      faults.set(field2.name, read.fault);
    } else if (read.json !== void 0) {
      given.set(field2.name, read.json);
    }
  }
  if (faults.size > 0) return { byField: faults };
  return needsPositions(fields, given) ? positional(fields, given) : named(fields, given);
}
function isBody(made) {
  return "contentType" in made;
}
function readField(field2, text) {
  const isUntouched = text === field2.initial;
  if (isUntouched && !field2.isRequired) {
    return {};
  }
  if (text.trim() === "" && field2.type !== "str") {
    return emptied(field2);
  }
  if (text === "" && field2.isNullable) {
    return { json: "null" };
  }
  return READERS[field2.type](text, field2);
}
function emptied(field2) {
  if (field2.isNullable) {
    return { json: "null" };
  }
  return field2.isRequired ? { fault: `${field2.name} is needed.` } : {};
}
var READERS = {
  int: (text) => /^\s*[+-]?\d[\d_]*\s*$/.test(text) ? { json: numberToJson(text.trim()) } : { fault: "A whole number is expected, like 12." },
  float: readFloat,
  bool: (text) => text === "true" || text === "false" ? { json: text } : { fault: "True or False is expected." },
  str: (text) => ({ json: JSON.stringify(text) }),
  bytes: () => ({
    fault: "JSON has no bytes: call it from Python, or make bytes its only parameter."
  }),
  choice: (text, field2) => field2.choices.includes(text) ? { json: text } : { fault: "One of the choices is expected." },
  list: (text) => readJson(text, "A list is expected, like [1, 2].", (value) => Array.isArray(value)),
  dict: (text) => readJson(text, 'An object is expected, like {"a": 1}.', isObject),
  json: (text) => readJson(text, "", () => true)
};
function readFloat(text) {
  const trimmed = text.trim();
  if (/^[+-]?(nan|inf(inity)?)$/i.test(trimmed)) {
    return { fault: `JSON has no ${trimmed}: call it from Python.` };
  }
  const isNumber = /^[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed);
  return isNumber ? { json: numberToJson(trimmed) } : { fault: "A number is expected, like 0.5." };
}
function readJson(text, expected, fits) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: expected || 'This is no JSON. Text goes in double quotes: "abc".' };
  }
  return fits(value) ? { json: text.trim() } : { fault: expected };
}
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
function textOf(field2, texts) {
  return texts.get(field2.name) ?? field2.initial;
}
function needsPositions(fields, given) {
  return fields.some(
    (field2) => given.has(field2.name) && (field2.kind === "positional_only" || field2.kind === "var_positional" && !isEmptyJson(given.get(field2.name)))
  );
}
function isEmptyJson(json) {
  return json === void 0 || /^[[{]\s*[\]}]$/.test(json);
}
function named(fields, given) {
  const entries = fields.flatMap((field2) => {
    const json = given.get(field2.name);
    if (json === void 0 || field2.kind === "var_positional") {
      return [];
    }
    if (field2.kind === "var_keyword") {
      return isEmptyJson(json) ? [] : [json.slice(1, -1).trim()];
    }
    return [`${JSON.stringify(field2.name)}: ${json}`];
  });
  return { text: `{${entries.join(", ")}}`, contentType: "application/json" };
}
function positional(fields, given) {
  const items = [];
  let leftOut = [];
  for (const field2 of fields) {
    const json = given.get(field2.name);
    if (json === void 0 || isVariable(field2) && isEmptyJson(json)) {
      leftOut.push(...isVariable(field2) ? [] : [field2]);
      continue;
    }
    if (field2.kind === "keyword_only" || field2.kind === "var_keyword") {
      return fault(field2, "JSON cannot send this by name and others by position: call it from Python.");
    }
    const filled = leftOut.map((one) => literalToJson(one.default));
    const unfilled = leftOut[filled.indexOf(null)];
    if (unfilled) return fault(unfilled, `${field2.name} comes after it: write a value here too.`);
    items.push(...filled, isVariable(field2) ? json.slice(1, -1).trim() : json);
    leftOut = [];
  }
  return { text: `[${items.join(", ")}]`, contentType: "application/json" };
}
function isVariable(field2) {
  return field2.kind.startsWith("var_");
}
function fault(field2, sentence) {
  return { byField: /* @__PURE__ */ new Map([[field2.name, sentence]]) };
}

// src/invoke/fields.ts
function fieldsOf(parameters) {
  return parameters.map(fieldOf);
}
function fieldOf(parameter2) {
  const hint = unquoted(parameter2.annotation ?? "");
  const { type, choices, isNullable } = typed(parameter2.kind, hint);
  const isVariable2 = parameter2.kind.startsWith("var_");
  const field2 = {
    name: parameter2.name,
    kind: parameter2.kind,
    type,
    choices,
    isNullable,
    isRequired: (parameter2.default ?? null) === null && !isVariable2,
    hint,
    default: parameter2.default ?? ""
  };
  return { ...field2, initial: initialOf(field2) };
}
var PLAIN = /* @__PURE__ */ new Map([
  ["int", "int"],
  ["float", "float"],
  ["bool", "bool"],
  ["str", "str"],
  ["bytes", "bytes"],
  ["bytearray", "bytes"]
]);
var LISTS = /* @__PURE__ */ new Set(["list", "List", "tuple", "Tuple", "set", "Set", "frozenset", "Sequence", "Iterable", "Collection"]);
var DICTS = /* @__PURE__ */ new Set(["dict", "Dict", "Mapping", "MutableMapping", "TypedDict"]);
function typed(kind, hint) {
  const plain = { choices: [], isNullable: false };
  if (kind === "var_positional") {
    return { ...plain, type: "list" };
  }
  return kind === "var_keyword" ? { ...plain, type: "dict" } : typedHint(hint);
}
function typedHint(hint) {
  const { wanted, isNullable } = withoutNone(hint);
  const [only, ...others] = wanted;
  if (only === void 0 || others.length > 0) return { type: "json", choices: [], isNullable };
  const { name, content } = split(only);
  if (name === "Literal") {
    const choices = literalsToJson(content);
    return choices ? { type: "choice", choices, isNullable } : { type: "json", choices: [], isNullable };
  }
  if (name === "Annotated") {
    const inner = typedHint(parts(content, ",")[0] ?? "");
    return { ...inner, isNullable: isNullable || inner.isNullable };
  }
  return { type: typeNamed(name), choices: [], isNullable };
}
function typeNamed(name) {
  if (LISTS.has(name)) return "list";
  return DICTS.has(name) ? "dict" : PLAIN.get(name) ?? "json";
}
function withoutNone(hint) {
  const members = unionOf(hint.trim());
  const wanted = members.filter((one) => one !== "None" && one !== "NoneType");
  return { wanted, isNullable: wanted.length < members.length };
}
function unionOf(hint) {
  const { name, content } = split(hint);
  if (name === "Optional") {
    return [...unionOf(content), "None"];
  }
  if (name === "Union") {
    return parts(content, ",").flatMap(unionOf);
  }
  const members = parts(hint, "|");
  return members.length > 1 ? members.flatMap(unionOf) : members;
}
function split(hint) {
  const found = /^([\w.]+)(?:\[(.*)\])?$/s.exec(hint.trim());
  return { name: found?.[1]?.split(".").pop() ?? "", content: found?.[2]?.trim() ?? "" };
}
function parts(text, separator) {
  const found = [""];
  let depth = 0;
  for (const token of text.match(QUOTED_OR_LETTER) ?? []) {
    if ("[({".includes(token)) depth++;
    if ("])}".includes(token)) depth--;
    const isEnd = token === separator && depth === 0;
    found.push(isEnd ? "" : (found.pop() ?? "") + token);
  }
  return found.map((part) => part.trim()).filter((part) => part !== "");
}
var QUOTED_OR_LETTER = /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|./gs;
function unquoted(annotation) {
  const found = /^(['"])(.*)\1$/s.exec(annotation)?.[2];
  return found?.replace(/\\(['"\\])/g, "$1") ?? annotation;
}
function initialOf(field2) {
  const json = field2.default === "" ? null : literalToJson(field2.default);
  if (json === null || json === "null" && field2.type !== "json") {
    return "";
  }
  switch (field2.type) {
    case "str":
      return json.startsWith('"') ? JSON.parse(json) : "";
    case "choice":
      return field2.choices.includes(json) ? json : "";
    default:
      return json;
  }
}

// tests/invoke/form.test.ts
function parameter(annotation, changes = {}) {
  return { name: "x", kind: "positional_or_keyword", annotation, ...changes };
}
function field(annotation, changes = {}) {
  return fieldsOf([parameter(annotation, changes)])[0];
}
function sent(parameters, texts) {
  const made = bodyOf(fieldsOf(parameters), new Map(Object.entries(texts)));
  return isBody(made) ? made.text : [...made.byField].map(([name, why]) => `${name}: ${why}`).join(" ");
}
var types = [
  ["int", "int"],
  ["'int'", "int"],
  ["float", "float"],
  ["bool", "bool"],
  ["str", "str"],
  ["bytes", "bytes"],
  ["list[int]", "list"],
  ["typing.List[int]", "list"],
  ["Dict[str, int]", "dict"],
  ["Optional[int]", "int"],
  ["int | None", "int"],
  ["Union[None, str]", "str"],
  ["Literal['a', 'b']", "choice"],
  ["Optional[Literal['a|b', 2]]", "choice"],
  ["Annotated[int, 'up to 3']", "int"],
  ["int | str", "json"],
  ["numpy.ndarray", "json"],
  ["constructor", "json"],
  ["", "json"],
  ["list[", "json"]
];
for (const [annotation, type] of types) {
  test(`the hint ${annotation || "(none)"} makes a field of type ${type}`, () => {
    assert.equal(field(annotation).type, type);
  });
}
test("None is allowed where the hint says so", () => {
  const nullable = ["Optional[int]", "str | None", "Union[Literal['a'], None]"];
  assert.ok(nullable.every((annotation) => field(annotation).isNullable));
  assert.ok(!field("int").isNullable);
});
test("a field begins with the default, if it can be written there", () => {
  const begins = (annotation, value) => field(annotation, { default: value }).initial;
  assert.equal(begins("int", "3"), "3");
  assert.equal(begins("str", "'it\\'s'"), "it's");
  assert.equal(begins("dict", "{'a': 1}"), '{"a": 1}');
  assert.equal(begins("bool", "True"), "true");
  assert.equal(begins("Optional[int]", "None"), "");
  assert.equal(begins("", "<object>"), "");
});
var values = [
  ["int", " 1_000 ", '{"x": 1000}'],
  ["int", "9007199254740993", '{"x": 9007199254740993}'],
  ["int", "1.5", "x: A whole number is expected, like 12."],
  ["int", "", "x: x is needed."],
  ["float", "1.", '{"x": 1.0}'],
  ["float", "abc", "x: A number is expected, like 0.5."],
  ["float", "nan", "x: JSON has no nan: call it from Python."],
  ["bool", "false", '{"x": false}'],
  ["str", "", '{"x": ""}'],
  ["str", 'say "hi"', '{"x": "say \\"hi\\""}'],
  ["str | None", "", '{"x": null}'],
  ["int | None", "", '{"x": null}'],
  ["list[int]", "[1, 2]", '{"x": [1, 2]}'],
  ["list[int]", '{"a": 1}', "x: A list is expected, like [1, 2]."],
  ["dict", "[1]", 'x: An object is expected, like {"a": 1}.'],
  ["Literal['a', 1]", "1", '{"x": 1}'],
  ["Literal['a', 1]", '"c"', "x: One of the choices is expected."],
  ["", "12345678901234567890", '{"x": 12345678901234567890}'],
  ["", "abc", 'x: This is no JSON. Text goes in double quotes: "abc".'],
  ["bytes", "as it is", "as it is"]
];
for (const [annotation, text, body] of values) {
  test(`${text || "nothing"} in a field for ${annotation || "anything"} gives ${body}`, () => {
    assert.equal(sent([parameter(annotation)], { x: text }), body);
  });
}
test("what still holds its default is left out, what was changed is sent", () => {
  const both = [parameter("int", { name: "a", default: "1" }), parameter("str", { name: "b", default: "'t'" })];
  assert.equal(sent(both, {}), "{}");
  assert.equal(sent(both, { a: "2", b: "" }), '{"a": 2, "b": ""}');
});
test("an optional field that was emptied is left out, or None", () => {
  assert.equal(sent([parameter("int", { default: "1" })], { x: "" }), "{}");
  assert.equal(sent([parameter("int | None", { default: "1" })], { x: "" }), '{"x": null}');
});
test("any further names are spread into the object", () => {
  const rest = { name: "rest", kind: "var_keyword" };
  assert.equal(sent([parameter("int"), rest], { x: "1", rest: '{"y": 2}' }), '{"x": 1, "y": 2}');
  assert.equal(sent([parameter("int"), rest], { x: "1" }), '{"x": 1}');
});
test("what has no name goes by position, and defaults before it are filled in", () => {
  const only = { name: "a", kind: "positional_only", annotation: "int" };
  const more = { name: "more", kind: "var_positional" };
  assert.equal(sent([only, parameter("int", { default: "7" }), more], { a: "1", more: "[8, 9]" }), "[1, 7, 8, 9]");
  assert.equal(sent([only, parameter("int", { default: "7" }), more], { a: "1" }), "[1]");
});
test("what JSON cannot say is told at its field", () => {
  const only = { name: "a", kind: "positional_only", annotation: "int" };
  const keyword = { name: "k", kind: "keyword_only", annotation: "int" };
  const odd = parameter("", { default: "<object>" });
  const more = { name: "more", kind: "var_positional" };
  assert.match(sent([only, keyword], { a: "1", k: "2" }), /^k: JSON cannot send this by name/);
  assert.match(sent([odd, more], { more: "[1]" }), /^x: more comes after it/);
  assert.match(sent([parameter("bytes"), keyword], { x: "b", k: "2" }), /^x: JSON has no bytes/);
});
test("every fault is told at once", () => {
  const both = [parameter("int", { name: "a" }), parameter("int", { name: "b" })];
  assert.equal(sent(both, { b: "x" }), "a: a is needed. b: A whole number is expected, like 12.");
});
test("a parameter may have any name", () => {
  const names = ["__proto__", "constructor", "toString"].map((name) => parameter("int", { name, default: "1" }));
  assert.equal(sent(names, {}), "{}");
});
//# sourceMappingURL=data:application/json;base64,ewogICJ2ZXJzaW9uIjogMywKICAic291cmNlcyI6IFsiLi4vLi4vdGVzdHMvaW52b2tlL2Zvcm0udGVzdC50cyIsICIuLi8uLi9zcmMvaW52b2tlL2xpdGVyYWwudHMiLCAiLi4vLi4vc3JjL2ludm9rZS9ib2R5LnRzIiwgIi4uLy4uL3NyYy9pbnZva2UvZmllbGRzLnRzIl0sCiAgInNvdXJjZXNDb250ZW50IjogWyJpbXBvcnQgYXNzZXJ0IGZyb20gJ25vZGU6YXNzZXJ0L3N0cmljdCc7XG5pbXBvcnQgeyB0ZXN0IH0gZnJvbSAnbm9kZTp0ZXN0JztcbmltcG9ydCB7IGJvZHlPZiwgaXNCb2R5IH0gZnJvbSAnLi4vLi4vc3JjL2ludm9rZS9ib2R5JztcbmltcG9ydCB7IGZpZWxkc09mLCB0eXBlIEZpZWxkIH0gZnJvbSAnLi4vLi4vc3JjL2ludm9rZS9maWVsZHMnO1xuaW1wb3J0IHR5cGUgeyBQYXJhbWV0ZXIgfSBmcm9tICcuLi8uLi9zcmMvbW9kZWwvdHlwZXMnO1xuXG5mdW5jdGlvbiBwYXJhbWV0ZXIoYW5ub3RhdGlvbjogc3RyaW5nLCBjaGFuZ2VzOiBQYXJ0aWFsPFBhcmFtZXRlcj4gPSB7fSk6IFBhcmFtZXRlciB7XG4gIHJldHVybiB7IG5hbWU6ICd4Jywga2luZDogJ3Bvc2l0aW9uYWxfb3Jfa2V5d29yZCcsIGFubm90YXRpb24sIC4uLmNoYW5nZXMgfTtcbn1cblxuZnVuY3Rpb24gZmllbGQoYW5ub3RhdGlvbjogc3RyaW5nLCBjaGFuZ2VzOiBQYXJ0aWFsPFBhcmFtZXRlcj4gPSB7fSk6IEZpZWxkIHtcbiAgcmV0dXJuIGZpZWxkc09mKFtwYXJhbWV0ZXIoYW5ub3RhdGlvbiwgY2hhbmdlcyldKVswXSE7XG59XG5cbmZ1bmN0aW9uIHNlbnQocGFyYW1ldGVyczogcmVhZG9ubHkgUGFyYW1ldGVyW10sIHRleHRzOiBSZWNvcmQ8c3RyaW5nLCBzdHJpbmc+KTogc3RyaW5nIHtcbiAgY29uc3QgbWFkZSA9IGJvZHlPZihmaWVsZHNPZihwYXJhbWV0ZXJzKSwgbmV3IE1hcChPYmplY3QuZW50cmllcyh0ZXh0cykpKTtcbiAgcmV0dXJuIGlzQm9keShtYWRlKSA/IG1hZGUudGV4dCA6IFsuLi5tYWRlLmJ5RmllbGRdLm1hcCgoW25hbWUsIHdoeV0pID0+IGAke25hbWV9OiAke3doeX1gKS5qb2luKCcgJyk7XG59XG5cbmNvbnN0IHR5cGVzOiBbc3RyaW5nLCBzdHJpbmddW10gPSBbXG4gIFsnaW50JywgJ2ludCddLFxuICBbXCInaW50J1wiLCAnaW50J10sXG4gIFsnZmxvYXQnLCAnZmxvYXQnXSxcbiAgWydib29sJywgJ2Jvb2wnXSxcbiAgWydzdHInLCAnc3RyJ10sXG4gIFsnYnl0ZXMnLCAnYnl0ZXMnXSxcbiAgWydsaXN0W2ludF0nLCAnbGlzdCddLFxuICBbJ3R5cGluZy5MaXN0W2ludF0nLCAnbGlzdCddLFxuICBbJ0RpY3Rbc3RyLCBpbnRdJywgJ2RpY3QnXSxcbiAgWydPcHRpb25hbFtpbnRdJywgJ2ludCddLFxuICBbJ2ludCB8IE5vbmUnLCAnaW50J10sXG4gIFsnVW5pb25bTm9uZSwgc3RyXScsICdzdHInXSxcbiAgW1wiTGl0ZXJhbFsnYScsICdiJ11cIiwgJ2Nob2ljZSddLFxuICBbXCJPcHRpb25hbFtMaXRlcmFsWydhfGInLCAyXV1cIiwgJ2Nob2ljZSddLFxuICBbXCJBbm5vdGF0ZWRbaW50LCAndXAgdG8gMyddXCIsICdpbnQnXSxcbiAgWydpbnQgfCBzdHInLCAnanNvbiddLFxuICBbJ251bXB5Lm5kYXJyYXknLCAnanNvbiddLFxuICBbJ2NvbnN0cnVjdG9yJywgJ2pzb24nXSxcbiAgWycnLCAnanNvbiddLFxuICBbJ2xpc3RbJywgJ2pzb24nXVxuXTtcblxuZm9yIChjb25zdCBbYW5ub3RhdGlvbiwgdHlwZV0gb2YgdHlwZXMpIHtcbiAgdGVzdChgdGhlIGhpbnQgJHthbm5vdGF0aW9uIHx8ICcobm9uZSknfSBtYWtlcyBhIGZpZWxkIG9mIHR5cGUgJHt0eXBlfWAsICgpID0+IHtcbiAgICBhc3NlcnQuZXF1YWwoZmllbGQoYW5ub3RhdGlvbikudHlwZSwgdHlwZSk7XG4gIH0pO1xufVxuXG50ZXN0KCdOb25lIGlzIGFsbG93ZWQgd2hlcmUgdGhlIGhpbnQgc2F5cyBzbycsICgpID0+IHtcbiAgY29uc3QgbnVsbGFibGUgPSBbJ09wdGlvbmFsW2ludF0nLCAnc3RyIHwgTm9uZScsIFwiVW5pb25bTGl0ZXJhbFsnYSddLCBOb25lXVwiXTtcbiAgYXNzZXJ0Lm9rKG51bGxhYmxlLmV2ZXJ5KGFubm90YXRpb24gPT4gZmllbGQoYW5ub3RhdGlvbikuaXNOdWxsYWJsZSkpO1xuICBhc3NlcnQub2soIWZpZWxkKCdpbnQnKS5pc051bGxhYmxlKTtcbn0pO1xuXG50ZXN0KCdhIGZpZWxkIGJlZ2lucyB3aXRoIHRoZSBkZWZhdWx0LCBpZiBpdCBjYW4gYmUgd3JpdHRlbiB0aGVyZScsICgpID0+IHtcbiAgY29uc3QgYmVnaW5zID0gKGFubm90YXRpb246IHN0cmluZywgdmFsdWU6IHN0cmluZyk6IHN0cmluZyA9PiBmaWVsZChhbm5vdGF0aW9uLCB7IGRlZmF1bHQ6IHZhbHVlIH0pLmluaXRpYWw7XG4gIGFzc2VydC5lcXVhbChiZWdpbnMoJ2ludCcsICczJyksICczJyk7XG4gIGFzc2VydC5lcXVhbChiZWdpbnMoJ3N0cicsIFwiJ2l0XFxcXCdzJ1wiKSwgXCJpdCdzXCIpO1xuICBhc3NlcnQuZXF1YWwoYmVnaW5zKCdkaWN0JywgXCJ7J2EnOiAxfVwiKSwgJ3tcImFcIjogMX0nKTtcbiAgYXNzZXJ0LmVxdWFsKGJlZ2lucygnYm9vbCcsICdUcnVlJyksICd0cnVlJyk7XG4gIGFzc2VydC5lcXVhbChiZWdpbnMoJ09wdGlvbmFsW2ludF0nLCAnTm9uZScpLCAnJyk7XG4gIGFzc2VydC5lcXVhbChiZWdpbnMoJycsICc8b2JqZWN0PicpLCAnJyk7XG59KTtcblxuY29uc3QgdmFsdWVzOiBbc3RyaW5nLCBzdHJpbmcsIHN0cmluZ11bXSA9IFtcbiAgWydpbnQnLCAnIDFfMDAwICcsICd7XCJ4XCI6IDEwMDB9J10sXG4gIFsnaW50JywgJzkwMDcxOTkyNTQ3NDA5OTMnLCAne1wieFwiOiA5MDA3MTk5MjU0NzQwOTkzfSddLFxuICBbJ2ludCcsICcxLjUnLCAneDogQSB3aG9sZSBudW1iZXIgaXMgZXhwZWN0ZWQsIGxpa2UgMTIuJ10sXG4gIFsnaW50JywgJycsICd4OiB4IGlzIG5lZWRlZC4nXSxcbiAgWydmbG9hdCcsICcxLicsICd7XCJ4XCI6IDEuMH0nXSxcbiAgWydmbG9hdCcsICdhYmMnLCAneDogQSBudW1iZXIgaXMgZXhwZWN0ZWQsIGxpa2UgMC41LiddLFxuICBbJ2Zsb2F0JywgJ25hbicsICd4OiBKU09OIGhhcyBubyBuYW46IGNhbGwgaXQgZnJvbSBQeXRob24uJ10sXG4gIFsnYm9vbCcsICdmYWxzZScsICd7XCJ4XCI6IGZhbHNlfSddLFxuICBbJ3N0cicsICcnLCAne1wieFwiOiBcIlwifSddLFxuICBbJ3N0cicsICdzYXkgXCJoaVwiJywgJ3tcInhcIjogXCJzYXkgXFxcXFwiaGlcXFxcXCJcIn0nXSxcbiAgWydzdHIgfCBOb25lJywgJycsICd7XCJ4XCI6IG51bGx9J10sXG4gIFsnaW50IHwgTm9uZScsICcnLCAne1wieFwiOiBudWxsfSddLFxuICBbJ2xpc3RbaW50XScsICdbMSwgMl0nLCAne1wieFwiOiBbMSwgMl19J10sXG4gIFsnbGlzdFtpbnRdJywgJ3tcImFcIjogMX0nLCAneDogQSBsaXN0IGlzIGV4cGVjdGVkLCBsaWtlIFsxLCAyXS4nXSxcbiAgWydkaWN0JywgJ1sxXScsICd4OiBBbiBvYmplY3QgaXMgZXhwZWN0ZWQsIGxpa2Uge1wiYVwiOiAxfS4nXSxcbiAgW1wiTGl0ZXJhbFsnYScsIDFdXCIsICcxJywgJ3tcInhcIjogMX0nXSxcbiAgW1wiTGl0ZXJhbFsnYScsIDFdXCIsICdcImNcIicsICd4OiBPbmUgb2YgdGhlIGNob2ljZXMgaXMgZXhwZWN0ZWQuJ10sXG4gIFsnJywgJzEyMzQ1Njc4OTAxMjM0NTY3ODkwJywgJ3tcInhcIjogMTIzNDU2Nzg5MDEyMzQ1Njc4OTB9J10sXG4gIFsnJywgJ2FiYycsICd4OiBUaGlzIGlzIG5vIEpTT04uIFRleHQgZ29lcyBpbiBkb3VibGUgcXVvdGVzOiBcImFiY1wiLiddLFxuICBbJ2J5dGVzJywgJ2FzIGl0IGlzJywgJ2FzIGl0IGlzJ11cbl07XG5cbmZvciAoY29uc3QgW2Fubm90YXRpb24sIHRleHQsIGJvZHldIG9mIHZhbHVlcykge1xuICB0ZXN0KGAke3RleHQgfHwgJ25vdGhpbmcnfSBpbiBhIGZpZWxkIGZvciAke2Fubm90YXRpb24gfHwgJ2FueXRoaW5nJ30gZ2l2ZXMgJHtib2R5fWAsICgpID0+IHtcbiAgICBhc3NlcnQuZXF1YWwoc2VudChbcGFyYW1ldGVyKGFubm90YXRpb24pXSwgeyB4OiB0ZXh0IH0pLCBib2R5KTtcbiAgfSk7XG59XG5cbnRlc3QoJ3doYXQgc3RpbGwgaG9sZHMgaXRzIGRlZmF1bHQgaXMgbGVmdCBvdXQsIHdoYXQgd2FzIGNoYW5nZWQgaXMgc2VudCcsICgpID0+IHtcbiAgY29uc3QgYm90aCA9IFtwYXJhbWV0ZXIoJ2ludCcsIHsgbmFtZTogJ2EnLCBkZWZhdWx0OiAnMScgfSksIHBhcmFtZXRlcignc3RyJywgeyBuYW1lOiAnYicsIGRlZmF1bHQ6IFwiJ3QnXCIgfSldO1xuICBhc3NlcnQuZXF1YWwoc2VudChib3RoLCB7fSksICd7fScpO1xuICBhc3NlcnQuZXF1YWwoc2VudChib3RoLCB7IGE6ICcyJywgYjogJycgfSksICd7XCJhXCI6IDIsIFwiYlwiOiBcIlwifScpO1xufSk7XG5cbnRlc3QoJ2FuIG9wdGlvbmFsIGZpZWxkIHRoYXQgd2FzIGVtcHRpZWQgaXMgbGVmdCBvdXQsIG9yIE5vbmUnLCAoKSA9PiB7XG4gIGFzc2VydC5lcXVhbChzZW50KFtwYXJhbWV0ZXIoJ2ludCcsIHsgZGVmYXVsdDogJzEnIH0pXSwgeyB4OiAnJyB9KSwgJ3t9Jyk7XG4gIGFzc2VydC5lcXVhbChzZW50KFtwYXJhbWV0ZXIoJ2ludCB8IE5vbmUnLCB7IGRlZmF1bHQ6ICcxJyB9KV0sIHsgeDogJycgfSksICd7XCJ4XCI6IG51bGx9Jyk7XG59KTtcblxudGVzdCgnYW55IGZ1cnRoZXIgbmFtZXMgYXJlIHNwcmVhZCBpbnRvIHRoZSBvYmplY3QnLCAoKSA9PiB7XG4gIGNvbnN0IHJlc3Q6IFBhcmFtZXRlciA9IHsgbmFtZTogJ3Jlc3QnLCBraW5kOiAndmFyX2tleXdvcmQnIH07XG4gIGFzc2VydC5lcXVhbChzZW50KFtwYXJhbWV0ZXIoJ2ludCcpLCByZXN0XSwgeyB4OiAnMScsIHJlc3Q6ICd7XCJ5XCI6IDJ9JyB9KSwgJ3tcInhcIjogMSwgXCJ5XCI6IDJ9Jyk7XG4gIGFzc2VydC5lcXVhbChzZW50KFtwYXJhbWV0ZXIoJ2ludCcpLCByZXN0XSwgeyB4OiAnMScgfSksICd7XCJ4XCI6IDF9Jyk7XG59KTtcblxudGVzdCgnd2hhdCBoYXMgbm8gbmFtZSBnb2VzIGJ5IHBvc2l0aW9uLCBhbmQgZGVmYXVsdHMgYmVmb3JlIGl0IGFyZSBmaWxsZWQgaW4nLCAoKSA9PiB7XG4gIGNvbnN0IG9ubHk6IFBhcmFtZXRlciA9IHsgbmFtZTogJ2EnLCBraW5kOiAncG9zaXRpb25hbF9vbmx5JywgYW5ub3RhdGlvbjogJ2ludCcgfTtcbiAgY29uc3QgbW9yZTogUGFyYW1ldGVyID0geyBuYW1lOiAnbW9yZScsIGtpbmQ6ICd2YXJfcG9zaXRpb25hbCcgfTtcbiAgYXNzZXJ0LmVxdWFsKHNlbnQoW29ubHksIHBhcmFtZXRlcignaW50JywgeyBkZWZhdWx0OiAnNycgfSksIG1vcmVdLCB7IGE6ICcxJywgbW9yZTogJ1s4LCA5XScgfSksICdbMSwgNywgOCwgOV0nKTtcbiAgYXNzZXJ0LmVxdWFsKHNlbnQoW29ubHksIHBhcmFtZXRlcignaW50JywgeyBkZWZhdWx0OiAnNycgfSksIG1vcmVdLCB7IGE6ICcxJyB9KSwgJ1sxXScpO1xufSk7XG5cbnRlc3QoJ3doYXQgSlNPTiBjYW5ub3Qgc2F5IGlzIHRvbGQgYXQgaXRzIGZpZWxkJywgKCkgPT4ge1xuICBjb25zdCBvbmx5OiBQYXJhbWV0ZXIgPSB7IG5hbWU6ICdhJywga2luZDogJ3Bvc2l0aW9uYWxfb25seScsIGFubm90YXRpb246ICdpbnQnIH07XG4gIGNvbnN0IGtleXdvcmQ6IFBhcmFtZXRlciA9IHsgbmFtZTogJ2snLCBraW5kOiAna2V5d29yZF9vbmx5JywgYW5ub3RhdGlvbjogJ2ludCcgfTtcbiAgY29uc3Qgb2RkID0gcGFyYW1ldGVyKCcnLCB7IGRlZmF1bHQ6ICc8b2JqZWN0PicgfSk7XG4gIGNvbnN0IG1vcmU6IFBhcmFtZXRlciA9IHsgbmFtZTogJ21vcmUnLCBraW5kOiAndmFyX3Bvc2l0aW9uYWwnIH07XG4gIGFzc2VydC5tYXRjaChzZW50KFtvbmx5LCBrZXl3b3JkXSwgeyBhOiAnMScsIGs6ICcyJyB9KSwgL15rOiBKU09OIGNhbm5vdCBzZW5kIHRoaXMgYnkgbmFtZS8pO1xuICBhc3NlcnQubWF0Y2goc2VudChbb2RkLCBtb3JlXSwgeyBtb3JlOiAnWzFdJyB9KSwgL154OiBtb3JlIGNvbWVzIGFmdGVyIGl0Lyk7XG4gIGFzc2VydC5tYXRjaChzZW50KFtwYXJhbWV0ZXIoJ2J5dGVzJyksIGtleXdvcmRdLCB7IHg6ICdiJywgazogJzInIH0pLCAvXng6IEpTT04gaGFzIG5vIGJ5dGVzLyk7XG59KTtcblxudGVzdCgnZXZlcnkgZmF1bHQgaXMgdG9sZCBhdCBvbmNlJywgKCkgPT4ge1xuICBjb25zdCBib3RoID0gW3BhcmFtZXRlcignaW50JywgeyBuYW1lOiAnYScgfSksIHBhcmFtZXRlcignaW50JywgeyBuYW1lOiAnYicgfSldO1xuICBhc3NlcnQuZXF1YWwoc2VudChib3RoLCB7IGI6ICd4JyB9KSwgJ2E6IGEgaXMgbmVlZGVkLiBiOiBBIHdob2xlIG51bWJlciBpcyBleHBlY3RlZCwgbGlrZSAxMi4nKTtcbn0pO1xuXG50ZXN0KCdhIHBhcmFtZXRlciBtYXkgaGF2ZSBhbnkgbmFtZScsICgpID0+IHtcbiAgY29uc3QgbmFtZXMgPSBbJ19fcHJvdG9fXycsICdjb25zdHJ1Y3RvcicsICd0b1N0cmluZyddLm1hcChuYW1lID0+IHBhcmFtZXRlcignaW50JywgeyBuYW1lLCBkZWZhdWx0OiAnMScgfSkpO1xuICBhc3NlcnQuZXF1YWwoc2VudChuYW1lcywge30pLCAne30nKTtcbn0pO1xuIiwgIi8qKlxuICogUHl0aG9uIGxpdGVyYWxzIGFzIEpTT04gdGV4dDogZGVmYXVsdHMgYW5kIGBMaXRlcmFsW1x1MjAyNl1gIGNob2ljZXMgY29tZSBhcyB0aGVpciBgcmVwcmAuXG4gKlxuICogSlNPTiB0ZXh0IGFuZCBub3QgYSB2YWx1ZSwgYmVjYXVzZSBKYXZhU2NyaXB0J3MgbnVtYmVycyB3b3VsZCBjaGFuZ2UgbGFyZ2UgaW50ZWdlcnMuXG4gKi9cblxuLyoqIFJldHVybiBhIGxpdGVyYWwgYXMgSlNPTiB0ZXh0OyBudWxsOiBpdCBpcyBubyBsaXRlcmFsLCBvciBKU09OIGhhcyBubyBmb3JtIGZvciBpdC4gKi9cbmV4cG9ydCBmdW5jdGlvbiBsaXRlcmFsVG9Kc29uKHRleHQ6IHN0cmluZyk6IHN0cmluZyB8IG51bGwge1xuICBjb25zdCByZWFkZXIgPSBuZXcgUmVhZGVyKHRleHQpO1xuICBjb25zdCBqc29uID0gcmVhZGVyLnZhbHVlKCk7XG4gIHJldHVybiBqc29uICE9PSBudWxsICYmIHJlYWRlci5pc0F0RW5kKCkgPyBqc29uIDogbnVsbDtcbn1cblxuLyoqIFJldHVybiB0aGUgaXRlbXMgb2YgYCdhJywgMSwgTm9uZWAgYXMgSlNPTiB0ZXh0IGVhY2g7IG51bGw6IG9uZSBvZiB0aGVtIGlzIG5vIGxpdGVyYWwuICovXG5leHBvcnQgZnVuY3Rpb24gbGl0ZXJhbHNUb0pzb24odGV4dDogc3RyaW5nKTogc3RyaW5nW10gfCBudWxsIHtcbiAgY29uc3QgbGlzdCA9IGxpdGVyYWxUb0pzb24oYFske3RleHR9XWApID09PSBudWxsID8gbnVsbCA6IG5ldyBSZWFkZXIoYFske3RleHR9XWApLml0ZW1zKCdbJywgJ10nKTtcbiAgcmV0dXJuIGxpc3QgIT09IG51bGwgJiYgbGlzdC5sZW5ndGggPiAwID8gbGlzdCA6IG51bGw7XG59XG5cbmNvbnN0IE5BTUVTID0gbmV3IE1hcChbXG4gIFsnTm9uZScsICdudWxsJ10sXG4gIFsnVHJ1ZScsICd0cnVlJ10sXG4gIFsnRmFsc2UnLCAnZmFsc2UnXVxuXSk7XG5jb25zdCBOVU1CRVIgPSAvWystXT8oPzpcXGRbXFxkX10qKSg/OlxcLlxcZCopPyg/OltlRV1bKy1dP1xcZCspP3xbKy1dP1xcLlxcZCsoPzpbZUVdWystXT9cXGQrKT8veTtcbmNvbnN0IE5BTUUgPSAvW0EtWmEtel9dXFx3Ki95O1xuY29uc3QgRVNDQVBFUzogUmVjb3JkPHN0cmluZywgc3RyaW5nPiA9IHsgbjogJ1xcbicsIHI6ICdcXHInLCB0OiAnXFx0JywgJ1xcXFwnOiAnXFxcXCcsIFwiJ1wiOiBcIidcIiwgJ1wiJzogJ1wiJyB9O1xuXG5jbGFzcyBSZWFkZXIge1xuICBjb25zdHJ1Y3Rvcihwcml2YXRlIHJlYWRvbmx5IHRleHQ6IHN0cmluZykge31cblxuICBwcml2YXRlIGF0ID0gMDtcblxuICBpc0F0RW5kKCk6IGJvb2xlYW4ge1xuICAgIHRoaXMuc2tpcFNwYWNlKCk7XG4gICAgcmV0dXJuIHRoaXMuYXQgPT09IHRoaXMudGV4dC5sZW5ndGg7XG4gIH1cblxuICB2YWx1ZSgpOiBzdHJpbmcgfCBudWxsIHtcbiAgICB0aGlzLnNraXBTcGFjZSgpO1xuICAgIGNvbnN0IGhlYWQgPSB0aGlzLnRleHRbdGhpcy5hdF0gPz8gJyc7XG4gICAgaWYgKGhlYWQgPT09IFwiJ1wiIHx8IGhlYWQgPT09ICdcIicpIHtcbiAgICAgIHJldHVybiB0aGlzLnF1b3RlZChoZWFkKTtcbiAgICB9XG4gICAgaWYgKGhlYWQgPT09ICd7Jykge1xuICAgICAgcmV0dXJuIHRoaXMuZGljdGlvbmFyeSgpO1xuICAgIH1cbiAgICByZXR1cm4gaGVhZCA9PT0gJ1snIHx8IGhlYWQgPT09ICcoJyA/IHRoaXMuc2VxdWVuY2UoaGVhZCkgOiB0aGlzLndvcmQoKTtcbiAgfVxuXG4gIHByaXZhdGUgd29yZCgpOiBzdHJpbmcgfCBudWxsIHtcbiAgICBjb25zdCBuYW1lID0gdGhpcy5tYXRjaChOQU1FKTtcbiAgICByZXR1cm4gbmFtZSA/IChOQU1FUy5nZXQobmFtZSkgPz8gbnVsbCkgOiB0aGlzLm51bWJlcigpO1xuICB9XG5cbiAgcHJpdmF0ZSBzZXF1ZW5jZShvcGVuaW5nOiBzdHJpbmcpOiBzdHJpbmcgfCBudWxsIHtcbiAgICBjb25zdCBpdGVtcyA9IHRoaXMuaXRlbXMob3BlbmluZywgb3BlbmluZyA9PT0gJ1snID8gJ10nIDogJyknKTtcbiAgICByZXR1cm4gaXRlbXMgJiYgYFske2l0ZW1zLmpvaW4oJywgJyl9XWA7XG4gIH1cblxuICBpdGVtcyhvcGVuaW5nOiBzdHJpbmcsIGNsb3Npbmc6IHN0cmluZyk6IHN0cmluZ1tdIHwgbnVsbCB7XG4gICAgY29uc3QgaXRlbXM6IHN0cmluZ1tdID0gW107XG4gICAgdGhpcy50YWtlKG9wZW5pbmcpO1xuICAgIHdoaWxlICghdGhpcy50YWtlKGNsb3NpbmcpKSB7XG4gICAgICBjb25zdCBpdGVtID0gdGhpcy52YWx1ZSgpO1xuICAgICAgaWYgKGl0ZW0gPT09IG51bGwgfHwgISh0aGlzLnRha2UoJywnKSB8fCB0aGlzLmlzQmVmb3JlKGNsb3NpbmcpKSkge1xuICAgICAgICByZXR1cm4gbnVsbDtcbiAgICAgIH1cbiAgICAgIGl0ZW1zLnB1c2goaXRlbSk7XG4gICAgfVxuICAgIHJldHVybiBpdGVtcztcbiAgfVxuXG4gIHByaXZhdGUgZGljdGlvbmFyeSgpOiBzdHJpbmcgfCBudWxsIHtcbiAgICBjb25zdCBlbnRyaWVzOiBzdHJpbmdbXSA9IFtdO1xuICAgIHRoaXMudGFrZSgneycpO1xuICAgIHdoaWxlICghdGhpcy50YWtlKCd9JykpIHtcbiAgICAgIGNvbnN0IGtleSA9IHRoaXMudmFsdWUoKTtcbiAgICAgIGNvbnN0IHZhbHVlID0ga2V5Py5zdGFydHNXaXRoKCdcIicpICYmIHRoaXMudGFrZSgnOicpID8gdGhpcy52YWx1ZSgpIDogbnVsbDtcbiAgICAgIGlmICh2YWx1ZSA9PT0gbnVsbCB8fCAhKHRoaXMudGFrZSgnLCcpIHx8IHRoaXMuaXNCZWZvcmUoJ30nKSkpIHtcbiAgICAgICAgcmV0dXJuIG51bGw7XG4gICAgICB9XG4gICAgICBlbnRyaWVzLnB1c2goYCR7a2V5fTogJHt2YWx1ZX1gKTtcbiAgICB9XG4gICAgcmV0dXJuIGB7JHtlbnRyaWVzLmpvaW4oJywgJyl9fWA7XG4gIH1cblxuICBwcml2YXRlIG51bWJlcigpOiBzdHJpbmcgfCBudWxsIHtcbiAgICBjb25zdCBudW1iZXIgPSB0aGlzLm1hdGNoKE5VTUJFUik7XG4gICAgcmV0dXJuIG51bWJlciAmJiBudW1iZXJUb0pzb24obnVtYmVyKTtcbiAgfVxuXG4gIHByaXZhdGUgcXVvdGVkKHF1b3RlOiBzdHJpbmcpOiBzdHJpbmcgfCBudWxsIHtcbiAgICBsZXQgdGV4dCA9ICcnO1xuICAgIGZvciAodGhpcy5hdCsrOyB0aGlzLmF0IDwgdGhpcy50ZXh0Lmxlbmd0aDsgdGhpcy5hdCsrKSB7XG4gICAgICBjb25zdCBsZXR0ZXIgPSB0aGlzLnRleHQuY2hhckF0KHRoaXMuYXQpO1xuICAgICAgaWYgKGxldHRlciA9PT0gcXVvdGUpIHtcbiAgICAgICAgdGhpcy5hdCsrO1xuICAgICAgICByZXR1cm4gSlNPTi5zdHJpbmdpZnkodGV4dCk7XG4gICAgICB9XG4gICAgICBpZiAobGV0dGVyICE9PSAnXFxcXCcpIHtcbiAgICAgICAgdGV4dCArPSBsZXR0ZXI7XG4gICAgICAgIGNvbnRpbnVlO1xuICAgICAgfVxuICAgICAgY29uc3QgZXNjYXBlZCA9IHRoaXMuZXNjYXBlKCk7XG4gICAgICBpZiAoZXNjYXBlZCA9PT0gbnVsbCkge1xuICAgICAgICByZXR1cm4gbnVsbDtcbiAgICAgIH1cbiAgICAgIHRleHQgKz0gZXNjYXBlZDtcbiAgICB9XG4gICAgcmV0dXJuIG51bGw7XG4gIH1cblxuICAvKiogV2hhdCBhIGJhY2tzbGFzaCBhbmQgd2hhdCBmb2xsb3dzIG1lYW47IGxlYXZlcyBgYXRgIG9uIHRoZSBsYXN0IGxldHRlciBvZiBpdC4gKi9cbiAgcHJpdmF0ZSBlc2NhcGUoKTogc3RyaW5nIHwgbnVsbCB7XG4gICAgY29uc3QgbGV0dGVyID0gdGhpcy50ZXh0WysrdGhpcy5hdF0gPz8gJyc7XG4gICAgY29uc3QgZGlnaXRzID0geyB4OiAyLCB1OiA0LCBVOiA4IH1bbGV0dGVyXTtcbiAgICBpZiAoZGlnaXRzID09PSB1bmRlZmluZWQpIHtcbiAgICAgIHJldHVybiBFU0NBUEVTW2xldHRlcl0gPz8gbnVsbDtcbiAgICB9XG4gICAgY29uc3QgaGV4ID0gdGhpcy50ZXh0LnNsaWNlKHRoaXMuYXQgKyAxLCB0aGlzLmF0ICsgMSArIGRpZ2l0cyk7XG4gICAgaWYgKCEvXlswLTlhLWZBLUZdKyQvLnRlc3QoaGV4KSB8fCBwYXJzZUludChoZXgsIDE2KSA+IDB4MTBmZmZmKSB7XG4gICAgICByZXR1cm4gbnVsbDtcbiAgICB9XG4gICAgdGhpcy5hdCArPSBkaWdpdHM7XG4gICAgcmV0dXJuIFN0cmluZy5mcm9tQ29kZVBvaW50KHBhcnNlSW50KGhleCwgMTYpKTtcbiAgfVxuXG4gIHByaXZhdGUgbWF0Y2gocGF0dGVybjogUmVnRXhwKTogc3RyaW5nIHwgbnVsbCB7XG4gICAgcGF0dGVybi5sYXN0SW5kZXggPSB0aGlzLmF0O1xuICAgIGNvbnN0IGZvdW5kID0gcGF0dGVybi5leGVjKHRoaXMudGV4dCk7XG4gICAgdGhpcy5hdCArPSBmb3VuZCA/IGZvdW5kWzBdLmxlbmd0aCA6IDA7XG4gICAgcmV0dXJuIGZvdW5kICYmIGZvdW5kWzBdO1xuICB9XG5cbiAgcHJpdmF0ZSB0YWtlKGxldHRlcjogc3RyaW5nKTogYm9vbGVhbiB7XG4gICAgY29uc3QgaXNUaGVyZSA9IHRoaXMuaXNCZWZvcmUobGV0dGVyKTtcbiAgICB0aGlzLmF0ICs9IGlzVGhlcmUgPyAxIDogMDtcbiAgICByZXR1cm4gaXNUaGVyZTtcbiAgfVxuXG4gIHByaXZhdGUgaXNCZWZvcmUobGV0dGVyOiBzdHJpbmcpOiBib29sZWFuIHtcbiAgICB0aGlzLnNraXBTcGFjZSgpO1xuICAgIHJldHVybiB0aGlzLnRleHRbdGhpcy5hdF0gPT09IGxldHRlcjtcbiAgfVxuXG4gIHByaXZhdGUgc2tpcFNwYWNlKCk6IHZvaWQge1xuICAgIHdoaWxlICgvXFxzLy50ZXN0KHRoaXMudGV4dFt0aGlzLmF0XSA/PyAnJykpIHtcbiAgICAgIHRoaXMuYXQrKztcbiAgICB9XG4gIH1cbn1cblxuLyoqIFJldHVybiBhIFB5dGhvbiBudW1iZXIgYXMgSlNPTiBoYXMgaXQ6IG5vIGArYCwgbm8gYF9gLCBubyBsZWFkaW5nIG9yIHRyYWlsaW5nIHBvaW50LiAqL1xuZXhwb3J0IGZ1bmN0aW9uIG51bWJlclRvSnNvbihudW1iZXI6IHN0cmluZyk6IHN0cmluZyB7XG4gIGNvbnN0IHBsYWluID0gbnVtYmVyLnJlcGxhY2UoL18vZywgJycpLnJlcGxhY2UoL15cXCsvLCAnJyk7XG4gIGNvbnN0IHBvaW50ZWQgPSBwbGFpbi5yZXBsYWNlKC9eKC0/KVxcLi8sICckMTAuJykucmVwbGFjZSgvXFwuKD89JHxbZUVdKS8sICcuMCcpO1xuICByZXR1cm4gcG9pbnRlZC5yZXBsYWNlKC9eKC0/KTArKD89XFxkKS8sICckMScpO1xufVxuIiwgIi8qKlxuICogRnJvbSB3aGF0IGlzIHdyaXR0ZW4gaW4gYSBmb3JtIHRvIHRoZSBib2R5IG9mIGEgY2FsbCwgb3IgdG8gc2VudGVuY2VzIGFib3V0IHdoYXQgaXMgd3JvbmcuIFB1cmUuXG4gKlxuICogQW4gb2JqZWN0IGlzIGtleXdvcmQgYXJndW1lbnRzIGFuZCBhbiBhcnJheSBwb3NpdGlvbmFsIG9uZXMgKEhUVFAgQVBJKS4gRmllbGRzIHRoYXQgc3RpbGwgaG9sZFxuICogdGhlaXIgZGVmYXVsdCBhcmUgbGVmdCBvdXQ6IHRoZSBmdW5jdGlvbidzIG93biBkZWZhdWx0IGFwcGxpZXMsIGFsc28gb25lIHRoYXQgSlNPTiBjYW5ub3Qgc2F5LlxuICovXG5cbmltcG9ydCB0eXBlIHsgRmllbGQgfSBmcm9tICcuL2ZpZWxkcyc7XG5pbXBvcnQgeyBsaXRlcmFsVG9Kc29uLCBudW1iZXJUb0pzb24gfSBmcm9tICcuL2xpdGVyYWwnO1xuXG4vKiogV2hhdCBpcyB3cml0dGVuIGluIGVhY2ggZmllbGQ7IG9uZSB0aGF0IGlzIG5vdCBuYW1lZCBob2xkcyBpdHMgaW5pdGlhbCB0ZXh0LiAqL1xuZXhwb3J0IHR5cGUgVGV4dHMgPSBSZWFkb25seU1hcDxzdHJpbmcsIHN0cmluZz47XG5cbmV4cG9ydCBpbnRlcmZhY2UgQm9keSB7XG4gIC8qKiBXaGF0IGlzIHNlbnQuICovXG4gIHRleHQ6IHN0cmluZztcbiAgY29udGVudFR5cGU6IHN0cmluZztcbn1cblxuZXhwb3J0IGludGVyZmFjZSBGYXVsdHMge1xuICAvKiogQSBzZW50ZW5jZSBieSB0aGUgbmFtZSBvZiB0aGUgZmllbGQgaXQgaXMgYWJvdXQuICovXG4gIGJ5RmllbGQ6IFJlYWRvbmx5TWFwPHN0cmluZywgc3RyaW5nPjtcbn1cblxuLyoqIFJldHVybiB0aGUgYm9keSBmb3Igd2hhdCBpcyB3cml0dGVuIGluIHRoZSBmaWVsZHMsIG9yIHdoYXQgaXMgd3Jvbmcgd2l0aCBpdC4gKi9cbmV4cG9ydCBmdW5jdGlvbiBib2R5T2YoZmllbGRzOiByZWFkb25seSBGaWVsZFtdLCB0ZXh0czogVGV4dHMpOiBCb2R5IHwgRmF1bHRzIHtcbiAgY29uc3Qgb25seSA9IGZpZWxkcy5sZW5ndGggPT09IDEgPyBmaWVsZHNbMF0gOiB1bmRlZmluZWQ7XG4gIGlmIChvbmx5Py50eXBlID09PSAnYnl0ZXMnKSB7XG4gICAgcmV0dXJuIHsgdGV4dDogdGV4dE9mKG9ubHksIHRleHRzKSwgY29udGVudFR5cGU6ICdhcHBsaWNhdGlvbi9vY3RldC1zdHJlYW0nIH07XG4gIH1cbiAgY29uc3QgZ2l2ZW4gPSBuZXcgTWFwPHN0cmluZywgc3RyaW5nPigpO1xuICBjb25zdCBmYXVsdHMgPSBuZXcgTWFwPHN0cmluZywgc3RyaW5nPigpO1xuICBmb3IgKGNvbnN0IGZpZWxkIG9mIGZpZWxkcykge1xuICAgIGNvbnN0IHJlYWQgPSByZWFkRmllbGQoZmllbGQsIHRleHRPZihmaWVsZCwgdGV4dHMpKTtcbiAgICBpZiAocmVhZC5mYXVsdCAhPT0gdW5kZWZpbmVkKSB7XG4gICAgICBmYXVsdHMuc2V0KGZpZWxkLm5hbWUsIHJlYWQuZmF1bHQpO1xuICAgIH0gZWxzZSBpZiAocmVhZC5qc29uICE9PSB1bmRlZmluZWQpIHtcbiAgICAgIGdpdmVuLnNldChmaWVsZC5uYW1lLCByZWFkLmpzb24pO1xuICAgIH1cbiAgfVxuICBpZiAoZmF1bHRzLnNpemUgPiAwKSByZXR1cm4geyBieUZpZWxkOiBmYXVsdHMgfTtcbiAgcmV0dXJuIG5lZWRzUG9zaXRpb25zKGZpZWxkcywgZ2l2ZW4pID8gcG9zaXRpb25hbChmaWVsZHMsIGdpdmVuKSA6IG5hbWVkKGZpZWxkcywgZ2l2ZW4pO1xufVxuXG4vKiogV2hldGhlciBhIGJvZHkgY2FtZSBvdXQuICovXG5leHBvcnQgZnVuY3Rpb24gaXNCb2R5KG1hZGU6IEJvZHkgfCBGYXVsdHMpOiBtYWRlIGlzIEJvZHkge1xuICByZXR1cm4gJ2NvbnRlbnRUeXBlJyBpbiBtYWRlO1xufVxuXG4vKiogTmVpdGhlcjogdGhlIGZpZWxkIGlzIGxlZnQgb3V0LiAqL1xuaW50ZXJmYWNlIFJlYWQge1xuICBqc29uPzogc3RyaW5nO1xuICBmYXVsdD86IHN0cmluZztcbn1cblxuZnVuY3Rpb24gcmVhZEZpZWxkKGZpZWxkOiBGaWVsZCwgdGV4dDogc3RyaW5nKTogUmVhZCB7XG4gIGNvbnN0IGlzVW50b3VjaGVkID0gdGV4dCA9PT0gZmllbGQuaW5pdGlhbDtcbiAgaWYgKGlzVW50b3VjaGVkICYmICFmaWVsZC5pc1JlcXVpcmVkKSB7XG4gICAgcmV0dXJuIHt9O1xuICB9XG4gIGlmICh0ZXh0LnRyaW0oKSA9PT0gJycgJiYgZmllbGQudHlwZSAhPT0gJ3N0cicpIHtcbiAgICByZXR1cm4gZW1wdGllZChmaWVsZCk7XG4gIH1cbiAgaWYgKHRleHQgPT09ICcnICYmIGZpZWxkLmlzTnVsbGFibGUpIHtcbiAgICByZXR1cm4geyBqc29uOiAnbnVsbCcgfTtcbiAgfVxuICByZXR1cm4gUkVBREVSU1tmaWVsZC50eXBlXSh0ZXh0LCBmaWVsZCk7XG59XG5cbmZ1bmN0aW9uIGVtcHRpZWQoZmllbGQ6IEZpZWxkKTogUmVhZCB7XG4gIGlmIChmaWVsZC5pc051bGxhYmxlKSB7XG4gICAgcmV0dXJuIHsganNvbjogJ251bGwnIH07XG4gIH1cbiAgcmV0dXJuIGZpZWxkLmlzUmVxdWlyZWQgPyB7IGZhdWx0OiBgJHtmaWVsZC5uYW1lfSBpcyBuZWVkZWQuYCB9IDoge307XG59XG5cbmNvbnN0IFJFQURFUlM6IFJlY29yZDxGaWVsZFsndHlwZSddLCAodGV4dDogc3RyaW5nLCBmaWVsZDogRmllbGQpID0+IFJlYWQ+ID0ge1xuICBpbnQ6IHRleHQgPT5cbiAgICAvXlxccypbKy1dP1xcZFtcXGRfXSpcXHMqJC8udGVzdCh0ZXh0KVxuICAgICAgPyB7IGpzb246IG51bWJlclRvSnNvbih0ZXh0LnRyaW0oKSkgfVxuICAgICAgOiB7IGZhdWx0OiAnQSB3aG9sZSBudW1iZXIgaXMgZXhwZWN0ZWQsIGxpa2UgMTIuJyB9LFxuICBmbG9hdDogcmVhZEZsb2F0LFxuICBib29sOiB0ZXh0ID0+XG4gICAgdGV4dCA9PT0gJ3RydWUnIHx8IHRleHQgPT09ICdmYWxzZScgPyB7IGpzb246IHRleHQgfSA6IHsgZmF1bHQ6ICdUcnVlIG9yIEZhbHNlIGlzIGV4cGVjdGVkLicgfSxcbiAgc3RyOiB0ZXh0ID0+ICh7IGpzb246IEpTT04uc3RyaW5naWZ5KHRleHQpIH0pLFxuICBieXRlczogKCkgPT4gKHtcbiAgICBmYXVsdDogJ0pTT04gaGFzIG5vIGJ5dGVzOiBjYWxsIGl0IGZyb20gUHl0aG9uLCBvciBtYWtlIGJ5dGVzIGl0cyBvbmx5IHBhcmFtZXRlci4nXG4gIH0pLFxuICBjaG9pY2U6ICh0ZXh0LCBmaWVsZCkgPT5cbiAgICBmaWVsZC5jaG9pY2VzLmluY2x1ZGVzKHRleHQpID8geyBqc29uOiB0ZXh0IH0gOiB7IGZhdWx0OiAnT25lIG9mIHRoZSBjaG9pY2VzIGlzIGV4cGVjdGVkLicgfSxcbiAgbGlzdDogdGV4dCA9PiByZWFkSnNvbih0ZXh0LCAnQSBsaXN0IGlzIGV4cGVjdGVkLCBsaWtlIFsxLCAyXS4nLCB2YWx1ZSA9PiBBcnJheS5pc0FycmF5KHZhbHVlKSksXG4gIGRpY3Q6IHRleHQgPT4gcmVhZEpzb24odGV4dCwgJ0FuIG9iamVjdCBpcyBleHBlY3RlZCwgbGlrZSB7XCJhXCI6IDF9LicsIGlzT2JqZWN0KSxcbiAganNvbjogdGV4dCA9PiByZWFkSnNvbih0ZXh0LCAnJywgKCkgPT4gdHJ1ZSlcbn07XG5cbmZ1bmN0aW9uIHJlYWRGbG9hdCh0ZXh0OiBzdHJpbmcpOiBSZWFkIHtcbiAgY29uc3QgdHJpbW1lZCA9IHRleHQudHJpbSgpO1xuICBpZiAoL15bKy1dPyhuYW58aW5mKGluaXR5KT8pJC9pLnRlc3QodHJpbW1lZCkpIHtcbiAgICByZXR1cm4geyBmYXVsdDogYEpTT04gaGFzIG5vICR7dHJpbW1lZH06IGNhbGwgaXQgZnJvbSBQeXRob24uYCB9O1xuICB9XG4gIGNvbnN0IGlzTnVtYmVyID0gL15bKy1dPyhcXGRbXFxkX10qXFwuP1xcZCp8XFwuXFxkKykoW2VFXVsrLV0/XFxkKyk/JC8udGVzdCh0cmltbWVkKTtcbiAgcmV0dXJuIGlzTnVtYmVyID8geyBqc29uOiBudW1iZXJUb0pzb24odHJpbW1lZCkgfSA6IHsgZmF1bHQ6ICdBIG51bWJlciBpcyBleHBlY3RlZCwgbGlrZSAwLjUuJyB9O1xufVxuXG5mdW5jdGlvbiByZWFkSnNvbih0ZXh0OiBzdHJpbmcsIGV4cGVjdGVkOiBzdHJpbmcsIGZpdHM6ICh2YWx1ZTogdW5rbm93bikgPT4gYm9vbGVhbik6IFJlYWQge1xuICBsZXQgdmFsdWU6IHVua25vd247XG4gIHRyeSB7XG4gICAgdmFsdWUgPSBKU09OLnBhcnNlKHRleHQpO1xuICB9IGNhdGNoIHtcbiAgICByZXR1cm4geyBmYXVsdDogZXhwZWN0ZWQgfHwgJ1RoaXMgaXMgbm8gSlNPTi4gVGV4dCBnb2VzIGluIGRvdWJsZSBxdW90ZXM6IFwiYWJjXCIuJyB9O1xuICB9XG4gIHJldHVybiBmaXRzKHZhbHVlKSA/IHsganNvbjogdGV4dC50cmltKCkgfSA6IHsgZmF1bHQ6IGV4cGVjdGVkIH07XG59XG5cbmZ1bmN0aW9uIGlzT2JqZWN0KHZhbHVlOiB1bmtub3duKTogYm9vbGVhbiB7XG4gIHJldHVybiB0eXBlb2YgdmFsdWUgPT09ICdvYmplY3QnICYmIHZhbHVlICE9PSBudWxsICYmICFBcnJheS5pc0FycmF5KHZhbHVlKTtcbn1cblxuZnVuY3Rpb24gdGV4dE9mKGZpZWxkOiBGaWVsZCwgdGV4dHM6IFRleHRzKTogc3RyaW5nIHtcbiAgcmV0dXJuIHRleHRzLmdldChmaWVsZC5uYW1lKSA/PyBmaWVsZC5pbml0aWFsO1xufVxuXG5mdW5jdGlvbiBuZWVkc1Bvc2l0aW9ucyhmaWVsZHM6IHJlYWRvbmx5IEZpZWxkW10sIGdpdmVuOiBSZWFkb25seU1hcDxzdHJpbmcsIHN0cmluZz4pOiBib29sZWFuIHtcbiAgcmV0dXJuIGZpZWxkcy5zb21lKFxuICAgIGZpZWxkID0+XG4gICAgICBnaXZlbi5oYXMoZmllbGQubmFtZSkgJiZcbiAgICAgIChmaWVsZC5raW5kID09PSAncG9zaXRpb25hbF9vbmx5JyB8fFxuICAgICAgICAoZmllbGQua2luZCA9PT0gJ3Zhcl9wb3NpdGlvbmFsJyAmJiAhaXNFbXB0eUpzb24oZ2l2ZW4uZ2V0KGZpZWxkLm5hbWUpKSkpXG4gICk7XG59XG5cbmZ1bmN0aW9uIGlzRW1wdHlKc29uKGpzb246IHN0cmluZyB8IHVuZGVmaW5lZCk6IGJvb2xlYW4ge1xuICByZXR1cm4ganNvbiA9PT0gdW5kZWZpbmVkIHx8IC9eW1t7XVxccypbXFxdfV0kLy50ZXN0KGpzb24pO1xufVxuXG5mdW5jdGlvbiBuYW1lZChmaWVsZHM6IHJlYWRvbmx5IEZpZWxkW10sIGdpdmVuOiBSZWFkb25seU1hcDxzdHJpbmcsIHN0cmluZz4pOiBCb2R5IHtcbiAgY29uc3QgZW50cmllcyA9IGZpZWxkcy5mbGF0TWFwKGZpZWxkID0+IHtcbiAgICBjb25zdCBqc29uID0gZ2l2ZW4uZ2V0KGZpZWxkLm5hbWUpO1xuICAgIGlmIChqc29uID09PSB1bmRlZmluZWQgfHwgZmllbGQua2luZCA9PT0gJ3Zhcl9wb3NpdGlvbmFsJykge1xuICAgICAgcmV0dXJuIFtdO1xuICAgIH1cbiAgICBpZiAoZmllbGQua2luZCA9PT0gJ3Zhcl9rZXl3b3JkJykge1xuICAgICAgcmV0dXJuIGlzRW1wdHlKc29uKGpzb24pID8gW10gOiBbanNvbi5zbGljZSgxLCAtMSkudHJpbSgpXTtcbiAgICB9XG4gICAgcmV0dXJuIFtgJHtKU09OLnN0cmluZ2lmeShmaWVsZC5uYW1lKX06ICR7anNvbn1gXTtcbiAgfSk7XG4gIHJldHVybiB7IHRleHQ6IGB7JHtlbnRyaWVzLmpvaW4oJywgJyl9fWAsIGNvbnRlbnRUeXBlOiAnYXBwbGljYXRpb24vanNvbicgfTtcbn1cblxuLyoqIEFyZ3VtZW50cyBpbiBvcmRlcjogSlNPTiBvdmVyIEhUVFAgaGFzIG5vIHdheSB0byBzZW5kIHNvbWUgYnkgcG9zaXRpb24gYW5kIHNvbWUgYnkgbmFtZS4gKi9cbmZ1bmN0aW9uIHBvc2l0aW9uYWwoZmllbGRzOiByZWFkb25seSBGaWVsZFtdLCBnaXZlbjogUmVhZG9ubHlNYXA8c3RyaW5nLCBzdHJpbmc+KTogQm9keSB8IEZhdWx0cyB7XG4gIGNvbnN0IGl0ZW1zOiBzdHJpbmdbXSA9IFtdO1xuICBsZXQgbGVmdE91dDogRmllbGRbXSA9IFtdO1xuICBmb3IgKGNvbnN0IGZpZWxkIG9mIGZpZWxkcykge1xuICAgIGNvbnN0IGpzb24gPSBnaXZlbi5nZXQoZmllbGQubmFtZSk7XG4gICAgaWYgKGpzb24gPT09IHVuZGVmaW5lZCB8fCAoaXNWYXJpYWJsZShmaWVsZCkgJiYgaXNFbXB0eUpzb24oanNvbikpKSB7XG4gICAgICBsZWZ0T3V0LnB1c2goLi4uKGlzVmFyaWFibGUoZmllbGQpID8gW10gOiBbZmllbGRdKSk7XG4gICAgICBjb250aW51ZTtcbiAgICB9XG4gICAgaWYgKGZpZWxkLmtpbmQgPT09ICdrZXl3b3JkX29ubHknIHx8IGZpZWxkLmtpbmQgPT09ICd2YXJfa2V5d29yZCcpIHtcbiAgICAgIHJldHVybiBmYXVsdChmaWVsZCwgJ0pTT04gY2Fubm90IHNlbmQgdGhpcyBieSBuYW1lIGFuZCBvdGhlcnMgYnkgcG9zaXRpb246IGNhbGwgaXQgZnJvbSBQeXRob24uJyk7XG4gICAgfVxuICAgIGNvbnN0IGZpbGxlZCA9IGxlZnRPdXQubWFwKG9uZSA9PiBsaXRlcmFsVG9Kc29uKG9uZS5kZWZhdWx0KSk7XG4gICAgY29uc3QgdW5maWxsZWQgPSBsZWZ0T3V0W2ZpbGxlZC5pbmRleE9mKG51bGwpXTtcbiAgICBpZiAodW5maWxsZWQpIHJldHVybiBmYXVsdCh1bmZpbGxlZCwgYCR7ZmllbGQubmFtZX0gY29tZXMgYWZ0ZXIgaXQ6IHdyaXRlIGEgdmFsdWUgaGVyZSB0b28uYCk7XG4gICAgaXRlbXMucHVzaCguLi4oZmlsbGVkIGFzIHN0cmluZ1tdKSwgaXNWYXJpYWJsZShmaWVsZCkgPyBqc29uLnNsaWNlKDEsIC0xKS50cmltKCkgOiBqc29uKTtcbiAgICBsZWZ0T3V0ID0gW107XG4gIH1cbiAgcmV0dXJuIHsgdGV4dDogYFske2l0ZW1zLmpvaW4oJywgJyl9XWAsIGNvbnRlbnRUeXBlOiAnYXBwbGljYXRpb24vanNvbicgfTtcbn1cblxuZnVuY3Rpb24gaXNWYXJpYWJsZShmaWVsZDogRmllbGQpOiBib29sZWFuIHtcbiAgcmV0dXJuIGZpZWxkLmtpbmQuc3RhcnRzV2l0aCgndmFyXycpO1xufVxuXG5mdW5jdGlvbiBmYXVsdChmaWVsZDogRmllbGQsIHNlbnRlbmNlOiBzdHJpbmcpOiBGYXVsdHMge1xuICByZXR1cm4geyBieUZpZWxkOiBuZXcgTWFwKFtbZmllbGQubmFtZSwgc2VudGVuY2VdXSkgfTtcbn1cbiIsICIvKipcbiAqIEZyb20gYSBzaWduYXR1cmUgdG8gdGhlIGZpZWxkcyBvZiBhIGZvcm0uIFB1cmUuXG4gKlxuICogV2hhdCB0aGUgZ2F0ZXdheSB0ZWxscyBvZiBhIHBhcmFtZXRlciBpcyB0ZXh0OiBpdHMgdHlwZSBoaW50IGFzIHdyaXR0ZW4sIGl0cyBkZWZhdWx0IGFzIGByZXByYC5cbiAqL1xuXG5pbXBvcnQgdHlwZSB7IFBhcmFtZXRlciB9IGZyb20gJy4uL21vZGVsL3R5cGVzJztcbmltcG9ydCB7IGxpdGVyYWxzVG9Kc29uLCBsaXRlcmFsVG9Kc29uIH0gZnJvbSAnLi9saXRlcmFsJztcblxuZXhwb3J0IHR5cGUgRmllbGRUeXBlID0gJ2ludCcgfCAnZmxvYXQnIHwgJ2Jvb2wnIHwgJ3N0cicgfCAnYnl0ZXMnIHwgJ2xpc3QnIHwgJ2RpY3QnIHwgJ2Nob2ljZScgfCAnanNvbic7XG5cbmV4cG9ydCBpbnRlcmZhY2UgRmllbGQge1xuICBuYW1lOiBzdHJpbmc7XG4gIC8qKiBBcyBgaW5zcGVjdC5QYXJhbWV0ZXIua2luZGAgaGFzIGl0LCBpbiBsb3dlciBjYXNlLiAqL1xuICBraW5kOiBzdHJpbmc7XG4gIHR5cGU6IEZpZWxkVHlwZTtcbiAgLyoqIE9mIGBjaG9pY2VgOiBKU09OIHRleHQgb2YgZWFjaC4gKi9cbiAgY2hvaWNlczogcmVhZG9ubHkgc3RyaW5nW107XG4gIC8qKiBgTm9uZWAgaXMgYWxsb3dlZCwgYW5kIGlzIHdoYXQgYW4gZW1wdHkgZmllbGQgbWVhbnMuICovXG4gIGlzTnVsbGFibGU6IGJvb2xlYW47XG4gIC8qKiBBbiBhcmd1bWVudCBpcyBuZWVkZWQuICovXG4gIGlzUmVxdWlyZWQ6IGJvb2xlYW47XG4gIC8qKiBUaGUgaGludCwgZm9yIHBlb3BsZTsgZW1wdHk6IHRoZXJlIGlzIG5vbmUuICovXG4gIGhpbnQ6IHN0cmluZztcbiAgLyoqIFRoZSBkZWZhdWx0J3MgYHJlcHJgOyBlbXB0eTogdGhlcmUgaXMgbm9uZS4gKi9cbiAgZGVmYXVsdDogc3RyaW5nO1xuICAvKiogV2hhdCB0aGUgZmllbGQgaG9sZHMgYXQgZmlyc3Q6IHRoZSBkZWZhdWx0LCBpZiBpdCBjYW4gYmUgd3JpdHRlbiBpbiBpdC4gKi9cbiAgaW5pdGlhbDogc3RyaW5nO1xufVxuXG4vKiogUmV0dXJuIHRoZSBmaWVsZHMgZm9yIGEgZnVuY3Rpb24ncyBwYXJhbWV0ZXJzLiAqL1xuZXhwb3J0IGZ1bmN0aW9uIGZpZWxkc09mKHBhcmFtZXRlcnM6IHJlYWRvbmx5IFBhcmFtZXRlcltdKTogRmllbGRbXSB7XG4gIHJldHVybiBwYXJhbWV0ZXJzLm1hcChmaWVsZE9mKTtcbn1cblxuZnVuY3Rpb24gZmllbGRPZihwYXJhbWV0ZXI6IFBhcmFtZXRlcik6IEZpZWxkIHtcbiAgY29uc3QgaGludCA9IHVucXVvdGVkKHBhcmFtZXRlci5hbm5vdGF0aW9uID8/ICcnKTtcbiAgY29uc3QgeyB0eXBlLCBjaG9pY2VzLCBpc051bGxhYmxlIH0gPSB0eXBlZChwYXJhbWV0ZXIua2luZCwgaGludCk7XG4gIGNvbnN0IGlzVmFyaWFibGUgPSBwYXJhbWV0ZXIua2luZC5zdGFydHNXaXRoKCd2YXJfJyk7XG4gIGNvbnN0IGZpZWxkID0ge1xuICAgIG5hbWU6IHBhcmFtZXRlci5uYW1lLFxuICAgIGtpbmQ6IHBhcmFtZXRlci5raW5kLFxuICAgIHR5cGUsXG4gICAgY2hvaWNlcyxcbiAgICBpc051bGxhYmxlLFxuICAgIGlzUmVxdWlyZWQ6IChwYXJhbWV0ZXIuZGVmYXVsdCA/PyBudWxsKSA9PT0gbnVsbCAmJiAhaXNWYXJpYWJsZSxcbiAgICBoaW50LFxuICAgIGRlZmF1bHQ6IHBhcmFtZXRlci5kZWZhdWx0ID8/ICcnXG4gIH07XG4gIHJldHVybiB7IC4uLmZpZWxkLCBpbml0aWFsOiBpbml0aWFsT2YoZmllbGQpIH07XG59XG5cbmludGVyZmFjZSBUeXBlZCB7XG4gIHR5cGU6IEZpZWxkVHlwZTtcbiAgY2hvaWNlczogcmVhZG9ubHkgc3RyaW5nW107XG4gIGlzTnVsbGFibGU6IGJvb2xlYW47XG59XG5cbmNvbnN0IFBMQUlOID0gbmV3IE1hcDxzdHJpbmcsIEZpZWxkVHlwZT4oW1xuICBbJ2ludCcsICdpbnQnXSxcbiAgWydmbG9hdCcsICdmbG9hdCddLFxuICBbJ2Jvb2wnLCAnYm9vbCddLFxuICBbJ3N0cicsICdzdHInXSxcbiAgWydieXRlcycsICdieXRlcyddLFxuICBbJ2J5dGVhcnJheScsICdieXRlcyddXG5dKTtcbmNvbnN0IExJU1RTID0gbmV3IFNldChbJ2xpc3QnLCAnTGlzdCcsICd0dXBsZScsICdUdXBsZScsICdzZXQnLCAnU2V0JywgJ2Zyb3plbnNldCcsICdTZXF1ZW5jZScsICdJdGVyYWJsZScsICdDb2xsZWN0aW9uJ10pO1xuY29uc3QgRElDVFMgPSBuZXcgU2V0KFsnZGljdCcsICdEaWN0JywgJ01hcHBpbmcnLCAnTXV0YWJsZU1hcHBpbmcnLCAnVHlwZWREaWN0J10pO1xuXG5mdW5jdGlvbiB0eXBlZChraW5kOiBzdHJpbmcsIGhpbnQ6IHN0cmluZyk6IFR5cGVkIHtcbiAgY29uc3QgcGxhaW4gPSB7IGNob2ljZXM6IFtdLCBpc051bGxhYmxlOiBmYWxzZSB9O1xuICBpZiAoa2luZCA9PT0gJ3Zhcl9wb3NpdGlvbmFsJykge1xuICAgIHJldHVybiB7IC4uLnBsYWluLCB0eXBlOiAnbGlzdCcgfTtcbiAgfVxuICByZXR1cm4ga2luZCA9PT0gJ3Zhcl9rZXl3b3JkJyA/IHsgLi4ucGxhaW4sIHR5cGU6ICdkaWN0JyB9IDogdHlwZWRIaW50KGhpbnQpO1xufVxuXG5mdW5jdGlvbiB0eXBlZEhpbnQoaGludDogc3RyaW5nKTogVHlwZWQge1xuICBjb25zdCB7IHdhbnRlZCwgaXNOdWxsYWJsZSB9ID0gd2l0aG91dE5vbmUoaGludCk7XG4gIGNvbnN0IFtvbmx5LCAuLi5vdGhlcnNdID0gd2FudGVkO1xuICBpZiAob25seSA9PT0gdW5kZWZpbmVkIHx8IG90aGVycy5sZW5ndGggPiAwKSByZXR1cm4geyB0eXBlOiAnanNvbicsIGNob2ljZXM6IFtdLCBpc051bGxhYmxlIH07XG4gIGNvbnN0IHsgbmFtZSwgY29udGVudCB9ID0gc3BsaXQob25seSk7XG4gIGlmIChuYW1lID09PSAnTGl0ZXJhbCcpIHtcbiAgICBjb25zdCBjaG9pY2VzID0gbGl0ZXJhbHNUb0pzb24oY29udGVudCk7XG4gICAgcmV0dXJuIGNob2ljZXMgPyB7IHR5cGU6ICdjaG9pY2UnLCBjaG9pY2VzLCBpc051bGxhYmxlIH0gOiB7IHR5cGU6ICdqc29uJywgY2hvaWNlczogW10sIGlzTnVsbGFibGUgfTtcbiAgfVxuICBpZiAobmFtZSA9PT0gJ0Fubm90YXRlZCcpIHtcbiAgICBjb25zdCBpbm5lciA9IHR5cGVkSGludChwYXJ0cyhjb250ZW50LCAnLCcpWzBdID8/ICcnKTtcbiAgICByZXR1cm4geyAuLi5pbm5lciwgaXNOdWxsYWJsZTogaXNOdWxsYWJsZSB8fCBpbm5lci5pc051bGxhYmxlIH07XG4gIH1cbiAgcmV0dXJuIHsgdHlwZTogdHlwZU5hbWVkKG5hbWUpLCBjaG9pY2VzOiBbXSwgaXNOdWxsYWJsZSB9O1xufVxuXG5mdW5jdGlvbiB0eXBlTmFtZWQobmFtZTogc3RyaW5nKTogRmllbGRUeXBlIHtcbiAgaWYgKExJU1RTLmhhcyhuYW1lKSkgcmV0dXJuICdsaXN0JztcbiAgcmV0dXJuIERJQ1RTLmhhcyhuYW1lKSA/ICdkaWN0JyA6IChQTEFJTi5nZXQobmFtZSkgPz8gJ2pzb24nKTtcbn1cblxuLyoqIFRoZSBtZW1iZXJzIG9mIGEgdW5pb24sIGBOb25lYCB0YWtlbiBvdXQuICovXG5mdW5jdGlvbiB3aXRob3V0Tm9uZShoaW50OiBzdHJpbmcpOiB7IHdhbnRlZDogc3RyaW5nW107IGlzTnVsbGFibGU6IGJvb2xlYW4gfSB7XG4gIGNvbnN0IG1lbWJlcnMgPSB1bmlvbk9mKGhpbnQudHJpbSgpKTtcbiAgY29uc3Qgd2FudGVkID0gbWVtYmVycy5maWx0ZXIob25lID0+IG9uZSAhPT0gJ05vbmUnICYmIG9uZSAhPT0gJ05vbmVUeXBlJyk7XG4gIHJldHVybiB7IHdhbnRlZCwgaXNOdWxsYWJsZTogd2FudGVkLmxlbmd0aCA8IG1lbWJlcnMubGVuZ3RoIH07XG59XG5cbmZ1bmN0aW9uIHVuaW9uT2YoaGludDogc3RyaW5nKTogc3RyaW5nW10ge1xuICBjb25zdCB7IG5hbWUsIGNvbnRlbnQgfSA9IHNwbGl0KGhpbnQpO1xuICBpZiAobmFtZSA9PT0gJ09wdGlvbmFsJykge1xuICAgIHJldHVybiBbLi4udW5pb25PZihjb250ZW50KSwgJ05vbmUnXTtcbiAgfVxuICBpZiAobmFtZSA9PT0gJ1VuaW9uJykge1xuICAgIHJldHVybiBwYXJ0cyhjb250ZW50LCAnLCcpLmZsYXRNYXAodW5pb25PZik7XG4gIH1cbiAgY29uc3QgbWVtYmVycyA9IHBhcnRzKGhpbnQsICd8Jyk7XG4gIHJldHVybiBtZW1iZXJzLmxlbmd0aCA+IDEgPyBtZW1iZXJzLmZsYXRNYXAodW5pb25PZikgOiBtZW1iZXJzO1xufVxuXG4vKiogYHR5cGluZy5MaXN0W2ludF1gIFx1MjE5MiBgTGlzdGAgYW5kIGBpbnRgLiAqL1xuZnVuY3Rpb24gc3BsaXQoaGludDogc3RyaW5nKTogeyBuYW1lOiBzdHJpbmc7IGNvbnRlbnQ6IHN0cmluZyB9IHtcbiAgY29uc3QgZm91bmQgPSAvXihbXFx3Ll0rKSg/OlxcWyguKilcXF0pPyQvcy5leGVjKGhpbnQudHJpbSgpKTtcbiAgcmV0dXJuIHsgbmFtZTogZm91bmQ/LlsxXT8uc3BsaXQoJy4nKS5wb3AoKSA/PyAnJywgY29udGVudDogZm91bmQ/LlsyXT8udHJpbSgpID8/ICcnIH07XG59XG5cbi8qKiBUZXh0IGRpdmlkZWQgYXQgYSBsZXR0ZXIgdGhhdCBzdGFuZHMgb3V0c2lkZSBicmFja2V0cyBhbmQgcXVvdGVzLiAqL1xuZnVuY3Rpb24gcGFydHModGV4dDogc3RyaW5nLCBzZXBhcmF0b3I6IHN0cmluZyk6IHN0cmluZ1tdIHtcbiAgY29uc3QgZm91bmQgPSBbJyddO1xuICBsZXQgZGVwdGggPSAwO1xuICBmb3IgKGNvbnN0IHRva2VuIG9mIHRleHQubWF0Y2goUVVPVEVEX09SX0xFVFRFUikgPz8gW10pIHtcbiAgICBpZiAoJ1soeycuaW5jbHVkZXModG9rZW4pKSBkZXB0aCsrO1xuICAgIGlmICgnXSl9Jy5pbmNsdWRlcyh0b2tlbikpIGRlcHRoLS07XG4gICAgY29uc3QgaXNFbmQgPSB0b2tlbiA9PT0gc2VwYXJhdG9yICYmIGRlcHRoID09PSAwO1xuICAgIGZvdW5kLnB1c2goaXNFbmQgPyAnJyA6IChmb3VuZC5wb3AoKSA/PyAnJykgKyB0b2tlbik7XG4gIH1cbiAgcmV0dXJuIGZvdW5kLm1hcChwYXJ0ID0+IHBhcnQudHJpbSgpKS5maWx0ZXIocGFydCA9PiBwYXJ0ICE9PSAnJyk7XG59XG5cbmNvbnN0IFFVT1RFRF9PUl9MRVRURVIgPSAvJyg/OlxcXFwufFteJ1xcXFxdKSonfFwiKD86XFxcXC58W15cIlxcXFxdKSpcInwuL2dzO1xuXG4vKiogVW5kZXIgYGZyb20gX19mdXR1cmVfXyBpbXBvcnQgYW5ub3RhdGlvbnNgIGEgaGludCBpcyB0aGUgYHJlcHJgIG9mIGl0cyB0ZXh0LiAqL1xuZnVuY3Rpb24gdW5xdW90ZWQoYW5ub3RhdGlvbjogc3RyaW5nKTogc3RyaW5nIHtcbiAgY29uc3QgZm91bmQgPSAvXihbJ1wiXSkoLiopXFwxJC9zLmV4ZWMoYW5ub3RhdGlvbik/LlsyXTtcbiAgcmV0dXJuIGZvdW5kPy5yZXBsYWNlKC9cXFxcKFsnXCJcXFxcXSkvZywgJyQxJykgPz8gYW5ub3RhdGlvbjtcbn1cblxuZnVuY3Rpb24gaW5pdGlhbE9mKGZpZWxkOiBPbWl0PEZpZWxkLCAnaW5pdGlhbCc+KTogc3RyaW5nIHtcbiAgY29uc3QganNvbiA9IGZpZWxkLmRlZmF1bHQgPT09ICcnID8gbnVsbCA6IGxpdGVyYWxUb0pzb24oZmllbGQuZGVmYXVsdCk7XG4gIGlmIChqc29uID09PSBudWxsIHx8IChqc29uID09PSAnbnVsbCcgJiYgZmllbGQudHlwZSAhPT0gJ2pzb24nKSkge1xuICAgIHJldHVybiAnJztcbiAgfVxuICBzd2l0Y2ggKGZpZWxkLnR5cGUpIHtcbiAgICBjYXNlICdzdHInOlxuICAgICAgcmV0dXJuIGpzb24uc3RhcnRzV2l0aCgnXCInKSA/IChKU09OLnBhcnNlKGpzb24pIGFzIHN0cmluZykgOiAnJztcbiAgICBjYXNlICdjaG9pY2UnOlxuICAgICAgcmV0dXJuIGZpZWxkLmNob2ljZXMuaW5jbHVkZXMoanNvbikgPyBqc29uIDogJyc7XG4gICAgZGVmYXVsdDpcbiAgICAgIHJldHVybiBqc29uO1xuICB9XG59XG4iXSwKICAibWFwcGluZ3MiOiAiO0FBQUEsT0FBTyxZQUFZO0FBQ25CLFNBQVMsWUFBWTs7O0FDTWQsU0FBUyxjQUFjLE1BQTZCO0FBQ3pELFFBQU0sU0FBUyxJQUFJLE9BQU8sSUFBSTtBQUM5QixRQUFNLE9BQU8sT0FBTyxNQUFNO0FBQzFCLFNBQU8sU0FBUyxRQUFRLE9BQU8sUUFBUSxJQUFJLE9BQU87QUFDcEQ7QUFHTyxTQUFTLGVBQWUsTUFBK0I7QUFDNUQsUUFBTSxPQUFPLGNBQWMsSUFBSSxJQUFJLEdBQUcsTUFBTSxPQUFPLE9BQU8sSUFBSSxPQUFPLElBQUksSUFBSSxHQUFHLEVBQUUsTUFBTSxLQUFLLEdBQUc7QUFDaEcsU0FBTyxTQUFTLFFBQVEsS0FBSyxTQUFTLElBQUksT0FBTztBQUNuRDtBQUVBLElBQU0sUUFBUSxvQkFBSSxJQUFJO0FBQUEsRUFDcEIsQ0FBQyxRQUFRLE1BQU07QUFBQSxFQUNmLENBQUMsUUFBUSxNQUFNO0FBQUEsRUFDZixDQUFDLFNBQVMsT0FBTztBQUNuQixDQUFDO0FBQ0QsSUFBTSxTQUFTO0FBQ2YsSUFBTSxPQUFPO0FBQ2IsSUFBTSxVQUFrQyxFQUFFLEdBQUcsTUFBTSxHQUFHLE1BQU0sR0FBRyxLQUFNLE1BQU0sTUFBTSxLQUFLLEtBQUssS0FBSyxJQUFJO0FBRXBHLElBQU0sU0FBTixNQUFhO0FBQUEsRUFDWCxZQUE2QixNQUFjO0FBQWQ7QUFBQSxFQUFlO0FBQUEsRUFBZjtBQUFBLEVBRXJCLEtBQUs7QUFBQSxFQUViLFVBQW1CO0FBQ2pCLFNBQUssVUFBVTtBQUNmLFdBQU8sS0FBSyxPQUFPLEtBQUssS0FBSztBQUFBLEVBQy9CO0FBQUEsRUFFQSxRQUF1QjtBQUNyQixTQUFLLFVBQVU7QUFDZixVQUFNLE9BQU8sS0FBSyxLQUFLLEtBQUssRUFBRSxLQUFLO0FBQ25DLFFBQUksU0FBUyxPQUFPLFNBQVMsS0FBSztBQUNoQyxhQUFPLEtBQUssT0FBTyxJQUFJO0FBQUEsSUFDekI7QUFDQSxRQUFJLFNBQVMsS0FBSztBQUNoQixhQUFPLEtBQUssV0FBVztBQUFBLElBQ3pCO0FBQ0EsV0FBTyxTQUFTLE9BQU8sU0FBUyxNQUFNLEtBQUssU0FBUyxJQUFJLElBQUksS0FBSyxLQUFLO0FBQUEsRUFDeEU7QUFBQSxFQUVRLE9BQXNCO0FBQzVCLFVBQU0sT0FBTyxLQUFLLE1BQU0sSUFBSTtBQUM1QixXQUFPLE9BQVEsTUFBTSxJQUFJLElBQUksS0FBSyxPQUFRLEtBQUssT0FBTztBQUFBLEVBQ3hEO0FBQUEsRUFFUSxTQUFTLFNBQWdDO0FBQy9DLFVBQU0sUUFBUSxLQUFLLE1BQU0sU0FBUyxZQUFZLE1BQU0sTUFBTSxHQUFHO0FBQzdELFdBQU8sU0FBUyxJQUFJLE1BQU0sS0FBSyxJQUFJLENBQUM7QUFBQSxFQUN0QztBQUFBLEVBRUEsTUFBTSxTQUFpQixTQUFrQztBQUN2RCxVQUFNLFFBQWtCLENBQUM7QUFDekIsU0FBSyxLQUFLLE9BQU87QUFDakIsV0FBTyxDQUFDLEtBQUssS0FBSyxPQUFPLEdBQUc7QUFDMUIsWUFBTSxPQUFPLEtBQUssTUFBTTtBQUN4QixVQUFJLFNBQVMsUUFBUSxFQUFFLEtBQUssS0FBSyxHQUFHLEtBQUssS0FBSyxTQUFTLE9BQU8sSUFBSTtBQUNoRSxlQUFPO0FBQUEsTUFDVDtBQUNBLFlBQU0sS0FBSyxJQUFJO0FBQUEsSUFDakI7QUFDQSxXQUFPO0FBQUEsRUFDVDtBQUFBLEVBRVEsYUFBNEI7QUFDbEMsVUFBTSxVQUFvQixDQUFDO0FBQzNCLFNBQUssS0FBSyxHQUFHO0FBQ2IsV0FBTyxDQUFDLEtBQUssS0FBSyxHQUFHLEdBQUc7QUFDdEIsWUFBTSxNQUFNLEtBQUssTUFBTTtBQUN2QixZQUFNLFFBQVEsS0FBSyxXQUFXLEdBQUcsS0FBSyxLQUFLLEtBQUssR0FBRyxJQUFJLEtBQUssTUFBTSxJQUFJO0FBQ3RFLFVBQUksVUFBVSxRQUFRLEVBQUUsS0FBSyxLQUFLLEdBQUcsS0FBSyxLQUFLLFNBQVMsR0FBRyxJQUFJO0FBQzdELGVBQU87QUFBQSxNQUNUO0FBQ0EsY0FBUSxLQUFLLEdBQUcsR0FBRyxLQUFLLEtBQUssRUFBRTtBQUFBLElBQ2pDO0FBQ0EsV0FBTyxJQUFJLFFBQVEsS0FBSyxJQUFJLENBQUM7QUFBQSxFQUMvQjtBQUFBLEVBRVEsU0FBd0I7QUFDOUIsVUFBTSxTQUFTLEtBQUssTUFBTSxNQUFNO0FBQ2hDLFdBQU8sVUFBVSxhQUFhLE1BQU07QUFBQSxFQUN0QztBQUFBLEVBRVEsT0FBTyxPQUE4QjtBQUMzQyxRQUFJLE9BQU87QUFDWCxTQUFLLEtBQUssTUFBTSxLQUFLLEtBQUssS0FBSyxLQUFLLFFBQVEsS0FBSyxNQUFNO0FBQ3JELFlBQU0sU0FBUyxLQUFLLEtBQUssT0FBTyxLQUFLLEVBQUU7QUFDdkMsVUFBSSxXQUFXLE9BQU87QUFDcEIsYUFBSztBQUNMLGVBQU8sS0FBSyxVQUFVLElBQUk7QUFBQSxNQUM1QjtBQUNBLFVBQUksV0FBVyxNQUFNO0FBQ25CLGdCQUFRO0FBQ1I7QUFBQSxNQUNGO0FBQ0EsWUFBTSxVQUFVLEtBQUssT0FBTztBQUM1QixVQUFJLFlBQVksTUFBTTtBQUNwQixlQUFPO0FBQUEsTUFDVDtBQUNBLGNBQVE7QUFBQSxJQUNWO0FBQ0EsV0FBTztBQUFBLEVBQ1Q7QUFBQTtBQUFBLEVBR1EsU0FBd0I7QUFDOUIsVUFBTSxTQUFTLEtBQUssS0FBSyxFQUFFLEtBQUssRUFBRSxLQUFLO0FBQ3ZDLFVBQU0sU0FBUyxFQUFFLEdBQUcsR0FBRyxHQUFHLEdBQUcsR0FBRyxFQUFFLEVBQUUsTUFBTTtBQUMxQyxRQUFJLFdBQVcsUUFBVztBQUN4QixhQUFPLFFBQVEsTUFBTSxLQUFLO0FBQUEsSUFDNUI7QUFDQSxVQUFNLE1BQU0sS0FBSyxLQUFLLE1BQU0sS0FBSyxLQUFLLEdBQUcsS0FBSyxLQUFLLElBQUksTUFBTTtBQUM3RCxRQUFJLENBQUMsaUJBQWlCLEtBQUssR0FBRyxLQUFLLFNBQVMsS0FBSyxFQUFFLElBQUksU0FBVTtBQUMvRCxhQUFPO0FBQUEsSUFDVDtBQUNBLFNBQUssTUFBTTtBQUNYLFdBQU8sT0FBTyxjQUFjLFNBQVMsS0FBSyxFQUFFLENBQUM7QUFBQSxFQUMvQztBQUFBLEVBRVEsTUFBTSxTQUFnQztBQUM1QyxZQUFRLFlBQVksS0FBSztBQUN6QixVQUFNLFFBQVEsUUFBUSxLQUFLLEtBQUssSUFBSTtBQUNwQyxTQUFLLE1BQU0sUUFBUSxNQUFNLENBQUMsRUFBRSxTQUFTO0FBQ3JDLFdBQU8sU0FBUyxNQUFNLENBQUM7QUFBQSxFQUN6QjtBQUFBLEVBRVEsS0FBSyxRQUF5QjtBQUNwQyxVQUFNLFVBQVUsS0FBSyxTQUFTLE1BQU07QUFDcEMsU0FBSyxNQUFNLFVBQVUsSUFBSTtBQUN6QixXQUFPO0FBQUEsRUFDVDtBQUFBLEVBRVEsU0FBUyxRQUF5QjtBQUN4QyxTQUFLLFVBQVU7QUFDZixXQUFPLEtBQUssS0FBSyxLQUFLLEVBQUUsTUFBTTtBQUFBLEVBQ2hDO0FBQUEsRUFFUSxZQUFrQjtBQUN4QixXQUFPLEtBQUssS0FBSyxLQUFLLEtBQUssS0FBSyxFQUFFLEtBQUssRUFBRSxHQUFHO0FBQzFDLFdBQUs7QUFBQSxJQUNQO0FBQUEsRUFDRjtBQUNGO0FBR08sU0FBUyxhQUFhLFFBQXdCO0FBQ25ELFFBQU0sUUFBUSxPQUFPLFFBQVEsTUFBTSxFQUFFLEVBQUUsUUFBUSxPQUFPLEVBQUU7QUFDeEQsUUFBTSxVQUFVLE1BQU0sUUFBUSxXQUFXLE1BQU0sRUFBRSxRQUFRLGdCQUFnQixJQUFJO0FBQzdFLFNBQU8sUUFBUSxRQUFRLGlCQUFpQixJQUFJO0FBQzlDOzs7QUNySU8sU0FBUyxPQUFPLFFBQTBCLE9BQTZCO0FBQzVFLFFBQU0sT0FBTyxPQUFPLFdBQVcsSUFBSSxPQUFPLENBQUMsSUFBSTtBQUMvQyxNQUFJLE1BQU0sU0FBUyxTQUFTO0FBQzFCLFdBQU8sRUFBRSxNQUFNLE9BQU8sTUFBTSxLQUFLLEdBQUcsYUFBYSwyQkFBMkI7QUFBQSxFQUM5RTtBQUNBLFFBQU0sUUFBUSxvQkFBSSxJQUFvQjtBQUN0QyxRQUFNLFNBQVMsb0JBQUksSUFBb0I7QUFDdkMsYUFBV0EsVUFBUyxRQUFRO0FBQzFCLFVBQU0sT0FBTyxVQUFVQSxRQUFPLE9BQU9BLFFBQU8sS0FBSyxDQUFDO0FBQ2xELFFBQUksS0FBSyxVQUFVLFFBQVc7QUFDNUIsYUFBTyxJQUFJQSxPQUFNLE1BQU0sS0FBSyxLQUFLO0FBQUEsSUFDbkMsV0FBVyxLQUFLLFNBQVMsUUFBVztBQUNsQyxZQUFNLElBQUlBLE9BQU0sTUFBTSxLQUFLLElBQUk7QUFBQSxJQUNqQztBQUFBLEVBQ0Y7QUFDQSxNQUFJLE9BQU8sT0FBTyxFQUFHLFFBQU8sRUFBRSxTQUFTLE9BQU87QUFDOUMsU0FBTyxlQUFlLFFBQVEsS0FBSyxJQUFJLFdBQVcsUUFBUSxLQUFLLElBQUksTUFBTSxRQUFRLEtBQUs7QUFDeEY7QUFHTyxTQUFTLE9BQU8sTUFBbUM7QUFDeEQsU0FBTyxpQkFBaUI7QUFDMUI7QUFRQSxTQUFTLFVBQVVBLFFBQWMsTUFBb0I7QUFDbkQsUUFBTSxjQUFjLFNBQVNBLE9BQU07QUFDbkMsTUFBSSxlQUFlLENBQUNBLE9BQU0sWUFBWTtBQUNwQyxXQUFPLENBQUM7QUFBQSxFQUNWO0FBQ0EsTUFBSSxLQUFLLEtBQUssTUFBTSxNQUFNQSxPQUFNLFNBQVMsT0FBTztBQUM5QyxXQUFPLFFBQVFBLE1BQUs7QUFBQSxFQUN0QjtBQUNBLE1BQUksU0FBUyxNQUFNQSxPQUFNLFlBQVk7QUFDbkMsV0FBTyxFQUFFLE1BQU0sT0FBTztBQUFBLEVBQ3hCO0FBQ0EsU0FBTyxRQUFRQSxPQUFNLElBQUksRUFBRSxNQUFNQSxNQUFLO0FBQ3hDO0FBRUEsU0FBUyxRQUFRQSxRQUFvQjtBQUNuQyxNQUFJQSxPQUFNLFlBQVk7QUFDcEIsV0FBTyxFQUFFLE1BQU0sT0FBTztBQUFBLEVBQ3hCO0FBQ0EsU0FBT0EsT0FBTSxhQUFhLEVBQUUsT0FBTyxHQUFHQSxPQUFNLElBQUksY0FBYyxJQUFJLENBQUM7QUFDckU7QUFFQSxJQUFNLFVBQXVFO0FBQUEsRUFDM0UsS0FBSyxVQUNILHdCQUF3QixLQUFLLElBQUksSUFDN0IsRUFBRSxNQUFNLGFBQWEsS0FBSyxLQUFLLENBQUMsRUFBRSxJQUNsQyxFQUFFLE9BQU8sdUNBQXVDO0FBQUEsRUFDdEQsT0FBTztBQUFBLEVBQ1AsTUFBTSxVQUNKLFNBQVMsVUFBVSxTQUFTLFVBQVUsRUFBRSxNQUFNLEtBQUssSUFBSSxFQUFFLE9BQU8sNkJBQTZCO0FBQUEsRUFDL0YsS0FBSyxXQUFTLEVBQUUsTUFBTSxLQUFLLFVBQVUsSUFBSSxFQUFFO0FBQUEsRUFDM0MsT0FBTyxPQUFPO0FBQUEsSUFDWixPQUFPO0FBQUEsRUFDVDtBQUFBLEVBQ0EsUUFBUSxDQUFDLE1BQU1BLFdBQ2JBLE9BQU0sUUFBUSxTQUFTLElBQUksSUFBSSxFQUFFLE1BQU0sS0FBSyxJQUFJLEVBQUUsT0FBTyxrQ0FBa0M7QUFBQSxFQUM3RixNQUFNLFVBQVEsU0FBUyxNQUFNLG9DQUFvQyxXQUFTLE1BQU0sUUFBUSxLQUFLLENBQUM7QUFBQSxFQUM5RixNQUFNLFVBQVEsU0FBUyxNQUFNLHlDQUF5QyxRQUFRO0FBQUEsRUFDOUUsTUFBTSxVQUFRLFNBQVMsTUFBTSxJQUFJLE1BQU0sSUFBSTtBQUM3QztBQUVBLFNBQVMsVUFBVSxNQUFvQjtBQUNyQyxRQUFNLFVBQVUsS0FBSyxLQUFLO0FBQzFCLE1BQUksNEJBQTRCLEtBQUssT0FBTyxHQUFHO0FBQzdDLFdBQU8sRUFBRSxPQUFPLGVBQWUsT0FBTyx5QkFBeUI7QUFBQSxFQUNqRTtBQUNBLFFBQU0sV0FBVywrQ0FBK0MsS0FBSyxPQUFPO0FBQzVFLFNBQU8sV0FBVyxFQUFFLE1BQU0sYUFBYSxPQUFPLEVBQUUsSUFBSSxFQUFFLE9BQU8sa0NBQWtDO0FBQ2pHO0FBRUEsU0FBUyxTQUFTLE1BQWMsVUFBa0IsTUFBeUM7QUFDekYsTUFBSTtBQUNKLE1BQUk7QUFDRixZQUFRLEtBQUssTUFBTSxJQUFJO0FBQUEsRUFDekIsUUFBUTtBQUNOLFdBQU8sRUFBRSxPQUFPLFlBQVksc0RBQXNEO0FBQUEsRUFDcEY7QUFDQSxTQUFPLEtBQUssS0FBSyxJQUFJLEVBQUUsTUFBTSxLQUFLLEtBQUssRUFBRSxJQUFJLEVBQUUsT0FBTyxTQUFTO0FBQ2pFO0FBRUEsU0FBUyxTQUFTLE9BQXlCO0FBQ3pDLFNBQU8sT0FBTyxVQUFVLFlBQVksVUFBVSxRQUFRLENBQUMsTUFBTSxRQUFRLEtBQUs7QUFDNUU7QUFFQSxTQUFTLE9BQU9BLFFBQWMsT0FBc0I7QUFDbEQsU0FBTyxNQUFNLElBQUlBLE9BQU0sSUFBSSxLQUFLQSxPQUFNO0FBQ3hDO0FBRUEsU0FBUyxlQUFlLFFBQTBCLE9BQTZDO0FBQzdGLFNBQU8sT0FBTztBQUFBLElBQ1osQ0FBQUEsV0FDRSxNQUFNLElBQUlBLE9BQU0sSUFBSSxNQUNuQkEsT0FBTSxTQUFTLHFCQUNiQSxPQUFNLFNBQVMsb0JBQW9CLENBQUMsWUFBWSxNQUFNLElBQUlBLE9BQU0sSUFBSSxDQUFDO0FBQUEsRUFDNUU7QUFDRjtBQUVBLFNBQVMsWUFBWSxNQUFtQztBQUN0RCxTQUFPLFNBQVMsVUFBYSxpQkFBaUIsS0FBSyxJQUFJO0FBQ3pEO0FBRUEsU0FBUyxNQUFNLFFBQTBCLE9BQTBDO0FBQ2pGLFFBQU0sVUFBVSxPQUFPLFFBQVEsQ0FBQUEsV0FBUztBQUN0QyxVQUFNLE9BQU8sTUFBTSxJQUFJQSxPQUFNLElBQUk7QUFDakMsUUFBSSxTQUFTLFVBQWFBLE9BQU0sU0FBUyxrQkFBa0I7QUFDekQsYUFBTyxDQUFDO0FBQUEsSUFDVjtBQUNBLFFBQUlBLE9BQU0sU0FBUyxlQUFlO0FBQ2hDLGFBQU8sWUFBWSxJQUFJLElBQUksQ0FBQyxJQUFJLENBQUMsS0FBSyxNQUFNLEdBQUcsRUFBRSxFQUFFLEtBQUssQ0FBQztBQUFBLElBQzNEO0FBQ0EsV0FBTyxDQUFDLEdBQUcsS0FBSyxVQUFVQSxPQUFNLElBQUksQ0FBQyxLQUFLLElBQUksRUFBRTtBQUFBLEVBQ2xELENBQUM7QUFDRCxTQUFPLEVBQUUsTUFBTSxJQUFJLFFBQVEsS0FBSyxJQUFJLENBQUMsS0FBSyxhQUFhLG1CQUFtQjtBQUM1RTtBQUdBLFNBQVMsV0FBVyxRQUEwQixPQUFtRDtBQUMvRixRQUFNLFFBQWtCLENBQUM7QUFDekIsTUFBSSxVQUFtQixDQUFDO0FBQ3hCLGFBQVdBLFVBQVMsUUFBUTtBQUMxQixVQUFNLE9BQU8sTUFBTSxJQUFJQSxPQUFNLElBQUk7QUFDakMsUUFBSSxTQUFTLFVBQWMsV0FBV0EsTUFBSyxLQUFLLFlBQVksSUFBSSxHQUFJO0FBQ2xFLGNBQVEsS0FBSyxHQUFJLFdBQVdBLE1BQUssSUFBSSxDQUFDLElBQUksQ0FBQ0EsTUFBSyxDQUFFO0FBQ2xEO0FBQUEsSUFDRjtBQUNBLFFBQUlBLE9BQU0sU0FBUyxrQkFBa0JBLE9BQU0sU0FBUyxlQUFlO0FBQ2pFLGFBQU8sTUFBTUEsUUFBTyw0RUFBNEU7QUFBQSxJQUNsRztBQUNBLFVBQU0sU0FBUyxRQUFRLElBQUksU0FBTyxjQUFjLElBQUksT0FBTyxDQUFDO0FBQzVELFVBQU0sV0FBVyxRQUFRLE9BQU8sUUFBUSxJQUFJLENBQUM7QUFDN0MsUUFBSSxTQUFVLFFBQU8sTUFBTSxVQUFVLEdBQUdBLE9BQU0sSUFBSSwwQ0FBMEM7QUFDNUYsVUFBTSxLQUFLLEdBQUksUUFBcUIsV0FBV0EsTUFBSyxJQUFJLEtBQUssTUFBTSxHQUFHLEVBQUUsRUFBRSxLQUFLLElBQUksSUFBSTtBQUN2RixjQUFVLENBQUM7QUFBQSxFQUNiO0FBQ0EsU0FBTyxFQUFFLE1BQU0sSUFBSSxNQUFNLEtBQUssSUFBSSxDQUFDLEtBQUssYUFBYSxtQkFBbUI7QUFDMUU7QUFFQSxTQUFTLFdBQVdBLFFBQXVCO0FBQ3pDLFNBQU9BLE9BQU0sS0FBSyxXQUFXLE1BQU07QUFDckM7QUFFQSxTQUFTLE1BQU1BLFFBQWMsVUFBMEI7QUFDckQsU0FBTyxFQUFFLFNBQVMsb0JBQUksSUFBSSxDQUFDLENBQUNBLE9BQU0sTUFBTSxRQUFRLENBQUMsQ0FBQyxFQUFFO0FBQ3REOzs7QUNsSk8sU0FBUyxTQUFTLFlBQTJDO0FBQ2xFLFNBQU8sV0FBVyxJQUFJLE9BQU87QUFDL0I7QUFFQSxTQUFTLFFBQVFDLFlBQTZCO0FBQzVDLFFBQU0sT0FBTyxTQUFTQSxXQUFVLGNBQWMsRUFBRTtBQUNoRCxRQUFNLEVBQUUsTUFBTSxTQUFTLFdBQVcsSUFBSSxNQUFNQSxXQUFVLE1BQU0sSUFBSTtBQUNoRSxRQUFNQyxjQUFhRCxXQUFVLEtBQUssV0FBVyxNQUFNO0FBQ25ELFFBQU1FLFNBQVE7QUFBQSxJQUNaLE1BQU1GLFdBQVU7QUFBQSxJQUNoQixNQUFNQSxXQUFVO0FBQUEsSUFDaEI7QUFBQSxJQUNBO0FBQUEsSUFDQTtBQUFBLElBQ0EsYUFBYUEsV0FBVSxXQUFXLFVBQVUsUUFBUSxDQUFDQztBQUFBLElBQ3JEO0FBQUEsSUFDQSxTQUFTRCxXQUFVLFdBQVc7QUFBQSxFQUNoQztBQUNBLFNBQU8sRUFBRSxHQUFHRSxRQUFPLFNBQVMsVUFBVUEsTUFBSyxFQUFFO0FBQy9DO0FBUUEsSUFBTSxRQUFRLG9CQUFJLElBQXVCO0FBQUEsRUFDdkMsQ0FBQyxPQUFPLEtBQUs7QUFBQSxFQUNiLENBQUMsU0FBUyxPQUFPO0FBQUEsRUFDakIsQ0FBQyxRQUFRLE1BQU07QUFBQSxFQUNmLENBQUMsT0FBTyxLQUFLO0FBQUEsRUFDYixDQUFDLFNBQVMsT0FBTztBQUFBLEVBQ2pCLENBQUMsYUFBYSxPQUFPO0FBQ3ZCLENBQUM7QUFDRCxJQUFNLFFBQVEsb0JBQUksSUFBSSxDQUFDLFFBQVEsUUFBUSxTQUFTLFNBQVMsT0FBTyxPQUFPLGFBQWEsWUFBWSxZQUFZLFlBQVksQ0FBQztBQUN6SCxJQUFNLFFBQVEsb0JBQUksSUFBSSxDQUFDLFFBQVEsUUFBUSxXQUFXLGtCQUFrQixXQUFXLENBQUM7QUFFaEYsU0FBUyxNQUFNLE1BQWMsTUFBcUI7QUFDaEQsUUFBTSxRQUFRLEVBQUUsU0FBUyxDQUFDLEdBQUcsWUFBWSxNQUFNO0FBQy9DLE1BQUksU0FBUyxrQkFBa0I7QUFDN0IsV0FBTyxFQUFFLEdBQUcsT0FBTyxNQUFNLE9BQU87QUFBQSxFQUNsQztBQUNBLFNBQU8sU0FBUyxnQkFBZ0IsRUFBRSxHQUFHLE9BQU8sTUFBTSxPQUFPLElBQUksVUFBVSxJQUFJO0FBQzdFO0FBRUEsU0FBUyxVQUFVLE1BQXFCO0FBQ3RDLFFBQU0sRUFBRSxRQUFRLFdBQVcsSUFBSSxZQUFZLElBQUk7QUFDL0MsUUFBTSxDQUFDLE1BQU0sR0FBRyxNQUFNLElBQUk7QUFDMUIsTUFBSSxTQUFTLFVBQWEsT0FBTyxTQUFTLEVBQUcsUUFBTyxFQUFFLE1BQU0sUUFBUSxTQUFTLENBQUMsR0FBRyxXQUFXO0FBQzVGLFFBQU0sRUFBRSxNQUFNLFFBQVEsSUFBSSxNQUFNLElBQUk7QUFDcEMsTUFBSSxTQUFTLFdBQVc7QUFDdEIsVUFBTSxVQUFVLGVBQWUsT0FBTztBQUN0QyxXQUFPLFVBQVUsRUFBRSxNQUFNLFVBQVUsU0FBUyxXQUFXLElBQUksRUFBRSxNQUFNLFFBQVEsU0FBUyxDQUFDLEdBQUcsV0FBVztBQUFBLEVBQ3JHO0FBQ0EsTUFBSSxTQUFTLGFBQWE7QUFDeEIsVUFBTSxRQUFRLFVBQVUsTUFBTSxTQUFTLEdBQUcsRUFBRSxDQUFDLEtBQUssRUFBRTtBQUNwRCxXQUFPLEVBQUUsR0FBRyxPQUFPLFlBQVksY0FBYyxNQUFNLFdBQVc7QUFBQSxFQUNoRTtBQUNBLFNBQU8sRUFBRSxNQUFNLFVBQVUsSUFBSSxHQUFHLFNBQVMsQ0FBQyxHQUFHLFdBQVc7QUFDMUQ7QUFFQSxTQUFTLFVBQVUsTUFBeUI7QUFDMUMsTUFBSSxNQUFNLElBQUksSUFBSSxFQUFHLFFBQU87QUFDNUIsU0FBTyxNQUFNLElBQUksSUFBSSxJQUFJLFNBQVUsTUFBTSxJQUFJLElBQUksS0FBSztBQUN4RDtBQUdBLFNBQVMsWUFBWSxNQUF5RDtBQUM1RSxRQUFNLFVBQVUsUUFBUSxLQUFLLEtBQUssQ0FBQztBQUNuQyxRQUFNLFNBQVMsUUFBUSxPQUFPLFNBQU8sUUFBUSxVQUFVLFFBQVEsVUFBVTtBQUN6RSxTQUFPLEVBQUUsUUFBUSxZQUFZLE9BQU8sU0FBUyxRQUFRLE9BQU87QUFDOUQ7QUFFQSxTQUFTLFFBQVEsTUFBd0I7QUFDdkMsUUFBTSxFQUFFLE1BQU0sUUFBUSxJQUFJLE1BQU0sSUFBSTtBQUNwQyxNQUFJLFNBQVMsWUFBWTtBQUN2QixXQUFPLENBQUMsR0FBRyxRQUFRLE9BQU8sR0FBRyxNQUFNO0FBQUEsRUFDckM7QUFDQSxNQUFJLFNBQVMsU0FBUztBQUNwQixXQUFPLE1BQU0sU0FBUyxHQUFHLEVBQUUsUUFBUSxPQUFPO0FBQUEsRUFDNUM7QUFDQSxRQUFNLFVBQVUsTUFBTSxNQUFNLEdBQUc7QUFDL0IsU0FBTyxRQUFRLFNBQVMsSUFBSSxRQUFRLFFBQVEsT0FBTyxJQUFJO0FBQ3pEO0FBR0EsU0FBUyxNQUFNLE1BQWlEO0FBQzlELFFBQU0sUUFBUSwyQkFBMkIsS0FBSyxLQUFLLEtBQUssQ0FBQztBQUN6RCxTQUFPLEVBQUUsTUFBTSxRQUFRLENBQUMsR0FBRyxNQUFNLEdBQUcsRUFBRSxJQUFJLEtBQUssSUFBSSxTQUFTLFFBQVEsQ0FBQyxHQUFHLEtBQUssS0FBSyxHQUFHO0FBQ3ZGO0FBR0EsU0FBUyxNQUFNLE1BQWMsV0FBNkI7QUFDeEQsUUFBTSxRQUFRLENBQUMsRUFBRTtBQUNqQixNQUFJLFFBQVE7QUFDWixhQUFXLFNBQVMsS0FBSyxNQUFNLGdCQUFnQixLQUFLLENBQUMsR0FBRztBQUN0RCxRQUFJLE1BQU0sU0FBUyxLQUFLLEVBQUc7QUFDM0IsUUFBSSxNQUFNLFNBQVMsS0FBSyxFQUFHO0FBQzNCLFVBQU0sUUFBUSxVQUFVLGFBQWEsVUFBVTtBQUMvQyxVQUFNLEtBQUssUUFBUSxNQUFNLE1BQU0sSUFBSSxLQUFLLE1BQU0sS0FBSztBQUFBLEVBQ3JEO0FBQ0EsU0FBTyxNQUFNLElBQUksVUFBUSxLQUFLLEtBQUssQ0FBQyxFQUFFLE9BQU8sVUFBUSxTQUFTLEVBQUU7QUFDbEU7QUFFQSxJQUFNLG1CQUFtQjtBQUd6QixTQUFTLFNBQVMsWUFBNEI7QUFDNUMsUUFBTSxRQUFRLGtCQUFrQixLQUFLLFVBQVUsSUFBSSxDQUFDO0FBQ3BELFNBQU8sT0FBTyxRQUFRLGVBQWUsSUFBSSxLQUFLO0FBQ2hEO0FBRUEsU0FBUyxVQUFVQSxRQUF1QztBQUN4RCxRQUFNLE9BQU9BLE9BQU0sWUFBWSxLQUFLLE9BQU8sY0FBY0EsT0FBTSxPQUFPO0FBQ3RFLE1BQUksU0FBUyxRQUFTLFNBQVMsVUFBVUEsT0FBTSxTQUFTLFFBQVM7QUFDL0QsV0FBTztBQUFBLEVBQ1Q7QUFDQSxVQUFRQSxPQUFNLE1BQU07QUFBQSxJQUNsQixLQUFLO0FBQ0gsYUFBTyxLQUFLLFdBQVcsR0FBRyxJQUFLLEtBQUssTUFBTSxJQUFJLElBQWU7QUFBQSxJQUMvRCxLQUFLO0FBQ0gsYUFBT0EsT0FBTSxRQUFRLFNBQVMsSUFBSSxJQUFJLE9BQU87QUFBQSxJQUMvQztBQUNFLGFBQU87QUFBQSxFQUNYO0FBQ0Y7OztBSHZKQSxTQUFTLFVBQVUsWUFBb0IsVUFBOEIsQ0FBQyxHQUFjO0FBQ2xGLFNBQU8sRUFBRSxNQUFNLEtBQUssTUFBTSx5QkFBeUIsWUFBWSxHQUFHLFFBQVE7QUFDNUU7QUFFQSxTQUFTLE1BQU0sWUFBb0IsVUFBOEIsQ0FBQyxHQUFVO0FBQzFFLFNBQU8sU0FBUyxDQUFDLFVBQVUsWUFBWSxPQUFPLENBQUMsQ0FBQyxFQUFFLENBQUM7QUFDckQ7QUFFQSxTQUFTLEtBQUssWUFBa0MsT0FBdUM7QUFDckYsUUFBTSxPQUFPLE9BQU8sU0FBUyxVQUFVLEdBQUcsSUFBSSxJQUFJLE9BQU8sUUFBUSxLQUFLLENBQUMsQ0FBQztBQUN4RSxTQUFPLE9BQU8sSUFBSSxJQUFJLEtBQUssT0FBTyxDQUFDLEdBQUcsS0FBSyxPQUFPLEVBQUUsSUFBSSxDQUFDLENBQUMsTUFBTSxHQUFHLE1BQU0sR0FBRyxJQUFJLEtBQUssR0FBRyxFQUFFLEVBQUUsS0FBSyxHQUFHO0FBQ3RHO0FBRUEsSUFBTSxRQUE0QjtBQUFBLEVBQ2hDLENBQUMsT0FBTyxLQUFLO0FBQUEsRUFDYixDQUFDLFNBQVMsS0FBSztBQUFBLEVBQ2YsQ0FBQyxTQUFTLE9BQU87QUFBQSxFQUNqQixDQUFDLFFBQVEsTUFBTTtBQUFBLEVBQ2YsQ0FBQyxPQUFPLEtBQUs7QUFBQSxFQUNiLENBQUMsU0FBUyxPQUFPO0FBQUEsRUFDakIsQ0FBQyxhQUFhLE1BQU07QUFBQSxFQUNwQixDQUFDLG9CQUFvQixNQUFNO0FBQUEsRUFDM0IsQ0FBQyxrQkFBa0IsTUFBTTtBQUFBLEVBQ3pCLENBQUMsaUJBQWlCLEtBQUs7QUFBQSxFQUN2QixDQUFDLGNBQWMsS0FBSztBQUFBLEVBQ3BCLENBQUMsb0JBQW9CLEtBQUs7QUFBQSxFQUMxQixDQUFDLHFCQUFxQixRQUFRO0FBQUEsRUFDOUIsQ0FBQywrQkFBK0IsUUFBUTtBQUFBLEVBQ3hDLENBQUMsNkJBQTZCLEtBQUs7QUFBQSxFQUNuQyxDQUFDLGFBQWEsTUFBTTtBQUFBLEVBQ3BCLENBQUMsaUJBQWlCLE1BQU07QUFBQSxFQUN4QixDQUFDLGVBQWUsTUFBTTtBQUFBLEVBQ3RCLENBQUMsSUFBSSxNQUFNO0FBQUEsRUFDWCxDQUFDLFNBQVMsTUFBTTtBQUNsQjtBQUVBLFdBQVcsQ0FBQyxZQUFZLElBQUksS0FBSyxPQUFPO0FBQ3RDLE9BQUssWUFBWSxjQUFjLFFBQVEsMEJBQTBCLElBQUksSUFBSSxNQUFNO0FBQzdFLFdBQU8sTUFBTSxNQUFNLFVBQVUsRUFBRSxNQUFNLElBQUk7QUFBQSxFQUMzQyxDQUFDO0FBQ0g7QUFFQSxLQUFLLDBDQUEwQyxNQUFNO0FBQ25ELFFBQU0sV0FBVyxDQUFDLGlCQUFpQixjQUFjLDJCQUEyQjtBQUM1RSxTQUFPLEdBQUcsU0FBUyxNQUFNLGdCQUFjLE1BQU0sVUFBVSxFQUFFLFVBQVUsQ0FBQztBQUNwRSxTQUFPLEdBQUcsQ0FBQyxNQUFNLEtBQUssRUFBRSxVQUFVO0FBQ3BDLENBQUM7QUFFRCxLQUFLLCtEQUErRCxNQUFNO0FBQ3hFLFFBQU0sU0FBUyxDQUFDLFlBQW9CLFVBQTBCLE1BQU0sWUFBWSxFQUFFLFNBQVMsTUFBTSxDQUFDLEVBQUU7QUFDcEcsU0FBTyxNQUFNLE9BQU8sT0FBTyxHQUFHLEdBQUcsR0FBRztBQUNwQyxTQUFPLE1BQU0sT0FBTyxPQUFPLFVBQVUsR0FBRyxNQUFNO0FBQzlDLFNBQU8sTUFBTSxPQUFPLFFBQVEsVUFBVSxHQUFHLFVBQVU7QUFDbkQsU0FBTyxNQUFNLE9BQU8sUUFBUSxNQUFNLEdBQUcsTUFBTTtBQUMzQyxTQUFPLE1BQU0sT0FBTyxpQkFBaUIsTUFBTSxHQUFHLEVBQUU7QUFDaEQsU0FBTyxNQUFNLE9BQU8sSUFBSSxVQUFVLEdBQUcsRUFBRTtBQUN6QyxDQUFDO0FBRUQsSUFBTSxTQUFxQztBQUFBLEVBQ3pDLENBQUMsT0FBTyxXQUFXLGFBQWE7QUFBQSxFQUNoQyxDQUFDLE9BQU8sb0JBQW9CLHlCQUF5QjtBQUFBLEVBQ3JELENBQUMsT0FBTyxPQUFPLHlDQUF5QztBQUFBLEVBQ3hELENBQUMsT0FBTyxJQUFJLGlCQUFpQjtBQUFBLEVBQzdCLENBQUMsU0FBUyxNQUFNLFlBQVk7QUFBQSxFQUM1QixDQUFDLFNBQVMsT0FBTyxvQ0FBb0M7QUFBQSxFQUNyRCxDQUFDLFNBQVMsT0FBTywwQ0FBMEM7QUFBQSxFQUMzRCxDQUFDLFFBQVEsU0FBUyxjQUFjO0FBQUEsRUFDaEMsQ0FBQyxPQUFPLElBQUksV0FBVztBQUFBLEVBQ3ZCLENBQUMsT0FBTyxZQUFZLHVCQUF1QjtBQUFBLEVBQzNDLENBQUMsY0FBYyxJQUFJLGFBQWE7QUFBQSxFQUNoQyxDQUFDLGNBQWMsSUFBSSxhQUFhO0FBQUEsRUFDaEMsQ0FBQyxhQUFhLFVBQVUsZUFBZTtBQUFBLEVBQ3ZDLENBQUMsYUFBYSxZQUFZLHFDQUFxQztBQUFBLEVBQy9ELENBQUMsUUFBUSxPQUFPLDBDQUEwQztBQUFBLEVBQzFELENBQUMsbUJBQW1CLEtBQUssVUFBVTtBQUFBLEVBQ25DLENBQUMsbUJBQW1CLE9BQU8sb0NBQW9DO0FBQUEsRUFDL0QsQ0FBQyxJQUFJLHdCQUF3Qiw2QkFBNkI7QUFBQSxFQUMxRCxDQUFDLElBQUksT0FBTyx3REFBd0Q7QUFBQSxFQUNwRSxDQUFDLFNBQVMsWUFBWSxVQUFVO0FBQ2xDO0FBRUEsV0FBVyxDQUFDLFlBQVksTUFBTSxJQUFJLEtBQUssUUFBUTtBQUM3QyxPQUFLLEdBQUcsUUFBUSxTQUFTLG1CQUFtQixjQUFjLFVBQVUsVUFBVSxJQUFJLElBQUksTUFBTTtBQUMxRixXQUFPLE1BQU0sS0FBSyxDQUFDLFVBQVUsVUFBVSxDQUFDLEdBQUcsRUFBRSxHQUFHLEtBQUssQ0FBQyxHQUFHLElBQUk7QUFBQSxFQUMvRCxDQUFDO0FBQ0g7QUFFQSxLQUFLLHNFQUFzRSxNQUFNO0FBQy9FLFFBQU0sT0FBTyxDQUFDLFVBQVUsT0FBTyxFQUFFLE1BQU0sS0FBSyxTQUFTLElBQUksQ0FBQyxHQUFHLFVBQVUsT0FBTyxFQUFFLE1BQU0sS0FBSyxTQUFTLE1BQU0sQ0FBQyxDQUFDO0FBQzVHLFNBQU8sTUFBTSxLQUFLLE1BQU0sQ0FBQyxDQUFDLEdBQUcsSUFBSTtBQUNqQyxTQUFPLE1BQU0sS0FBSyxNQUFNLEVBQUUsR0FBRyxLQUFLLEdBQUcsR0FBRyxDQUFDLEdBQUcsbUJBQW1CO0FBQ2pFLENBQUM7QUFFRCxLQUFLLDJEQUEyRCxNQUFNO0FBQ3BFLFNBQU8sTUFBTSxLQUFLLENBQUMsVUFBVSxPQUFPLEVBQUUsU0FBUyxJQUFJLENBQUMsQ0FBQyxHQUFHLEVBQUUsR0FBRyxHQUFHLENBQUMsR0FBRyxJQUFJO0FBQ3hFLFNBQU8sTUFBTSxLQUFLLENBQUMsVUFBVSxjQUFjLEVBQUUsU0FBUyxJQUFJLENBQUMsQ0FBQyxHQUFHLEVBQUUsR0FBRyxHQUFHLENBQUMsR0FBRyxhQUFhO0FBQzFGLENBQUM7QUFFRCxLQUFLLGdEQUFnRCxNQUFNO0FBQ3pELFFBQU0sT0FBa0IsRUFBRSxNQUFNLFFBQVEsTUFBTSxjQUFjO0FBQzVELFNBQU8sTUFBTSxLQUFLLENBQUMsVUFBVSxLQUFLLEdBQUcsSUFBSSxHQUFHLEVBQUUsR0FBRyxLQUFLLE1BQU0sV0FBVyxDQUFDLEdBQUcsa0JBQWtCO0FBQzdGLFNBQU8sTUFBTSxLQUFLLENBQUMsVUFBVSxLQUFLLEdBQUcsSUFBSSxHQUFHLEVBQUUsR0FBRyxJQUFJLENBQUMsR0FBRyxVQUFVO0FBQ3JFLENBQUM7QUFFRCxLQUFLLDJFQUEyRSxNQUFNO0FBQ3BGLFFBQU0sT0FBa0IsRUFBRSxNQUFNLEtBQUssTUFBTSxtQkFBbUIsWUFBWSxNQUFNO0FBQ2hGLFFBQU0sT0FBa0IsRUFBRSxNQUFNLFFBQVEsTUFBTSxpQkFBaUI7QUFDL0QsU0FBTyxNQUFNLEtBQUssQ0FBQyxNQUFNLFVBQVUsT0FBTyxFQUFFLFNBQVMsSUFBSSxDQUFDLEdBQUcsSUFBSSxHQUFHLEVBQUUsR0FBRyxLQUFLLE1BQU0sU0FBUyxDQUFDLEdBQUcsY0FBYztBQUMvRyxTQUFPLE1BQU0sS0FBSyxDQUFDLE1BQU0sVUFBVSxPQUFPLEVBQUUsU0FBUyxJQUFJLENBQUMsR0FBRyxJQUFJLEdBQUcsRUFBRSxHQUFHLElBQUksQ0FBQyxHQUFHLEtBQUs7QUFDeEYsQ0FBQztBQUVELEtBQUssNkNBQTZDLE1BQU07QUFDdEQsUUFBTSxPQUFrQixFQUFFLE1BQU0sS0FBSyxNQUFNLG1CQUFtQixZQUFZLE1BQU07QUFDaEYsUUFBTSxVQUFxQixFQUFFLE1BQU0sS0FBSyxNQUFNLGdCQUFnQixZQUFZLE1BQU07QUFDaEYsUUFBTSxNQUFNLFVBQVUsSUFBSSxFQUFFLFNBQVMsV0FBVyxDQUFDO0FBQ2pELFFBQU0sT0FBa0IsRUFBRSxNQUFNLFFBQVEsTUFBTSxpQkFBaUI7QUFDL0QsU0FBTyxNQUFNLEtBQUssQ0FBQyxNQUFNLE9BQU8sR0FBRyxFQUFFLEdBQUcsS0FBSyxHQUFHLElBQUksQ0FBQyxHQUFHLG1DQUFtQztBQUMzRixTQUFPLE1BQU0sS0FBSyxDQUFDLEtBQUssSUFBSSxHQUFHLEVBQUUsTUFBTSxNQUFNLENBQUMsR0FBRyx5QkFBeUI7QUFDMUUsU0FBTyxNQUFNLEtBQUssQ0FBQyxVQUFVLE9BQU8sR0FBRyxPQUFPLEdBQUcsRUFBRSxHQUFHLEtBQUssR0FBRyxJQUFJLENBQUMsR0FBRyx1QkFBdUI7QUFDL0YsQ0FBQztBQUVELEtBQUssK0JBQStCLE1BQU07QUFDeEMsUUFBTSxPQUFPLENBQUMsVUFBVSxPQUFPLEVBQUUsTUFBTSxJQUFJLENBQUMsR0FBRyxVQUFVLE9BQU8sRUFBRSxNQUFNLElBQUksQ0FBQyxDQUFDO0FBQzlFLFNBQU8sTUFBTSxLQUFLLE1BQU0sRUFBRSxHQUFHLElBQUksQ0FBQyxHQUFHLHlEQUF5RDtBQUNoRyxDQUFDO0FBRUQsS0FBSyxpQ0FBaUMsTUFBTTtBQUMxQyxRQUFNLFFBQVEsQ0FBQyxhQUFhLGVBQWUsVUFBVSxFQUFFLElBQUksVUFBUSxVQUFVLE9BQU8sRUFBRSxNQUFNLFNBQVMsSUFBSSxDQUFDLENBQUM7QUFDM0csU0FBTyxNQUFNLEtBQUssT0FBTyxDQUFDLENBQUMsR0FBRyxJQUFJO0FBQ3BDLENBQUM7IiwKICAibmFtZXMiOiBbImZpZWxkIiwgInBhcmFtZXRlciIsICJpc1ZhcmlhYmxlIiwgImZpZWxkIl0KfQo=
