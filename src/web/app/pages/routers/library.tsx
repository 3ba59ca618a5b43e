/** The tasks that ship, to pick from: by category, searched by their words. */
import { useState } from 'preact/hooks';
import type { TaskPreset } from '../../api';
import { Dialog, Icon, Tag } from '../../ui/parts';

type Props = { tasks: TaskPreset[]; used: Set<string>; onPick: (task: TaskPreset) => void };

export function Library({ tasks, used, onPick }: Props) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState('');
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = tasks.filter(task => {
    const all = [task.task_slug, task.name, task.category, task.description, ...task.tags]
      .join(' ')
      .toLowerCase();
    return words.every(word => all.includes(word));
  });
  const categories = [...new Set(found.map(task => task.category))];
  return (
    <>
      <button type="button" class="button" onClick={() => setOpen(true)}>
        <Icon name="plus" /> Task from the library
      </button>
      <Dialog title="Task library" open={open} onClose={() => setOpen(false)}>
        <input
          type="search"
          class="input"
          aria-label="Search the library"
          placeholder={`Search ${tasks.length} tasks`}
          value={text}
          onInput={event => setText(event.currentTarget.value)}
        />
        {found.length === 0 && <p class="nothing">No task has these words. Write an own one instead.</p>}
        {categories.map(category => (
          <section key={category} class="library">
            <h3 class="label">{category}</h3>
            <ul>
              {found
                .filter(task => task.category === category)
                .map(task => (
                  <li key={task.task_slug}>
                    <button
                      type="button"
                      disabled={used.has(task.task_slug)}
                      onClick={() => {
                        onPick(task);
                        setOpen(false);
                      }}
                    >
                      <b>{task.task_slug}</b> {used.has(task.task_slug) && <Tag>in use</Tag>}
                      <span class="small muted">{task.description}</span>
                    </button>
                  </li>
                ))}
            </ul>
          </section>
        ))}
      </Dialog>
    </>
  );
}
