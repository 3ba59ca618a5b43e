/**
 * Runs something only while the page is looked at: a browser has six connections to one server, and a page in the
 * background must not keep one of them. `start` returns what ends it; so does this.
 */
export function whileVisible(start: () => () => void): () => void {
  let end = () => {};
  const turn = () => {
    end();
    end = document.visibilityState === 'visible' ? start() : () => {};
  };
  document.addEventListener('visibilitychange', turn);
  turn();
  return () => {
    document.removeEventListener('visibilitychange', turn);
    end();
  };
}
