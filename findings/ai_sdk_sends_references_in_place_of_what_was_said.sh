#!/usr/bin/env bash
# ai 6.0.326 with @ai-sdk/openai 3.0.141: the default model sends ids in place of what was said.
#
# createOpenAI(...)(model) speaks /v1/responses. When a conversation goes on with the messages that
# the last result gave, the assistant's text is not among what is sent: there stands an
# {"type": "item_reference", "id": ...}, as though every server behind `baseURL` stored what it says.
# A server that stores nothing cannot answer, and is told nothing of the kind beforehand: the reply
# may say "store": false, the client does not look. Calls of functions are sent whole.
#
# Seen: the second request's input is a message, a reference and a message, and the text "seven" is
# nowhere in it; with providerOptions {openai: {store: false}} it is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-fund --no-audit ai@6.0.326 @ai-sdk/openai@3.0.141 > /dev/null
cat > run.mjs <<'JS'
import assert from 'node:assert';
import http from 'node:http';
import { generateText } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';

const bodies = [];
const reply = {
  id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'm', store: false,
  output: [{
    type: 'message', id: 'msg_1', role: 'assistant', status: 'completed',
    content: [{ type: 'output_text', text: 'seven', annotations: [] }],
  }],
  usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
};
const server = http.createServer((request, response) => {
  let text = '';
  request.on('data', (piece) => { text += piece; });
  request.on('end', () => {
    bodies.push(JSON.parse(text));
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(reply));
  });
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const model = createOpenAI({ baseURL, apiKey: 'k' })('m');
const ask = { role: 'user', content: '3 + 4 =' };

async function secondBody(more) {
  const first = await generateText({ model, messages: [ask], ...more });
  const messages = [ask, ...first.response.messages, { role: 'user', content: 'Sure?' }];
  await generateText({ model, messages, ...more });
  return bodies.at(-1);
}

const plain = await secondBody({});
const kinds = plain.input.map((item) => item.type ?? item.role);
console.log('by default:', kinds.join(', '), '| text sent:', JSON.stringify(plain).includes('seven'));
assert.deepEqual(plain.input[1], { type: 'item_reference', id: 'msg_1' });
assert(!JSON.stringify(plain).includes('seven'));
const whole = await secondBody({ providerOptions: { openai: { store: false } } });
console.log('store: false: text sent:', JSON.stringify(whole).includes('seven'));
assert(JSON.stringify(whole).includes('seven'));
server.close();
JS
node run.mjs
