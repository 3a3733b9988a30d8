import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Feed } from '../connection/feed';
import { mapsOf } from '../model/maps';
import type { FunctionState } from '../model/state';
import type { RevisionView } from '../model/types';
import { Calls } from './Calls';
import { curlLine } from './curl';
import { GatewayLine } from './GatewayLine';
import { Decision, Head, Load, Reasons, sinceWords, Totals } from './Headline';
import { pathOf, useAct, useFunction, useInterest, useMaps, type Acting } from './hooks';
import { Log } from './Log';
import { Maps } from './Maps';
import { Menu, type MenuItem } from './Menu';
import { Revisions, useRevisionViews } from './Revisions';
import { Outcome, ScalingForm } from './Scaling';

export interface FunctionPanelProps {
  readonly feed: Feed;
  readonly name: string;
  readonly namespace?: string | undefined;
  /** Before the name: the way back to the table. */
  readonly back?: ComponentChildren;
  /** Further entries of the menu. */
  readonly items?: readonly MenuItem[];
}

/** One function: how it is, what it does, and what can be changed. */
export function FunctionPanel({ feed, name, namespace, back, items = [] }: FunctionPanelProps) {
  const one = useFunction(feed, name, namespace);
  const views = useRevisionViews(feed, one);
  useInterest(feed, { calls: [name] });
  return (
    <article class="faas-panel" aria-label={`function ${name}`}>
      <GatewayLine feed={feed} />
      {one === undefined ? (
        <Missing feed={feed} name={name} back={back} />
      ) : (
        <Known feed={feed} one={one} views={views} back={back} items={items} />
      )}
    </article>
  );
}

interface KnownProps {
  readonly feed: Feed;
  readonly one: FunctionState;
  readonly views: readonly RevisionView[];
  readonly back: ComponentChildren;
  readonly items: readonly MenuItem[];
}

function Known({ feed, one, views, back, items }: KnownProps) {
  const acting = useAct(feed);
  const [isAsking, setAsking] = useState(false);
  const [copied, setCopied] = useState('');
  const [invocation, setInvocation] = useState('');
  const maps = mapsOf(useMaps(feed), one.view.name, one.view.namespace);
  const copy = (text: string) => void copyText(text).then(setCopied);
  const entries: MenuItem[] = [
    ...items,
    { label: 'Copy address', run: () => copy(one.view.url) },
    { label: 'Copy curl line', run: () => copy(curlLine(one.view.url, views[0])) },
    { label: 'Delete…', run: () => setAsking(true) }
  ];
  return (
    <>
      <Head one={one} back={back} menu={<Menu label={`more for ${one.view.name}`} items={entries} />} />
      {isAsking && <ConfirmDelete one={one} acting={acting} onClose={() => setAsking(false)} />}
      {copied !== '' && <p class="faas-copied" role="status">{copied}</p>}
      <Load feed={feed} one={one} />
      <Reasons feed={feed} one={one} />
      <Decision feed={feed} one={one} />
      <Totals counts={one.view.counts} since={sinceWords(feed.store.state.gateway.provider)} />
      {maps.length > 0 && (
        <Part title="Maps">
          <Maps feed={feed} maps={maps} />
        </Part>
      )}
      <Part title="Scaling">
        <ScalingForm feed={feed} one={one} />
      </Part>
      <Part title="Revisions">
        <Revisions feed={feed} one={one} views={views} />
      </Part>
      <Part title="Calls">
        <Calls feed={feed} one={one} onLog={setInvocation} />
      </Part>
      <Part title="Log">
        <Log feed={feed} one={one} invocation={invocation} onInvocation={setInvocation} />
      </Part>
    </>
  );
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="faas-part" aria-label={title}>
      <h3>{title}</h3>
      <div class="faas-part-body">{children}</div>
    </section>
  );
}

interface ConfirmProps {
  readonly one: FunctionState;
  readonly acting: Acting;
  readonly onClose: () => void;
}

function ConfirmDelete({ one, acting, onClose }: ConfirmProps) {
  const keep = useRef<HTMLButtonElement>(null);
  // Once: a function that is called is drawn anew many times while the person decides.
  useEffect(() => keep.current?.focus(), []);
  return (
    <div
      class="faas-confirm"
      role="alertdialog"
      aria-label={`delete ${one.view.name}`}
      onKeyDown={event => event.key === 'Escape' && onClose()}
    >
      <span>Delete {one.view.name}, its revisions and replicas?</span>
      <button type="button" ref={keep} onClick={onClose}>
        Keep
      </button>
      <button type="button" class="faas-danger" onClick={() => void acting.act('DELETE', pathOf(one))}>
        Delete
      </button>
      <Outcome acting={acting} />
    </div>
  );
}

function Missing({ feed, name, back }: { feed: Feed; name: string; back: ComponentChildren }) {
  const { isKnown, gateway } = feed.store.state;
  const text = isKnown
    ? `${name} is not deployed here: it appears with its next deploy.`
    : gateway.state === 'none'
      ? 'No gateway has run yet: it starts with the first call.'
      : 'Waiting for the gateway.';
  return (
    <>
      <header class="faas-head">
        {back}
        <h2>{name}</h2>
      </header>
      <p class="faas-quiet">{text}</p>
    </>
  );
}

/** Copy text and return what to say: that it was done, or, where a page may not, the text itself. */
async function copyText(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return 'copied ✓';
  } catch {
    return text;
  }
}
