/**
 * Python literals as JSON text: defaults and `Literal[…]` choices come as their `repr`.
 *
 * JSON text and not a value, because JavaScript's numbers would change large integers.
 */

/** Return a literal as JSON text; null: it is no literal, or JSON has no form for it. */
export function literalToJson(text: string): string | null {
  const reader = new Reader(text);
  const json = reader.value();
  return json !== null && reader.isAtEnd() ? json : null;
}

/** Return the items of `'a', 1, None` as JSON text each; null: one of them is no literal. */
export function literalsToJson(text: string): string[] | null {
  const list = literalToJson(`[${text}]`) === null ? null : new Reader(`[${text}]`).items('[', ']');
  return list !== null && list.length > 0 ? list : null;
}

const NAMES = new Map([
  ['None', 'null'],
  ['True', 'true'],
  ['False', 'false']
]);
const NUMBER = /[+-]?(?:\d[\d_]*)(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+(?:[eE][+-]?\d+)?/y;
const NAME = /[A-Za-z_]\w*/y;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", '"': '"' };

class Reader {
  constructor(private readonly text: string) {}

  private at = 0;

  isAtEnd(): boolean {
    this.skipSpace();
    return this.at === this.text.length;
  }

  value(): string | null {
    this.skipSpace();
    const head = this.text[this.at] ?? '';
    if (head === "'" || head === '"') {
      return this.quoted(head);
    }
    if (head === '{') {
      return this.dictionary();
    }
    return head === '[' || head === '(' ? this.sequence(head) : this.word();
  }

  private word(): string | null {
    const name = this.match(NAME);
    return name ? (NAMES.get(name) ?? null) : this.number();
  }

  private sequence(opening: string): string | null {
    const items = this.items(opening, opening === '[' ? ']' : ')');
    return items && `[${items.join(', ')}]`;
  }

  items(opening: string, closing: string): string[] | null {
    const items: string[] = [];
    this.take(opening);
    while (!this.take(closing)) {
      const item = this.value();
      if (item === null || !(this.take(',') || this.isBefore(closing))) {
        return null;
      }
      items.push(item);
    }
    return items;
  }

  private dictionary(): string | null {
    const entries: string[] = [];
    this.take('{');
    while (!this.take('}')) {
      const key = this.value();
      const value = key?.startsWith('"') && this.take(':') ? this.value() : null;
      if (value === null || !(this.take(',') || this.isBefore('}'))) {
        return null;
      }
      entries.push(`${key}: ${value}`);
    }
    return `{${entries.join(', ')}}`;
  }

  private number(): string | null {
    const number = this.match(NUMBER);
    return number && numberToJson(number);
  }

  private quoted(quote: string): string | null {
    let text = '';
    for (this.at++; this.at < this.text.length; this.at++) {
      const letter = this.text.charAt(this.at);
      if (letter === quote) {
        this.at++;
        return JSON.stringify(text);
      }
      if (letter !== '\\') {
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
  private escape(): string | null {
    const letter = this.text[++this.at] ?? '';
    const digits = { x: 2, u: 4, U: 8 }[letter];
    if (digits === undefined) {
      return ESCAPES[letter] ?? null;
    }
    const hex = this.text.slice(this.at + 1, this.at + 1 + digits);
    if (!/^[0-9a-fA-F]+$/.test(hex) || parseInt(hex, 16) > 0x10ffff) {
      return null;
    }
    this.at += digits;
    return String.fromCodePoint(parseInt(hex, 16));
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    this.at += found ? found[0].length : 0;
    return found && found[0];
  }

  private take(letter: string): boolean {
    const isThere = this.isBefore(letter);
    this.at += isThere ? 1 : 0;
    return isThere;
  }

  private isBefore(letter: string): boolean {
    this.skipSpace();
    return this.text[this.at] === letter;
  }

  private skipSpace(): void {
    while (/\s/.test(this.text[this.at] ?? '')) {
      this.at++;
    }
  }
}

/** Return a Python number as JSON has it: no `+`, no `_`, no leading or trailing point. */
export function numberToJson(number: string): string {
  const plain = number.replace(/_/g, '').replace(/^\+/, '');
  const pointed = plain.replace(/^(-?)\./, '$10.').replace(/\.(?=$|[eE])/, '.0');
  return pointed.replace(/^(-?)0+(?=\d)/, '$1');
}
