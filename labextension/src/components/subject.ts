/** Whose panel an output or a widget is. */
export interface Subject {
  /** Of one function; null: of all. */
  readonly name: string | null;
  readonly namespace: string | undefined;
}

/** Read `{function, namespace}`; a notebook of somebody else may say anything. */
export function subjectOf(data: unknown): Subject {
  const said = typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  return { name: text(said['function']) ?? null, namespace: text(said['namespace']) };
}
