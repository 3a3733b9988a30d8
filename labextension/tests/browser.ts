/** What a browser has, as globals of Node. */

import { Window } from 'happy-dom';

const NAMES = [
  'document',
  'HTMLElement',
  'Element',
  'Node',
  'Event',
  'KeyboardEvent',
  'MouseEvent',
  'SVGElement',
  'Text',
  'requestAnimationFrame',
  'cancelAnimationFrame'
] as const;

const window = new Window({ url: 'http://localhost/' });
const globals = globalThis as unknown as Record<string, unknown>;
globals['window'] = window;
for (const name of NAMES) globals[name] = (window as unknown as Record<string, unknown>)[name];
