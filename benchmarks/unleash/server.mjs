// One Unleash process, told where to listen and which keys to know by its environment.
import { start } from 'unleash-server';

const key = (secret, type) => ({ environment: type === 'admin' ? '*' : 'development', projects: ['*'], secret, type, tokenName: type });

await start({
  db: { host: process.env.BENCH_SOCKETS, database: 'unleash', user: 'assay', password: '', ssl: false },
  server: { host: '127.0.0.1', port: Number(process.env.BENCH_PORT) },
  authentication: {
    type: 'open-source',
    initApiTokens: [key(process.env.BENCH_ADMIN, 'admin'), key(process.env.BENCH_FRONTEND, 'frontend')],
  },
  versionCheck: { enable: false },
  telemetry: false,
  disableLegacyFeaturesApi: true,
});
