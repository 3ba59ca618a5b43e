/** Every mistake and warning in words; those with a line lead there. */
import { Icon } from '../../ui/parts';
import { at, type Mark } from './faults';

type Props = { marks: Mark[]; checked: boolean; onGo: (mark: Mark) => void };

export function Problems({ marks, checked, onGo }: Props) {
  const faults = marks.filter(({ severity }) => severity === 'fault').length;
  return (
    <div class="problems" id="router-problems">
      <p class="small row" role="status">
        {!checked && <span class="faint">Checking…</span>}
        {checked && faults > 0 && <b class="bad-text">{faults === 1 ? '1 mistake' : `${faults} mistakes`}</b>}
        {checked && faults === 0 && (
          <span class="good-text row">
            <Icon name="check" /> No mistakes
          </span>
        )}
        {checked && marks.length > faults && (
          <b class="warn-text">
            {marks.length - faults === 1 ? '1 warning' : `${marks.length - faults} warnings`}
          </b>
        )}
      </p>
      {marks.length > 0 && (
        <ul class="small">
          {marks.map(mark => (
            <li key={`${mark.line}:${mark.column}:${mark.path}:${mark.message}`} class={mark.severity}>
              <Icon name="warn" />
              {mark.line > 0 && (
                <button type="button" class="button small quiet" onClick={() => onGo(mark)}>
                  Line {mark.line}
                </button>
              )}
              <span>
                {mark.path && <code>{mark.path}</code>} {mark.message}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** What is wrong with one field, below it. `shown` are the deeper fields that say it themselves. */
export function At({ marks, path, shown = [] }: { marks: Mark[]; path: string; shown?: string[] }) {
  const here = at(marks, path, shown);
  if (here.length === 0) return null;
  return (
    <ul class="at small">
      {here.map(mark => (
        <li key={`${mark.path}:${mark.message}`} class={mark.severity}>
          <Icon name="warn" />
          <span>{mark.message}</span>
        </li>
      ))}
    </ul>
  );
}

export const isWrong = (marks: Mark[], path: string): boolean =>
  at(marks, path).some(({ severity }) => severity === 'fault');
