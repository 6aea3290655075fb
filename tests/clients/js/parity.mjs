// GrowthBook's JavaScript SDK asked for every flag of a payload and every unit of a file:
//   node parity.mjs payload.json units.jsonl answers.jsonl
// Each answer is one line, {flag: [value, key of the variation or null]}.
import { createReadStream, createWriteStream, readFileSync } from "node:fs";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { GrowthBookClient } from "@growthbook/growthbook";

const [given, asked, answered] = process.argv.slice(2);
const payload = JSON.parse(readFileSync(given, "utf8"));
const client = new GrowthBookClient().initSync({ payload });
const flags = Object.keys(payload.features);
const out = createWriteStream(answered);

for await (const line of createInterface({ input: createReadStream(asked), crlfDelay: Infinity })) {
  const user = { attributes: JSON.parse(line) };
  const answers = {};
  for (const flag of flags) {
    const found = client.evalFeature(flag, user);
    answers[flag] = [found.value, found.experimentResult ? found.experimentResult.key : null];
  }
  if (!out.write(JSON.stringify(answers) + "\n")) await once(out, "drain");
}
out.end();
await once(out, "finish");
client.destroy();
