// The npm package "ollama", unmodified: chats, generations, streams, embeddings, errors, aborts.
import assert from 'node:assert/strict';
import { Ollama } from 'ollama';
import { check, runAll, waitUntilIdle } from './checks.mjs';

const url = process.argv[2];
const client = new Ollama({ host: url });
const messages = [{ role: 'user', content: 'What is Weir?' }];
const base = { model: 'pocket', messages, options: { temperature: 0, num_predict: 12 } };
let answer = '';

check('list, show, ps, version', async () => {
  assert.equal((await client.list()).models[0].name, 'pocket');
  const shown = await client.show({ model: 'pocket' });
  assert.ok(shown.capabilities.includes('completion'));
  assert.equal((await client.ps()).models[0].name, 'pocket');
  assert.match((await client.version()).version, /^\d+\.\d+/);
});

check('chat', async () => {
  const response = await client.chat(base);
  answer = response.message.content;
  assert.ok(answer.length > 0);
  assert.equal(response.done_reason, 'length');
  assert.equal(response.eval_count, 12);
});

check('stream equals the whole answer', async () => {
  let text = '';
  let last = null;
  for await (const part of await client.chat({ ...base, stream: true })) {
    text += part.message.content;
    last = part;
  }
  assert.equal(text, answer);
  assert.equal(last.done, true);
  assert.ok(last.total_duration > 0);
});

check('generate', async () => {
  const response = await client.generate({
    model: 'pocket', prompt: 'What is Weir?', options: base.options });
  assert.equal(response.response, answer);
  const raw = await client.generate({
    model: 'pocket', prompt: 'Once', raw: true, options: base.options });
  assert.notEqual(raw.response, answer);
  let text = '';
  for await (const part of await client.generate({
    model: 'pocket', prompt: 'What is Weir?', options: base.options, stream: true }))
    text += part.response;
  assert.equal(text, answer);
});

check('stop', async () => {
  const word = answer.split(' ')[2];
  const response = await client.chat({ ...base, options: { ...base.options, stop: [word] } });
  assert.equal(response.done_reason, 'stop');
  assert.ok(answer.startsWith(response.message.content));
  assert.ok(!response.message.content.includes(word));
});

check('embed', async () => {
  const response = await client.embed({ model: 'pocket', input: ['a weir', 'a dog'] });
  assert.equal(response.embeddings.length, 2);
  assert.ok(Math.abs(Math.hypot(...response.embeddings[0]) - 1) < 1e-5);
});

check('keep_alive and loading', async () => {
  const response = await client.generate({ model: 'pocket', prompt: '', keep_alive: '5m' });
  assert.equal(response.done_reason, 'load');
});

check('errors', async () => {
  await assert.rejects(client.chat({ ...base, model: 'nothing' }), (error) => {
    assert.equal(error.status_code, 404);
    assert.match(error.message, /nothing/);
    return true;
  });
  await assert.rejects(
    client.chat({ ...base, options: { temperature: 'hot' } }), /options\.temperature/);
  await assert.rejects(client.chat({ ...base, format: 'json' }), /format/);
});

check('abort in the middle', async () => {
  const stream = await client.chat({
    ...base, options: { temperature: 0, num_predict: 400, ignore_eos: true }, stream: true });
  let pieces = 0;
  await assert.rejects(async () => {
    for await (const part of stream) {
      if (part.message.content && ++pieces === 3) stream.abort();
    }
  }, /abort/i);
  await waitUntilIdle(url);
  assert.equal((await client.chat(base)).message.content, answer);
});

await runAll('ollama');
