import { useState } from 'preact/hooks';
import type { Feed } from '../connection/feed';
import { FunctionPanel } from './FunctionPanel';
import { FunctionTable } from './FunctionTable';
import type { MenuItem } from './Menu';

export interface PanelProps {
  readonly feed: Feed;
  /** Of one function; null: a table of all, which opens each. */
  readonly name: string | null;
  readonly namespace?: string | undefined;
  readonly items?: ((name: string) => readonly MenuItem[]) | undefined;
}

/** The panel of `f.panel()` and `%faas panel [NAME]`. */
export function Panel({ feed, name, namespace, items }: PanelProps) {
  const [opened, setOpened] = useState<{ name: string; namespace: string } | null>(null);
  if (name !== null) {
    return <FunctionPanel feed={feed} name={name} namespace={namespace} items={items?.(name) ?? []} />;
  }
  if (opened === null) {
    return <FunctionTable feed={feed} onOpen={(one, space) => setOpened({ name: one, namespace: space })} />;
  }
  const back = (
    <button type="button" class="faas-link" onClick={() => setOpened(null)} aria-label="back to all functions">
      ‹ all
    </button>
  );
  return (
    <FunctionPanel
      feed={feed}
      name={opened.name}
      namespace={opened.namespace}
      back={back}
      items={items?.(opened.name) ?? []}
    />
  );
}
