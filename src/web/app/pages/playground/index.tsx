import { Empty } from '../../ui/parts';

export default function Playground() {
  return (
    <>
      <div class="page-head">
        <h1>Playground</h1>
      </div>
      <Empty title="Nothing here yet" />
    </>
  );
}
