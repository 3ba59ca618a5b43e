import { Empty } from '../../ui/parts';

export default function Routers() {
  return (
    <>
      <div class="page-head">
        <h1>Routers</h1>
      </div>
      <Empty title="Nothing here yet" />
    </>
  );
}
