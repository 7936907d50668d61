// The npm package "openai", unmodified: chats, streams, stops, embeddings, errors, aborts.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { check, runAll, waitUntilIdle } from './checks.mjs';

const url = process.argv[2];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is Weir?' }];
const base = { model: 'pocket', messages, temperature: 0, max_tokens: 12 };
let answer = '';

check('models', async () => {
  const models = await client.models.list();
  assert.deepEqual(models.data.map((model) => model.id), ['pocket']);
});

check('chat', async () => {
  const completion = await client.chat.completions.create(base);
  answer = completion.choices[0].message.content;
  assert.ok(answer.length > 0);
  assert.equal(completion.choices[0].finish_reason, 'length');
  assert.equal(completion.usage.completion_tokens, 12);
  assert.equal(completion.usage.total_tokens, completion.usage.prompt_tokens + 12);
});

check('stream equals the whole answer', async () => {
  const stream = await client.chat.completions.create({
    ...base, stream: true, stream_options: { include_usage: true } });
  let text = '';
  let finish = null;
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, answer);
  assert.equal(finish, 'length');
  assert.equal(usage.completion_tokens, 12);
});

check('stream helper', async () => {
  const stream = client.chat.completions.stream(base);
  assert.equal(await stream.finalContent(), answer);
});

check('n answers and seeds', async () => {
  const ask = () => client.chat.completions.create({ ...base, temperature: 1, seed: 7, n: 2 });
  const [first, second] = [await ask(), await ask()];
  assert.equal(first.choices.length, 2);
  for (const i of [0, 1])
    assert.equal(first.choices[i].message.content, second.choices[i].message.content);
});

check('stop', async () => {
  const word = answer.split(' ')[2];
  const completion = await client.chat.completions.create({ ...base, stop: [word] });
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.ok(!completion.choices[0].message.content.includes(word));
  assert.ok(answer.startsWith(completion.choices[0].message.content));
});

check('log-probabilities', async () => {
  const completion = await client.chat.completions.create({
    ...base, logprobs: true, top_logprobs: 3 });
  const tokens = completion.choices[0].logprobs.content;
  assert.equal(tokens.length, 12);
  assert.equal(tokens.map((token) => token.token).join(''), answer);
  assert.equal(tokens[0].top_logprobs.length, 3);
  assert.ok(tokens[0].top_logprobs[0].logprob <= 0);
});

check('logit bias bans a token', async () => {
  const ids = (await (await fetch(`${url}/tokenize`, {
    method: 'POST', body: JSON.stringify({ content: answer.split(' ')[0], add_special: false }),
  })).json()).tokens;
  const completion = await client.chat.completions.create({
    ...base, logit_bias: { [ids[0]]: -100 } });
  assert.notEqual(completion.choices[0].message.content, answer);
});

check('completions', async () => {
  const completion = await client.completions.create({
    model: 'pocket', prompt: ['Once', 'Hello'], max_tokens: 3, temperature: 0 });
  assert.equal(completion.choices.length, 2);
  let text = '';
  const stream = await client.completions.create({
    model: 'pocket', prompt: 'Once', max_tokens: 3, temperature: 0, stream: true });
  for await (const chunk of stream) text += chunk.choices[0].text;
  assert.equal(text, completion.choices[0].text);
});

check('embeddings', async () => {
  const input = ['The weir holds the water.', 'A dog barks.'];
  const usual = await client.embeddings.create({ model: 'pocket', input });
  const floats = await client.embeddings.create({
    model: 'pocket', input, encoding_format: 'float' });
  assert.equal(usual.data.length, 2);
  const length = Math.hypot(...usual.data[0].embedding);
  assert.ok(Math.abs(length - 1) < 1e-5, `length ${length}`);
  for (const i of usual.data[0].embedding.keys())
    assert.ok(Math.abs(usual.data[0].embedding[i] - floats.data[0].embedding[i]) < 1e-6);
});

check('errors name the parameter', async () => {
  await assert.rejects(client.chat.completions.create({ ...base, temperature: -1 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'temperature');
    return true;
  });
  await assert.rejects(client.chat.completions.create({ ...base, model: 'nothing' }),
    OpenAI.NotFoundError);
  for (const stream of [true, false]) {
    await assert.rejects(client.chat.completions.create({
      ...base, stream, messages: [{ role: 'user', content: 'word '.repeat(5000) }] }), (error) => {
      assert.equal(error.status, 400);
      assert.equal(error.type, 'exceed_context_size_error');
      assert.ok(error.error.n_prompt_tokens > error.error.n_ctx);
      return true;
    });
  }
});

check('abort in the middle', async () => {
  const stream = await client.chat.completions.create({
    ...base, max_tokens: 400, ignore_eos: true, stream: true });
  let pieces = 0;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content && ++pieces === 3) break;
  }
  stream.controller.abort();
  await waitUntilIdle(url);
  const abort = new AbortController();
  const pending = client.chat.completions.create(
    { ...base, max_tokens: 400, ignore_eos: true }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 30);
  await assert.rejects(pending, OpenAI.APIUserAbortError);
  await waitUntilIdle(url);
  assert.equal((await client.chat.completions.create(base)).choices[0].message.content, answer);
});

await runAll('openai');
