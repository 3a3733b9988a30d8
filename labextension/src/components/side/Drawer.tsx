/** What opens below a function's buttons, one at a time: mostly a part of its panel. */

import { useState } from 'preact/hooks';
import type { Feed } from '../../connection/feed';
import type { FunctionState } from '../../model/state';
import { Log } from '../Log';
import { Revisions, useRevisionViews } from '../Revisions';
import { ScalingForm } from '../Scaling';
import type { SideActs } from './acts';
import { InvokeForm } from './InvokeForm';

export type DrawerName = 'Call' | 'Logs' | 'Scale' | 'Revisions';

export const DRAWERS: readonly DrawerName[] = ['Call', 'Logs', 'Scale', 'Revisions'];

export interface DrawerProps {
  name: DrawerName;
  feed: Feed;
  one: FunctionState;
  acts: SideActs;
}

export function Drawer({ name, feed, one, acts }: DrawerProps) {
  switch (name) {
    case 'Call':
      return <InvokeForm feed={feed} one={one} server={acts.server} />;
    case 'Logs':
      return <Logs feed={feed} one={one} />;
    case 'Scale':
      return <ScalingForm feed={feed} one={one} />;
    case 'Revisions':
      return <AllRevisions feed={feed} one={one} />;
  }
}

interface PartProps {
  feed: Feed;
  one: FunctionState;
}

function Logs({ feed, one }: PartProps) {
  const [invocation, setInvocation] = useState('');
  return <Log feed={feed} one={one} invocation={invocation} onInvocation={setInvocation} />;
}

function AllRevisions({ feed, one }: PartProps) {
  return <Revisions feed={feed} one={one} views={useRevisionViews(feed, one)} />;
}
