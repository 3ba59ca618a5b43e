/** A button that copies, and says so where it was pressed. */
import { useEffect, useState } from 'preact/hooks';
import { Icon } from './parts';
import { toast } from './toast';

export function Copy({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => toast('This browser does not let the page copy. Select the text instead.', 'bad'),
    );
  return (
    <button type="button" class="button small copy" aria-label={label} title={label} onClick={copy}>
      <Icon name={copied ? 'check' : 'copy'} />
      {copied ? 'Copied' : 'Copy'}
    </button>
  );
}
