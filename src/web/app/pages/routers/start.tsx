/** Where a new router begins: from one that ships, or from nothing. */
import type { RouterDraft, RouterPreset } from '../../api';
import { Card } from '../../ui/parts';
import { blank, fromPreset } from './edit';

type Props = {
  presets: RouterPreset[];
  taken: Set<string>;
  models: string[];
  onStart: (form: RouterDraft) => void;
};

export function Start({ presets, taken, models, onStart }: Props) {
  return (
    <Card title="New router" end={<span class="small faint">start from</span>}>
      <ul class="starts">
        <li>
          <button type="button" onClick={() => onStart(blank(taken, models))}>
            <b>Nothing</b>
            <span class="small muted">One task to fill in, one fallback model.</span>
          </button>
        </li>
        {presets.map(preset => (
          <li key={preset.slug}>
            <button
              type="button"
              onClick={() => onStart(fromPreset(preset, taken))}
              title={preset.long_description}
            >
              <b>{preset.display_name}</b>
              <span class="small muted">{preset.short_description}</span>
              <span class="small faint">{preset.config.policies.length} tasks</span>
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}
