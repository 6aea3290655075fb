// GrowthBook's JavaScript SDK against a live installation, one instance for each user, as in browsers:
//   node growthbook.mjs '{"url", "key", "remote", "users": [attributes, …], "flags": [key, …]}'
// Prints for each user {flag: [value, key of the variation or null]}; what was met is reported to the installation.
import { GrowthBook } from "@growthbook/growthbook";
import { growthbookTrackingPlugin } from "@growthbook/growthbook/plugins";

const { url, key, remote, users, flags } = JSON.parse(process.argv[2]);
const answers = [];
for (const attributes of users) {
  const reported = {};
  const book = new GrowthBook({
    apiHost: url,
    clientKey: key,
    remoteEval: remote,
    attributes,
    trackingCallback: (_experiment, result) => (reported[result.featureId] = result.key),
    plugins: [growthbookTrackingPlugin({ ingestorHost: url, queueFlushInterval: 1 })],
  });
  const { success } = await book.init({ timeout: 5000, skipCache: true });
  const found = {};
  for (const flag of flags) found[flag] = [book.getFeatureValue(flag, "fallback"), reported[flag] ?? null];
  answers.push({ success, answers: found });
  await book.logEvent("Purchase", { amount: 1 });
  book.destroy();
}
// What is on its way is sent before Node ends.
console.log(JSON.stringify(answers));
