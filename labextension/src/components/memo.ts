import { createElement, type FunctionComponent } from 'preact';

/**
 * Return a component that is drawn anew only if one of its properties is another value.
 *
 * @param sameBy Instead: if what this returns is another value.
 */
export function memo<P extends object>(
  view: FunctionComponent<P>,
  sameBy?: (props: P) => unknown
): FunctionComponent<P> {
  function Memo(this: { shouldComponentUpdate?: unknown; props: P }, props: P) {
    this.shouldComponentUpdate = (next: P): boolean => {
      if (sameBy !== undefined) return sameBy(this.props) !== sameBy(next);
      const keys = new Set([...Object.keys(this.props), ...Object.keys(next)]) as Set<keyof P>;
      return [...keys].some(key => this.props[key] !== next[key]);
    };
    return createElement(view, props);
  }
  return Memo as FunctionComponent<P>;
}
