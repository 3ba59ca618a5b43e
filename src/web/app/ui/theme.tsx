/** Light and dark: what the system says, until the person says otherwise. */
import { signal } from '@preact/signals';
import { Icon } from './parts';

type Theme = 'light' | 'dark';
const STORED = 'pointsman-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(STORED);
    return value === 'light' || value === 'dark' ? value : null;
  } catch {
    return null;
  }
}

const system = (): Theme => (dark.matches ? 'dark' : 'light');

/** The theme in force; charts read it to draw themselves anew. */
export const theme = signal<Theme>(stored() ?? system());

const show = () => {
  document.documentElement.dataset.theme = theme.value;
};
show();
theme.subscribe(show);
dark.addEventListener('change', () => {
  if (!stored()) theme.value = system();
});

function toggle(): void {
  theme.value = theme.value === 'dark' ? 'light' : 'dark';
  try {
    if (theme.value === system()) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, theme.value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

export function ThemeToggle() {
  const other = theme.value === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      class="button quiet icon"
      aria-label={`Switch to ${other} colors`}
      title={`Switch to ${other} colors`}
      onClick={toggle}
    >
      <Icon name={other === 'dark' ? 'moon' : 'sun'} />
    </button>
  );
}
