// Anthropic's own client for Node over /v1/messages.
import Anthropic from "@anthropic-ai/sdk";
import { ANSWER, KEY, QUESTION, URL_, play, same } from "./steps.mjs";

const client = new Anthropic({ baseURL: URL_, apiKey: KEY, maxRetries: 0 });
const messages = [{ role: "user", content: QUESTION }];
const asked = { model: "rlfocal", max_tokens: 64, messages };
const input_schema = {
  type: "object", properties: { a: { type: "integer" }, b: { type: "integer" } },
};

await play("anthropic (Node)", "@anthropic-ai/sdk", {
  messages: async () => {
    same((await client.messages.create(asked)).content[0].text, ANSWER);
  },
  "messages, streamed": async () => {
    same(await client.messages.stream(asked).finalText(), ANSWER);
  },
  "messages, tools, streamed": async () => {
    const tools = [{ name: "add", input_schema }];
    const final = await client.messages.stream({ ...asked, tools }).finalMessage();
    const call = final.content.find((part) => part.type === "tool_use");
    same([call.name, call.input], ["add", { a: 3, b: 4 }]);
  },
});
