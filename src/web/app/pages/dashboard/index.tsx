import { Empty } from '../../ui/parts';

export default function Dashboard() {
  return (
    <>
      <div class="page-head">
        <h1>Dashboard</h1>
      </div>
      <Empty title="Nothing here yet" />
    </>
  );
}
