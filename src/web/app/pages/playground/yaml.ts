/** Edits a router's text and leaves its comments and order alone. */
import { isMap, isSeq, parseDocument, type YAMLMap } from 'yaml';

type Library = { task_slug: string; description: string; examples?: string[] };

/**
 * The text with one more example of `task`. A task named by `task_slug` belongs to the library, so the router first gets
 * a copy of its own, with what the library says of it.
 */
export function withExample(
  text: string,
  task: string,
  example: string,
  library?: Library,
): { yaml: string; copied: boolean } {
  const document = parseDocument(text);
  const policies = document.get('policies');
  if (!isSeq(policies)) throw new Error('The file has no list of policies.');
  for (const policy of policies.items) {
    if (!isMap(policy)) continue;
    const custom = policy.get('custom_task');
    if (isMap(custom) && custom.get('name') === task) {
      const examples = custom.get('examples');
      if (isSeq(examples)) examples.add(document.createNode(example));
      else custom.set('examples', document.createNode([example]));
      return { yaml: document.toString({ lineWidth: 0 }), copied: false };
    }
    if (policy.get('task_slug') === task) {
      own(
        policy,
        document.createNode({
          name: task,
          ...(library ? { description: library.description.trim() } : {}),
          examples: [...(library?.examples ?? []), example],
        }),
      );
      return { yaml: document.toString({ lineWidth: 0 }), copied: true };
    }
  }
  throw new Error(`The router has no task ${task} any more.`);
}

/** Puts the copy where the name of the library's task stood. */
function own(policy: YAMLMap, copy: unknown): void {
  const place = policy.items.findIndex(pair => String(pair.key) === 'task_slug');
  policy.delete('task_slug');
  policy.set('custom_task', copy);
  const [added] = policy.items.splice(-1);
  if (added) policy.items.splice(Math.max(0, place), 0, added);
}
