/** Which two sides are compared, and how. */
import { catalog } from '../../api';
import { setFragment } from '../../nav';
import { counted } from '../../ui/format';
import { Check, Field, Icon } from '../../ui/parts';
import {
  choose,
  chosen,
  isRouter,
  keepsSession,
  missing,
  newSession,
  SIDES,
  type SideName,
  session,
  shown,
  swap,
  targets,
} from './settings';

export function Setup() {
  return (
    <div class="setup card">
      <div class="sides">
        <Pick side="a" />
        <button
          type="button"
          class="button icon"
          aria-label="Swap the sides"
          title="Swap the sides"
          onClick={swap}
        >
          <Icon name="swap" />
        </button>
        <Pick side="b" />
      </div>
      <div class="row small">
        <Check
          checked={keepsSession.value}
          onChange={on => setFragment({ session: on ? '1' : null })}
          title="Sends X-Model-Affinity: a router then stays with the model that answered first"
        >
          Keep one session (<code>X-Model-Affinity</code>)
        </Check>
        {keepsSession.value && (
          <button type="button" class="button quiet small" onClick={newSession}>
            New session
          </button>
        )}
        {keepsSession.value && <code class="faint clip">{session.value}</code>}
      </div>
      {missing.value.map(name => (
        <p key={name} class="note warn small">
          There is no {name} here; another was chosen in its place.
        </p>
      ))}
    </div>
  );
}

function Pick({ side }: { side: SideName }) {
  const { routers, models } = targets.value;
  const name = chosen.value[side];
  return (
    <Field
      name={
        <>
          <span class={`badge ${side}`}>{side.toUpperCase()}</span> {side === 'a' ? 'This' : 'against this'}
        </>
      }
      hint={about(name)}
      class="pick"
    >
      {id => (
        <select
          id={id}
          class="input"
          value={name}
          onChange={event => choose(side, event.currentTarget.value)}
        >
          <optgroup label="Routers">
            {routers.map(one => (
              <option key={one} value={one}>
                {shown(one)}
              </option>
            ))}
          </optgroup>
          <optgroup label="Models">
            {models.map(one => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </optgroup>
        </select>
      )}
    </Field>
  );
}

function about(name: string): string {
  const known = catalog.value;
  if (isRouter(name)) {
    const router = known?.routers.find(one => `router:${one.name}` === name);
    return router ? `Router · ${counted(router.tasks.length, 'task')} · ${router.description}` : '';
  }
  const price = known?.models.find(one => one.name === name)?.price;
  return price?.input != null && price.output != null
    ? `Model · $${price.input} in, $${price.output} out per million tokens`
    : 'Model · price not known';
}

export const sidesInWords = (): string => SIDES.map(side => shown(chosen.value[side])).join(' against ');
