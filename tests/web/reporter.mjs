// One line for each test, what failed in full, and at the very end "N passed, N failed".
export default async function* reporter(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic' && data.nesting === 0 && /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /.test(data.message)) continue;
    if (type === 'test:diagnostic') yield `     ${data.message}\n`;
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message;
    const leaf = (type === 'test:pass' || type === 'test:fail') && data.details.type !== 'suite' && !data.name.endsWith('.test.mjs');
    if (!leaf || data.skip !== undefined) continue;
    const took = `${(data.details.duration_ms / 1000).toFixed(1)} s`;
    if (type === 'test:pass') {
      passed += 1;
      yield `ok   ${data.name} (${took})\n`;
    } else {
      failed += 1;
      const error = data.details.error;
      yield `FAIL ${data.name} (${took})\n${error?.cause?.stack ?? error?.stack ?? error}\n`;
    }
  }
  yield `${passed} passed, ${failed} failed\n`;
}
