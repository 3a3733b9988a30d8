/** The text of a cell that looks a deployed function up, and that of an example. Pure. */

/** Return a cell that makes `name` a handle and is ready to call it. */
export function lookupCell(name: string, signature: string): string {
  const variable = variableOf(name);
  return [
    'import jupyter_faas as faas',
    '',
    `${variable} = faas.function(${JSON.stringify(name)})`,
    `# ${variable}.remote${oneLine(signature)}`
  ].join('\n');
}

/** Return a Python name for a function's; a digit at the start or a keyword gets a `_`. */
export function variableOf(name: string): string {
  const plain = name.replace(/\W/g, '_').replace(/^(?=\d)/, '_');
  return KEYWORDS.has(plain) ? `${plain}_` : plain;
}

export const EXAMPLE_CELL = `from jupyter_faas import serverless


@serverless
def hello(name: str = "world") -> str:
    print(f"greeting {name}")
    return f"Hello, {name}!"


hello.remote("Jupyter")`;

/** A comment ends where its line ends: what a signature holds must not become code. */
function oneLine(signature: string): string {
  const line = signature.replace(/\s+/g, ' ').slice(0, 200);
  return line.startsWith('(') ? line : '(...)';
}

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except ' +
    'finally for from global if import in is lambda nonlocal not or pass raise return try while ' +
    'with yield'
  ).split(' ')
);
