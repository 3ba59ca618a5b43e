/** Short messages at the corner; read out politely, gone after a while or when closed. */
import { signal } from '@preact/signals';
import { Icon } from './parts';

type Toast = { id: number; text: string; tone: 'accent' | 'good' | 'bad' };
const toasts = signal<Toast[]>([]);
let last = 0;

export function toast(text: string, tone: Toast['tone'] = 'accent'): void {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-3), { id, text, tone }];
  setTimeout(() => close(id), tone === 'bad' ? 12_000 : 6_000);
}

const close = (id: number) => {
  toasts.value = toasts.value.filter(one => one.id !== id);
};

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(one => (
        <div key={one.id} class={`toast ${one.tone}`}>
          <span>{one.text}</span>
          <button
            type="button"
            class="button quiet icon small push"
            aria-label="Close this message"
            onClick={() => close(one.id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
