import type { SideActs } from './acts';

export function NothingYet({ acts }: { acts: SideActs }) {
  return (
    <div class="faas-empty">
      <p>
        Nothing deployed yet. Put <code>@serverless</code> above a function, or start a cell with{' '}
        <code>%%faas deploy</code>.
      </p>
      <button type="button" class="faas-button" onClick={() => acts.insertExample()}>
        Insert an example cell
      </button>
    </div>
  );
}
