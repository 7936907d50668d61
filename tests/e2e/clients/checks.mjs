// What both clients' tests share: named checks that run one after the other and count.
import assert from 'node:assert/strict';

const checks = [];
export const check = (name, run) => checks.push({ name, run });

export async function runAll(title) {
  let failed = 0;
  for (const { name, run } of checks) {
    try {
      await run();
      console.log(`ok   ${title}: ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${title}: ${name}\n${error.stack}`);
    }
  }
  process.exit(failed === 0 ? 0 : 1);
}

/** Waits until the server runs no request any more; what an aborted one must lead to. */
export async function waitUntilIdle(url) {
  for (let i = 0; i < 250; ++i) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const running = [...text.matchAll(/^weir_requests_running\{.*\} (\d+)/gm)];
    if (running.length > 0 && running.every((match) => match[1] === '0')) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('requests still run');
}
